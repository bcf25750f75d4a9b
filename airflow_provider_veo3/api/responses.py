"""Parsers of the API's response bodies.

They absorb every contradiction of the vendor's pages, so that no other file knows of it: two names for the
cost, ``error`` as a string or an object, ``videos`` as files or as tasks, statuses in any spelling, fields
that are missing, null or of another type.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from airflow_provider_veo3.api.json_values import (
    UnusableError,
    names_zone,
    read_count,
    read_error,
    read_list,
    read_number,
    read_text,
    read_time,
)
from airflow_provider_veo3.api.models import Generation, HistoryPage, Status, Video, VideoModel
from airflow_provider_veo3.api.protocol import raw_generation_id
from airflow_provider_veo3.api.redact import redact_text
from airflow_provider_veo3.api.request import check_generation_id
from airflow_provider_veo3.api.urls import safe_join
from airflow_provider_veo3.exceptions import Veo3ValidationError

Json = Mapping[str, Any]

_WORDS: Final = {
    Status.PENDING: "pending queued in_queue submitted accepted created scheduled waiting",
    Status.PROCESSING: "processing running in_progress started generating rendering active",
    Status.COMPLETED: "completed complete success successful succeeded finished done ready available",
    Status.FAILED: "failed failure fail error errored expired canceled cancelled rejected refused blocked "
    "moderation moderated filtered flagged aborted terminated timeout timed_out",
}
"""Words for each status. The vendor's page of statuses has lost them; these are in its samples or common."""

_STATUSES: Final = {word: status for status, words in _WORDS.items() for word in words.split()}


def parse_status(value: object) -> Status:
    """Parse a status in any case; an unknown one counts as unfinished."""
    return _known_status(value) or Status.PROCESSING


def _known_status(value: object) -> Status | None:
    label = value.strip().lower() if isinstance(value, str) else ""
    return _STATUSES.get(label.replace(" ", "_").replace("-", "_"))


def parse_generation(body: Json, base_url: str) -> Generation:
    """Parse an acceptance, a status or an item of the history.

    :raises UnusableError: it has no usable id.
    """
    try:
        generation_id = check_generation_id(raw_generation_id(body), "taskId")
    except Veo3ValidationError as error:
        raise UnusableError("it has no generation id") from error
    return _generation(generation_id, body, base_url)


def _generation(generation_id: str, body: Json, base_url: str) -> Generation:
    # files are there whatever the status is called
    known = Status.COMPLETED if lists_files(body) else _known_status(body.get("status"))
    status = known or Status.PROCESSING
    videos = _videos_if_usable(body, base_url) if status is Status.COMPLETED else ()
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
        created_in_zone=names_zone(body.get("createdAt")),
        completed_at=read_time(body.get("completedAt")),
        processing_seconds=read_number(body.get("processingTime")),
        video_count=max(
            (count for count in (len(videos) or None, count_videos(body)) if count is not None), default=None
        ),
        videos=videos,
        error_code=code and redact_text(code),
        error=message and redact_text(message),
        raw_status=None if known else read_text(body.get("status")),
    )


def lists_files(body: Json) -> bool:
    """Return whether a status lists a file with a link."""
    return any(_link_of(item) for item in read_list(body.get("videos")))


def _link_of(item: Json) -> str | None:
    """Return the link of a file, under any of its names."""
    return next(
        (url for name in ("url", "videoUrl", "video_url") if (url := read_text(item.get(name)))), None
    )


def _videos_if_usable(body: Json, base_url: str) -> tuple[Video, ...]:
    """Parse the files of a status; a bad link must not hide the completion."""
    try:
        return parse_videos(body, base_url)
    except UnusableError:
        return ()


def parse_videos(body: Json, base_url: str) -> tuple[Video, ...]:
    """Parse the files of a status or download response, possibly none, in order.

    A link that may not be followed becomes empty, so that the other files can be stored.

    :raises UnusableError: no file has a usable link.
    """
    result = body.get("result")
    items = read_list(body.get("videos")) or [body, result if isinstance(result, Mapping) else {}]
    videos = []
    unusable: UnusableError | None = None
    for item in items:
        url = _link_of(item)
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


def count_videos(body: Json) -> int | None:
    """Return the number of files that the API counts, also unlisted ones."""
    counts = (read_count(body.get(name)) for name in ("totalVideos", "videoCount"))
    return max((count for count in counts if count is not None), default=None)


def parse_history_page(
    body: Json, base_url: str, limit: int, skip: int, clock_skew: float | None = None
) -> HistoryPage:
    """Parse a page of the history, with items without a usable id set apart.

    :raises UnusableError: it has no list, or reports a failure, which must not pass for an empty history.
    """
    if not isinstance(body.get("videos"), list):
        raise UnusableError("it has no list of generations")
    if body.get("success") is False:
        raise UnusableError("it reports a failure")
    is_longer = len(body["videos"]) > limit
    items = read_list(body["videos"][:limit])
    generations, unnamed = [], []
    for item in items:
        try:
            generations.append(parse_generation(item, base_url))
        except UnusableError:
            unnamed.append(_generation("", item, base_url))
    pagination = body.get("pagination")
    paging = pagination if isinstance(pagination, Mapping) else {}
    total = read_count(paging.get("total"))
    has_more = paging.get("hasMore")
    if not isinstance(has_more, bool):
        has_more = skip + len(items) < total if total is not None else len(items) >= limit
    next_skip = skip + len(items) if (has_more or is_longer) and items else None
    return HistoryPage(tuple(generations), total, next_skip, clock_skew, tuple(unnamed))


def parse_models(body: Json) -> tuple[VideoModel, ...]:
    """Parse the models and their prices.

    :raises UnusableError: it lists no model.
    """
    default = read_text(body.get("defaultModel"))
    items = read_list(body.get("models"))
    models = tuple(
        _model(item, model_id, default) for item in items if (model_id := read_text(item.get("id")))
    )
    if not models:
        raise UnusableError("it lists no model")
    return models


def _model(item: Json, model_id: str, default: str | None) -> VideoModel:
    pricing = item.get("pricing")
    prices = pricing if isinstance(pricing, Mapping) else {}
    capabilities = item.get("capabilities")
    return VideoModel(
        id=model_id,
        name=read_text(item.get("name")) or model_id,
        description=read_text(item.get("description")) or "",
        capabilities=tuple(filter(None, map(read_text, capabilities)))
        if isinstance(capabilities, list)
        else (),
        credits_per_video=read_count(prices.get("creditsPerVideo")),
        credits_per_video_no_audio=read_count(prices.get("creditsPerVideoNoAudio")),
        is_default=model_id == default,
    )
