"""What stored files tell whoever is scheduled on assets: the events of the download operator's outlets."""

from __future__ import annotations

import hashlib
import logging
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from airflow_provider_veo3.exceptions import Veo3Error, Veo3GenerationNotFoundError
from airflow_provider_veo3.polling.durations import reported_seconds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_veo3.api.models import Generation
    from airflow_provider_veo3.storage.store import StoredVideo

log = logging.getLogger(__name__)


def publish_events(
    context: Context,
    outlets: Iterable[object],
    videos: Sequence[StoredVideo],
    ask: Callable[[str], Generation],
) -> None:
    """Give the events of a task's outlets, which Airflow emits when it succeeds, what a consumer needs.

    An ``Asset`` has one event per task run: its extra gets ``files``, one entry for each file, also where
    there is only one. An ``AssetAlias`` gets one event per file, of the asset that is the file, with the same
    entry as its extra: ``generation_id``, ``index``, ``uri``, ``size``, ``sha256``, ``model``, ``credits``,
    ``seconds`` (from acceptance to completion) and ``prompt_sha256`` (of the prompt as the API repeats it, in
    UTF-8). What the API does not tell is ``None``. No link, no prompt.

    :param outlets: as the task declares them; what is no asset is left alone.
    :param ask: asks the API how a generation stands: once for each, and only where there are outlets.
    """
    from airflow.sdk.definitions.asset import Asset, AssetAlias, AssetRef

    assets = [outlet for outlet in outlets if isinstance(outlet, Asset | AssetAlias | AssetRef)]
    if not assets:
        return
    files: list[Any] = _describe(videos, ask)
    for asset in assets:
        event = context["outlet_events"][asset]
        if isinstance(asset, AssetAlias):
            for file in files:
                event.add(Asset(asset_uri(file["uri"])), extra=dict(file))
        else:
            event.extra = {**event.extra, "files": files}


def asset_uri(uri: str) -> str:
    """Return the identity of a stored file: wherever it is opened from, and whatever is in its name.

    Without the Airflow connection, which says how to get there and not where that is; with ``?`` and ``#`` of
    its name quoted, since Airflow drops them.
    """
    scheme, separator, rest = uri.partition("://")
    authority, slash, path = rest.partition("/")
    return f"{scheme}{separator}{authority.rpartition('@')[2]}{slash}{quote(path, safe='/!$&()*+,;=:@~')}"


def _describe(videos: Sequence[StoredVideo], ask: Callable[[str], Generation]) -> list[dict[str, Any]]:
    generations = _ask({video.generation_id: None for video in videos}, ask)
    return [
        {
            "generation_id": video.generation_id,
            "index": video.index,
            "uri": video.uri,
            "size": video.size,
            "sha256": video.sha256,
            **_facts(generations.get(video.generation_id)),
        }
        for video in videos
    ]


def _ask(generation_ids: Iterable[str], ask: Callable[[str], Generation]) -> dict[str, Generation]:
    """Ask about each, as long as the API answers; what it does not tell is left out."""
    told = {}
    for generation_id in generation_ids:
        try:
            told[generation_id] = ask(generation_id)
        except Veo3Error as error:  # the files are stored; a retry of the task could only tell the same
            log.warning("The asset events lack what the API tells of %s: %s", generation_id, error)
            if not isinstance(error, Veo3GenerationNotFoundError):
                log.warning("It is not asked about others; the asset events lack the same of them.")
                break
    return told


def _facts(generation: Generation | None) -> dict[str, Any]:
    prompt = generation and generation.prompt
    return {
        "model": generation and generation.model,
        "credits": generation and generation.credits_used,
        "seconds": generation and reported_seconds(generation),
        "prompt_sha256": hashlib.sha256(prompt.encode()).hexdigest() if prompt else None,
    }
