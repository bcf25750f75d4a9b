"""Asset events of the download operator's outlets, with the facts that consumers need."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from airflow_provider_veo3.polling.durations import reported_seconds
from airflow_provider_veo3.storage.uri import ObjectUri

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from airflow_provider_veo3.airflow_names import Context
    from airflow_provider_veo3.storage.provenance import Provenance, StoredVideo


def publish_events(
    context: Context, outlets: Iterable[object], videos: Sequence[StoredVideo], provenance: Provenance
) -> None:
    """Fill the events of a task's outlets, which Airflow emits when the task succeeds.

    An ``Asset`` has one event per task run: its extra gets ``files``, a list with an entry for each file. An
    ``AssetAlias`` gets one event per file, of the asset that is the file, with the same entry as its extra:
    what the task returns of the file but its media type, and ``model``, ``credits``, ``seconds`` (from
    acceptance to completion) and ``prompt_sha256`` (of the prompt as the API repeats it, in UTF-8). What
    nobody reports is ``None``. No link.

    :param outlets: outlets of the task; other objects than assets are ignored.
    :param provenance: requests each generation from the API, once, and only where there are outlets.
    """
    from airflow.sdk.definitions.asset import Asset, AssetAlias, AssetRef

    assets = [outlet for outlet in outlets if isinstance(outlet, Asset | AssetAlias | AssetRef)]
    if not assets:
        return
    files: list[Any] = [_describe(video, provenance) for video in videos]
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


def _describe(video: StoredVideo, provenance: Provenance) -> dict[str, Any]:
    generation = provenance.request(video.generation_id)
    prompt = generation and generation.prompt
    entry = provenance.described(video).as_json()
    del entry["mime_type"]
    return {
        **entry,
        "model": generation and generation.model,
        "credits": generation and generation.credits_used,
        "seconds": generation and reported_seconds(generation),
        "prompt_sha256": (
            hashlib.sha256(prompt.encode("utf-8", "surrogatepass")).hexdigest() if prompt else None
        ),
    }
