"""Behaviour of other APIs and file hosts that the vendor's pages do not exclude.

Each option is off by default, so that the emulator behaves as documented.
"""

from __future__ import annotations

from typing import Annotated, Literal

import pydantic

from airflow_provider_veo3.emulator.config.options import HEADER_TEXT, YEAR, option
from airflow_provider_veo3.emulator.config.variants import Variants

GENERATIONS = "quirks of generations (on no page of the vendor)"
FILES = "quirks of video files and their links (on no page of the vendor)"
HISTORY = "quirks of the history (on no page of the vendor)"
ERRORS = "quirks of errors (on no page of the vendor)"
TIMES = "quirks of times and clocks (on no page of the vendor)"

TimeForm = Literal[
    "iso", "local", "milliseconds", "seconds", "milliseconds-text", "seconds-text", "null", "absent"
]
FileLayout = Literal["moov-first", "moov-last", "fragments"]
ID_PLACE = "{id}"
_ID_LENGTH = 1000


def _id_template(template: str | None) -> str | None:
    if template is not None and ID_PLACE not in template:
        raise ValueError(f"must contain {ID_PLACE}, the place of an id that is unique")
    if template is not None and not template.isprintable():
        raise ValueError("must be printable text")
    return template


class Quirks(Variants, frozen=True):
    """Behaviour of the API beyond the vendor's pages."""

    # Generations.
    pending_word: str | None = option(
        None, GENERATIONS, "status word of a pending generation, in place of status_labels; or 'off'"
    )
    processing_word: str | None = option(
        None, GENERATIONS, "status word of a generation that is processing, such as rendering; or 'off'"
    )
    completed_word: str | None = option(
        None, GENERATIONS, "status word of a completed generation, such as finished, ready, done; or 'off'"
    )
    failed_word: str | None = option(
        None,
        GENERATIONS,
        "status word of a failed generation, such as expired, canceled, rejected, blocked; or 'off'",
    )
    failed_task_id: bool = option(
        True, GENERATIONS, "send taskId in the status response of a failed generation"
    )
    error_task_id: bool = option(
        False,
        GENERATIONS,
        "send taskId in the errors about a generation: TASK_NOT_FOUND, GENERATION_FAILED, VIDEO_NOT_READY, "
        "NO_VIDEOS",
    )
    videos_lag_seconds: float = option(
        0.0,
        GENERATIONS,
        "seconds from the completion in which the videos are not listed in full, although totalVideos and "
        "videoCount count them (divided by the time scale)",
        ge=0,
        le=86_400,
    )
    videos_lag_shows: Literal["empty", "missing", "one-less", "no-videos"] = option(
        "empty",
        GENERATIONS,
        "the videos in that time: an empty list, no list, one less than there are, or an empty list with "
        "404 NO_VIDEOS from download",
    )
    status_lag_seconds: float = option(
        0.0,
        GENERATIONS,
        "seconds from the acceptance in which status and download respond with 404 TASK_NOT_FOUND "
        "(divided by the time scale)",
        ge=0,
        le=86_400,
    )
    task_id_template: Annotated[str | None, pydantic.AfterValidator(_id_template)] = option(
        None,
        GENERATIONS,
        "text of every task id, with {id} in the place of an id as task_ids has it, such as "
        "'a/b %2F+c:~ {id}'; URLs need it percent-encoded; or 'off'",
        max_length=_ID_LENGTH,
    )
    numeric_task_ids: bool = option(
        False, GENERATIONS, "task ids are numbers in JSON; task_ids and task_id_template have no effect then"
    )

    # Video files and their links.
    file_lag_seconds: float = option(
        0.0,
        FILES,
        "seconds from the completion in which the file host responds with 404 (divided by the time scale)",
        ge=0,
        le=86_400,
    )
    file_content_type: str = option("video/mp4", FILES, "Content-Type of the files", pattern=HEADER_TEXT)
    file_encoding: Literal["none", "gzip", "deflate", "unknown"] = option(
        "none",
        FILES,
        "Content-Encoding of the files, whatever the client accepts; unknown = x-veo3, which no client knows",
    )
    file_layout: FileLayout = option(
        "moov-first",
        FILES,
        "boxes of the stand-ins of file_size: moov-first = ftyp, moov, mdat; moov-last = ftyp, mdat, moov; "
        "fragments = ftyp, moov, moof, mdat",
    )
    url_escapes: bool = option(
        False,
        FILES,
        "the links have percent escapes that a library would spell otherwise, such as %7E and lower-case "
        "digits; the file host compares signed links byte for byte",
    )
    url_whitespace: Literal["none", "around", "inside", "around-and-inside"] = option(
        "none",
        FILES,
        "white space in the links: around them, or inside, where the file host expects %20",
    )

    # Errors.
    error_http_status: Literal["documented", "200"] = option(
        "documented", ERRORS, "HTTP status of all errors of the endpoints; 200 = errors inside a success"
    )

    # The history.
    history_page_limit: int | None = option(
        None, HISTORY, "rows of a page at most, whatever limit is requested and shown; or 'off'", ge=1
    )
    history_has_more_value: Literal["right", "false", "true"] = option(
        "right", HISTORY, "value of pagination.hasMore: right, or always false, or always true"
    )
    history_skip_ignored: bool = option(False, HISTORY, "each page begins with the first row")

    # Times and clocks.
    history_created_at: TimeForm = option(
        "iso",
        TIMES,
        "form of createdAt in the history: iso; local = without a zone; milliseconds or seconds since 1970, "
        "as a number or as text; null or absent. completedAt has the same form, but stays iso beside null "
        "and absent",
    )
    status_created_at: TimeForm = option(
        "iso", TIMES, "form of createdAt in status responses, with the choices of history_created_at"
    )
    local_offset_hours: float = option(
        2.0, TIMES, "offset of the local times from UTC, in hours", ge=-14, le=14
    )
    clock_offset_seconds: float = option(
        0.0,
        TIMES,
        "seconds by which the API's own clock is fast, or slow if negative: createdAt, completedAt, "
        "expiresAt, X-RateLimit-Reset, and the times in task ids",
        ge=-YEAR,
        le=YEAR,
    )
    date_offset_seconds: float = option(
        0.0,
        TIMES,
        "seconds by which the clock of the Date header, that is of a gateway, is fast, or slow if negative",
        ge=-YEAR,
        le=YEAR,
    )
