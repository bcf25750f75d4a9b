"""What a file host's answer means, and what to do about it: pure decisions."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from airflow_provider_veo3.api.retry_after import retry_after

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

LONGEST_PAUSE: Final = 60.0
"""Seconds of the longest wait between two tries, also where the host asks for more."""

EXPIRY_MARGIN: Final = timedelta(minutes=1)
"""A link with less left than this is not begun with."""


@dataclass(frozen=True)
class Have:
    """What is written of a file so far, and of which."""

    offset: int = 0
    """Bytes written."""
    total: int | None = None
    """Bytes of the whole file; ``None`` when not told."""
    etag: str | None = None
    """The host's mark of this version of the file; ``None`` when it gave none that proves equality."""

    @property
    def resumable(self) -> bool:
        """Whether the rest can be recognised as belonging to what is there."""
        return self.offset > 0 and (self.etag is not None or self.total is not None)


class Cure(Enum):
    """What may help after a failed try, besides time."""

    AGAIN = "ask for what is missing"
    RESTART = "begin at the first byte"
    FRESH_LINK = "use a fresh link"


@dataclass(frozen=True)
class Problem:
    """Why a try failed."""

    cure: Cure
    text: str
    """For people; holds no secret."""
    pause: float | None = None
    """Seconds the host asked to wait."""
    corrupt: bool = False
    """Whether bytes came that are not the announced video, rather than none."""


def judge(status: int, headers: Mapping[str, str], have: Have, now: float) -> Have | Problem:
    """Say what an answer's body continues: ``have``, or a file from its first byte; or why it is of no use.

    :param now: Unix seconds, to read a ``Retry-After`` that is a date.
    """
    if status in (HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT):
        return _judge_body(status, headers, have)
    if status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
        text = f"it has nothing beyond byte {have.offset} (416), but announced {have.total}"
        return Problem(Cure.RESTART, text, corrupt=True)
    asked = retry_after(status, headers, {}, now)
    passing = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS)
    if status in passing or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return Problem(Cure.AGAIN, f"it answered {status}", asked)
    if status >= HTTPStatus.BAD_REQUEST:  # stores disagree on which of 400, 401, 403, 404 and 410 is expired
        return Problem(Cure.FRESH_LINK, f"it refused the link ({status})")
    return Problem(Cure.AGAIN, f"it answered {status}, with no file")


def _judge_body(status: int, headers: Mapping[str, str], have: Have) -> Have | Problem:
    encoded = headers.get("content-encoding", "identity").strip().lower() not in ("", "identity")
    tag = headers.get("etag")
    etag = tag if tag and not tag.startswith("W/") and not encoded else None
    if status == HTTPStatus.OK:  # the whole file, also where only the rest was asked for
        length = headers.get("content-length", "").strip()
        told = length.isascii() and length.isdecimal() and not encoded  # the length is of the encoded bytes
        return Have(0, int(length) if told else None, etag)
    found = re.fullmatch(r"\s*bytes (\d+)-\d+/(\d+|\*)\s*", headers.get("content-range", ""), re.ASCII)
    if found is None or encoded or int(found[1]) != have.offset:
        text = f"it sent the wrong part: {headers.get('content-range', 'not said which')!r:.80}"
        return Problem(Cure.RESTART, text, corrupt=True)
    total = None if found[2] == "*" else int(found[2])
    if (have.etag and etag and have.etag != etag) or (have.total and total and have.total != total):
        return Problem(Cure.RESTART, "the file changed between two requests")
    return Have(have.offset, have.total if total is None else total, have.etag or etag)


def pause_after(tries: int, asked: float | None) -> float:
    """Return the seconds to wait after ``tries`` fruitless tries in a row: 1, 2, 4 ..., or as asked."""
    return min(LONGEST_PAUSE, 2.0 ** (tries - 1) if asked is None else asked)


def is_expiring(expires_at: datetime | None, now: datetime) -> bool:
    """Whether a link is too old to begin with."""
    return expires_at is not None and expires_at - now < EXPIRY_MARGIN


def clean_mime_type(*candidates: str) -> str:
    """Return the first that is the plain type of a video: it comes from the network, and goes to XCom."""
    for candidate in candidates:
        kind = candidate.partition(";")[0].strip().lower()
        if re.fullmatch(r"video/[a-z0-9][a-z0-9.+-]{0,60}", kind):
            return kind
    return "video/mp4"


def is_page(kind: str) -> bool:
    """Whether a media type is one of texts, which are sent where a file is not handed out."""
    return kind.startswith("text/") or kind.rpartition("/")[2].rpartition("+")[2] in ("html", "xml", "json")


def media_type(headers: Mapping[str, str]) -> str:
    """Return what the answer says its body is, without parameters."""
    return headers.get("content-type", "").partition(";")[0].strip().lower()
