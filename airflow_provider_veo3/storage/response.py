"""Judgement of a file host's response: a body to write, or a failure and its remedy."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, TypeVar

from airflow_provider_veo3.api.retry_after import retry_after
from airflow_provider_veo3.exceptions import shown
from airflow_provider_veo3.storage.encoding import is_plain

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

T = TypeVar("T")

MAX_BACKOFF: Final = 60.0
"""Seconds of the longest pause between two attempts, also where the host asks for more."""

PATIENCE: Final = 120.0
"""Seconds for which an API or a host that is away, or a file that is not there yet, is waited for."""

LAG_PAUSE: Final = 15.0
"""Seconds of the longest pause between two attempts while a file is not there yet."""

EXPIRY_MARGIN: Final = timedelta(minutes=1)
"""Time that a link must have left for a request to start with it."""

FREE_RETRY: Final = (
    "The generation's credits are spent. Retry this task: downloading costs no credits while the file's links"
    " work, about 24 hours from completion"
)
"""Credits and next step, for the errors of a video that was not stored."""

_TEMPORARY: Final = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS)
"""Client errors that the same request may not meet again."""

_CONTENT_RANGE: Final = re.compile(r"\s*bytes (?P<start>\d+)-\d+/(?P<total>\d+|\*)\s*", re.ASCII)


@dataclass(frozen=True)
class Progress:
    """Written part of a file, and the version of the file that it belongs to."""

    offset: int = 0
    """Bytes written."""
    total: int | None = None
    """Bytes of the whole file; ``None`` when the host did not say."""
    etag: str | None = None
    """Strong entity tag of the file; ``None`` when the host sent none."""

    @property
    def resumable(self) -> bool:
        """Return whether a later response can be recognised as the rest of the same file."""
        return self.offset > 0 and (self.etag is not None or self.total is not None)


class Remedy(Enum):
    """Next step after a failed attempt; the log says "will" and the value."""

    RESUME = "request the missing bytes"
    RESTART = "start again from the first byte"
    FRESH_LINK = "use a fresh link"


@dataclass(frozen=True)
class Failure:
    """Cause of a failed attempt, and the next step."""

    remedy: Remedy
    """Next step."""
    reason: str
    """Sentence without full stop, for people; holds no secret."""
    retry_after: float | None = None
    """Seconds that the host asked to wait."""
    corrupt: bool = False
    """True if the host sent other bytes than the announced video, rather than none."""


def judge(status: int, headers: Mapping[str, str], progress: Progress, now: float) -> Progress | Failure:
    """Return where in the file the body of a response starts, or the failure.

    :param headers: names in lower case.
    :param progress: what is written so far.
    :param now: Unix seconds, to read a ``Retry-After`` that is a date.
    """
    if status == HTTPStatus.OK:
        return _judge_whole_file(headers)
    if status == HTTPStatus.PARTIAL_CONTENT:
        return _judge_rest(headers, progress)
    if status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
        reason = f"the file host has nothing after byte {progress.offset} (416) of {progress.total} announced"
        return Failure(Remedy.RESTART, reason, corrupt=True)
    reason = f"the file host responded with status {status}"
    if status in _TEMPORARY or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return Failure(Remedy.RESUME, reason, retry_after(status, headers, {}, now))
    if status >= HTTPStatus.BAD_REQUEST:  # stores disagree on which of 400, 401, 403, 404 and 410 is expired
        return Failure(Remedy.FRESH_LINK, f"the file host refused the link ({status})")
    return Failure(Remedy.RESUME, f"{reason} and no file")


def _judge_whole_file(headers: Mapping[str, str]) -> Progress:
    """Read the headers of a whole file, requested or sent instead of the rest."""
    if _is_encoded(headers):  # the length and the tag are those of the encoded bytes
        return Progress()
    length = headers.get("content-length", "").strip()
    known = length.isascii() and length.isdecimal()
    return Progress(0, int(length) if known else None, _strong_etag(headers))


def _judge_rest(headers: Mapping[str, str], progress: Progress) -> Progress | Failure:
    """Check that a partial body continues what is written."""
    content_range = headers.get("content-range", "")
    match = _CONTENT_RANGE.fullmatch(content_range)
    if match is None or int(match["start"]) != progress.offset or _is_encoded(headers):
        reason = f"the file host sent the wrong range: {shown(content_range or 'no Content-Range')}"
        return Failure(Remedy.RESTART, reason, corrupt=True)
    total = None if match["total"] == "*" else int(match["total"])
    etag = _strong_etag(headers)
    if _differ(progress.etag, etag) or _differ(progress.total, total):
        return Failure(Remedy.RESTART, "the file changed between two requests")
    return Progress(progress.offset, progress.total if total is None else total, progress.etag or etag)


def _is_encoded(headers: Mapping[str, str]) -> bool:
    return not is_plain(headers.get("content-encoding", ""))


def _strong_etag(headers: Mapping[str, str]) -> str | None:
    """Return the entity tag if equal tags prove equal bytes."""
    etag = headers.get("etag")
    return etag if etag and not etag.startswith("W/") else None


def _differ(before: T | None, after: T | None) -> bool:
    """Return whether two values are both known and unequal."""
    return bool(before and after) and before != after


def ends_at(status: int, headers: Mapping[str, str], offset: int) -> bool | None:
    """Return whether a file ends at a byte, by the response about the rest.

    :return: ``None`` if the response does not tell.
    """
    content_range = headers.get("content-range", "").strip()
    if status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
        return content_range in ("", "bytes */*", f"bytes */{offset}")
    match = _CONTENT_RANGE.fullmatch(content_range)
    if status == HTTPStatus.PARTIAL_CONTENT and match is not None and int(match["start"]) == offset:
        return False
    return None


def backoff_seconds(attempts: int, requested: float | None) -> float:
    """Return the seconds to wait after attempts without progress: doubling from 1, or as requested."""
    return min(MAX_BACKOFF, 2.0 ** (attempts - 1) if requested is None else requested)


def is_expiring(expires_at: datetime | None, now: datetime) -> bool:
    """Return whether a link is too old for a request to start with it."""
    return expires_at is not None and expires_at - now < EXPIRY_MARGIN


def video_mime_type(*candidates: str) -> str:
    """Return the first plain video type among untrusted media types."""
    for candidate in candidates:
        mime_type = candidate.partition(";")[0].strip().lower()
        if re.fullmatch(r"video/[a-z0-9][a-z0-9.+-]{0,60}", mime_type):
            return mime_type
    return "video/mp4"


def media_type(headers: Mapping[str, str]) -> str:
    """Return the media type of a body, without parameters."""
    return headers.get("content-type", "").partition(";")[0].strip().lower()
