"""Answers of the API, read into models.

Every contradiction of the vendor's pages is absorbed here, so that no other file knows of it: two names for
the cost, ``error`` as a string or an object, ``videos`` as files or as tasks, statuses in any spelling,
fields that are missing, null or of another type.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_provider_veo3.api.json_values import (
    UnusableError,
    read_count,
    read_error,
    read_list,
    read_number,
    read_text,
    read_time,
)
from airflow_provider_veo3.api.models import Generation, HistoryPage, Status, Video, VideoModel
from airflow_provider_veo3.api.redact import redact_text
from airflow_provider_veo3.api.request import check_generation_id
from airflow_provider_veo3.api.urls import safe_join
from airflow_provider_veo3.exceptions import Veo3ValidationError

Json = Mapping[str, Any]

_STATUSES = {
    "pending": Status.PENDING,
    "queued": Status.PENDING,
    "completed": Status.COMPLETED,
    "complete": Status.COMPLETED,
    "success": Status.COMPLETED,
    "succeeded": Status.COMPLETED,
    "failed": Status.FAILED,
    "failure": Status.FAILED,
    "error": Status.FAILED,
}


def read_status(value: object) -> Status:
    """Read a status in any case; what is unknown is not finished yet."""
    label = value.strip().lower() if isinstance(value, str) else ""
    return _STATUSES.get(label, Status.PROCESSING)


def parse_generation(body: Json, base_url: str) -> Generation:
    """Read an acceptance, a status or an item of the history.

    :raises UnusableError: it has no id, or one that cannot be an id.
    """
    try:
        generation_id = check_generation_id(named_id(body), "taskId")
    except Veo3ValidationError as error:
        raise UnusableError("it names no generation") from error
    return _generation(generation_id, body, base_url)


def named_id(body: Json) -> object:
    """Return what stands where the id of a generation is."""
    return body.get("taskId") or body.get("task_id") or body.get("id")


def _generation(generation_id: str, body: Json, base_url: str) -> Generation:
    status = read_status(body.get("status"))
    videos = _listed_videos(body, base_url) if status is Status.COMPLETED else ()
    code, message = read_error(body) if status is Status.FAILED else (None, None)
    used = read_count(body.get("creditsUsed"))
    return Generation(
        id=generation_id,
        status=status,
        type=read_text(body.get("type")),
        model=read_text(body.get("model")),
        prompt=read_text(body.get("prompt")),
        credits_used=read_count(body.get("creditsCost")) if used is None else used,
        credits_remaining=read_count(body.get("remainingCredits")),
        created_at=read_time(body.get("createdAt")),
        completed_at=read_time(body.get("completedAt")),
        processing_seconds=read_number(body.get("processingTime")),
        video_count=len(videos) or read_count(body.get("videoCount")),
        videos=videos,
        error_code=code and redact_text(code),
        error=message and redact_text(message),
    )


def _listed_videos(body: Json, base_url: str) -> tuple[Video, ...]:
    """Read the files in passing: that a link is bad must not hide that the generation has finished."""
    try:
        return parse_videos(body, base_url)
    except UnusableError:
        return ()


def parse_videos(body: Json, base_url: str) -> tuple[Video, ...]:
    """Read the files of a status or download answer, in order; nothing when there are none.

    A link that is neither https nor http to this machine is left empty, so that the other files are had.

    :raises UnusableError: there is no other.
    """
    result = body.get("result")
    items = read_list(body.get("videos")) or [body, result if isinstance(result, Mapping) else {}]
    videos = []
    unusable: UnusableError | None = None
    for item in items:
        url = next((u for name in ("url", "videoUrl", "video_url") if (u := read_text(item.get(name)))), None)
        if url is not None:
            mime_type = read_text(item.get("mimeType")) or "video/mp4"
            try:
                url = safe_join(base_url, url)
            except UnusableError as error:
                url, unusable = "", error
            videos.append(Video(url, mime_type, read_time(item.get("expiresAt"))))
    if unusable is not None and not any(video.url for video in videos):
        raise unusable
    return tuple(videos)


def parse_history_page(
    body: Json, base_url: str, limit: int, skip: int, clock_skew: float | None = None
) -> HistoryPage:
    """Read one page of the history; an item that names no generation is set apart, not fatal.

    :raises UnusableError: there is no list, or one with a failure, which must not be taken for an empty one.
    """
    if not isinstance(body.get("videos"), list):
        raise UnusableError("it has no list of generations")
    if body.get("success") is False:
        raise UnusableError("it says that it has failed")
    items = read_list(body["videos"])
    generations, unnamed = [], []
    for item in items:
        try:
            generations.append(parse_generation(item, base_url))
        except UnusableError:
            unnamed.append(_generation("", item, base_url))
    told = body.get("pagination")
    paging = told if isinstance(told, Mapping) else {}
    total = read_count(paging.get("total"))
    more = paging.get("hasMore")
    if not isinstance(more, bool):
        more = skip + len(items) < total if total is not None else len(items) >= limit
    next_skip = skip + len(items) if more and items else None
    return HistoryPage(tuple(generations), total, next_skip, clock_skew, tuple(unnamed))


def parse_models(body: Json) -> tuple[VideoModel, ...]:
    """Read the models and their prices.

    :raises UnusableError: there is no model in it.
    """
    default = read_text(body.get("defaultModel"))
    models = []
    for item in read_list(body.get("models")):
        model_id = read_text(item.get("id"))
        pricing = item.get("pricing")
        prices = pricing if isinstance(pricing, Mapping) else {}
        abilities = item.get("capabilities")
        if model_id is not None:
            models.append(
                VideoModel(
                    id=model_id,
                    name=read_text(item.get("name")) or model_id,
                    description=read_text(item.get("description")) or "",
                    capabilities=tuple(filter(None, map(read_text, abilities)))
                    if isinstance(abilities, list)
                    else (),
                    credits_per_video=read_count(prices.get("creditsPerVideo")),
                    credits_per_video_no_audio=read_count(prices.get("creditsPerVideoNoAudio")),
                    is_default=model_id == default,
                )
            )
    if not models:
        raise UnusableError("it lists no model")
    return tuple(models)
