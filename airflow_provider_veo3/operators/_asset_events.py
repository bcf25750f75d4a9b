"""Asset events of the download operator's outlets, with the facts that consumers need."""

from __future__ import annotations

import hashlib
import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from airflow_provider_veo3.exceptions import Veo3Error, Veo3GenerationNotFoundError
from airflow_provider_veo3.polling.durations import reported_seconds
from airflow_provider_veo3.storage.uri import ObjectUri

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
    get_generation: Callable[[str], Generation],
) -> None:
    """Fill the events of a task's outlets, which Airflow emits when the task succeeds.

    An ``Asset`` has one event per task run: its extra gets ``files``, a list with an entry for each file. An
    ``AssetAlias`` gets one event per file, of the asset that is the file, with the same entry as its extra:
    ``generation_id``, ``index``, ``uri``, ``size``, ``sha256``, ``model``, ``credits``, ``seconds`` (from
    acceptance to completion) and ``prompt_sha256`` (of the prompt as the API repeats it, in UTF-8). What the
    API does not report is ``None``. No link, no prompt.

    :param outlets: outlets of the task; other objects than assets are ignored.
    :param get_generation: requests a generation from the API: once for each, and only where there are
        outlets.
    """
    from airflow.sdk.definitions.asset import Asset, AssetAlias, AssetRef

    assets = [outlet for outlet in outlets if isinstance(outlet, Asset | AssetAlias | AssetRef)]
    if not assets:
        return
    generations = _get_generations({video.generation_id: None for video in videos}, get_generation)
    files: list[Any] = [_describe(video, generations.get(video.generation_id)) for video in videos]
    for asset in assets:
        event = context["outlet_events"][asset]
        if isinstance(asset, AssetAlias):
            for file in files:
                event.add(Asset(asset_uri(file["uri"])), extra=dict(file))
        else:
            event.extra = {**event.extra, "files": files}


def asset_uri(uri: str) -> str:
    """Return the asset URI of a stored file, without the connection.

    ``?`` and ``#`` in the key are quoted, since Airflow drops them.
    """
    parts = ObjectUri.parse(uri)
    return str(replace(parts, connection="", key=quote(parts.key, safe="/!$&()*+,;=:@~")))


def _get_generations(
    generation_ids: Iterable[str], get_generation: Callable[[str], Generation]
) -> dict[str, Generation]:
    """Request each generation, as long as the API responds; a failed one is left out."""
    generations = {}
    for generation_id in generation_ids:
        try:
            generations[generation_id] = get_generation(generation_id)
        except Veo3Error as error:  # the files are stored, and a retry could not report more
            log.warning("The asset events lack model, credits and times of %s: %s", generation_id, error)
            if not isinstance(error, Veo3GenerationNotFoundError):
                log.warning("The other generations are not requested; their asset events lack the same.")
                break
    return generations


def _describe(video: StoredVideo, generation: Generation | None) -> dict[str, Any]:
    prompt = generation and generation.prompt
    return {
        "generation_id": video.generation_id,
        "index": video.index,
        "uri": video.uri,
        "size": video.size,
        "sha256": video.sha256,
        "model": generation and generation.model,
        "credits": generation and generation.credits_used,
        "seconds": generation and reported_seconds(generation),
        "prompt_sha256": hashlib.sha256(prompt.encode()).hexdigest() if prompt else None,
    }
