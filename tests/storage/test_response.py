"""Judgement of file hosts' responses."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from airflow_provider_veo3.storage.response import (
    Failure,
    Progress,
    Remedy,
    backoff_seconds,
    ends_at,
    is_expiring,
    judge,
    video_mime_type,
)

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
HALF = Progress(offset=500, total=1000, etag='"a"')


@pytest.mark.parametrize(
    ("status", "headers", "progress", "expected"),
    [
        (200, {"content-length": "1000", "etag": '"a"'}, Progress(), Progress(0, 1000, '"a"')),
        (200, {}, Progress(), Progress(0, None, None)),
        (200, {"content-length": "many"}, Progress(), Progress(0, None, None)),
        # neither the length of encoded bytes nor a weak tag proves anything
        (
            200,
            {"content-length": "9", "etag": '"a"', "content-encoding": "gzip"},
            Progress(),
            Progress(0, None, None),
        ),
        (200, {"content-length": "9", "content-encoding": "identity"}, Progress(), Progress(0, 9, None)),
        (200, {"content-length": "9", "etag": 'W/"a"'}, Progress(), Progress(0, 9, None)),
        # the whole file, though the rest was requested: from the start
        (200, {"content-length": "1000", "etag": '"b"'}, HALF, Progress(0, 1000, '"b"')),
        (206, {"content-range": "bytes 500-999/1000", "etag": '"a"'}, HALF, HALF),
        (206, {"content-range": "bytes 500-999/*"}, HALF, HALF),
        (206, {"content-range": "bytes 500-999/1000"}, Progress(500, None, '"a"'), HALF),
    ],
)
def test_a_usable_body_has_a_place_in_the_file(
    status: int, headers: dict[str, str], progress: Progress, expected: Progress
) -> None:
    assert judge(status, headers, progress, NOW.timestamp()) == expected


@pytest.mark.parametrize(
    ("status", "headers", "remedy", "corrupt"),
    [
        (206, {"content-range": "bytes 400-999/1000"}, Remedy.RESTART, True),
        (206, {"content-range": "bytes 500-1999/2000"}, Remedy.RESTART, False),
        (206, {"content-range": "bytes 500-999/1000", "etag": '"b"'}, Remedy.RESTART, False),
        (206, {"content-type": "multipart/byteranges"}, Remedy.RESTART, True),
        (206, {}, Remedy.RESTART, True),
        (206, {"content-range": "bytes 500-999/1000", "content-encoding": "br"}, Remedy.RESTART, True),
        (416, {}, Remedy.RESTART, True),
        (400, {}, Remedy.FRESH_LINK, False),
        (401, {}, Remedy.FRESH_LINK, False),
        (403, {}, Remedy.FRESH_LINK, False),
        (404, {}, Remedy.FRESH_LINK, False),
        (410, {}, Remedy.FRESH_LINK, False),
        (408, {}, Remedy.RESUME, False),
        (429, {}, Remedy.RESUME, False),
        (500, {}, Remedy.RESUME, False),
        (503, {}, Remedy.RESUME, False),
        (204, {}, Remedy.RESUME, False),
        (304, {}, Remedy.RESUME, False),
    ],
)
def test_every_other_response_has_a_remedy(
    status: int, headers: dict[str, str], remedy: Remedy, corrupt: bool
) -> None:
    found = judge(status, headers, HALF, NOW.timestamp())
    assert isinstance(found, Failure)
    assert (found.remedy, found.corrupt) == (remedy, corrupt)


@pytest.mark.parametrize(
    ("header", "seconds"), [("7", 7.0), ("Fri, 02 Jan 2026 03:04:25 GMT", 20.0), (None, None)]
)
def test_the_host_may_ask_for_a_pause(header: str | None, seconds: float | None) -> None:
    found = judge(503, {"retry-after": header} if header else {}, Progress(), NOW.timestamp())
    assert isinstance(found, Failure)
    assert found.retry_after == seconds


def test_pauses_double_and_no_pause_is_longer_than_a_minute() -> None:
    assert [backoff_seconds(tries, None) for tries in (1, 2, 3, 4)] == [1, 2, 4, 8]
    assert [backoff_seconds(1, requested) for requested in (0.0, 7.5, 60.0, 86400.0)] == [0, 7.5, 60, 60]


def test_a_link_with_less_than_a_minute_left_is_expiring() -> None:
    assert not is_expiring(None, NOW)
    assert not is_expiring(NOW + timedelta(seconds=60), NOW)
    assert is_expiring(NOW + timedelta(seconds=59), NOW)
    assert is_expiring(NOW - timedelta(days=1), NOW)


def test_only_a_plain_video_type_is_accepted_from_the_network() -> None:
    assert video_mime_type("Video/MP4; codecs=avc1") == "video/mp4"
    assert video_mime_type("application/octet-stream", "video/webm") == "video/webm"
    assert video_mime_type("video/mp4\r\nSet-Cookie: a", "video/" + "x" * 100, "../../etc") == "video/mp4"


@pytest.mark.parametrize(
    ("status", "content_range", "ends"),
    [
        (416, "bytes */100", True),
        (416, None, True),
        (416, "bytes */200", False),
        (206, "bytes 100-199/200", False),
        (206, "bytes 99-199/200", None),
        (206, None, None),
        (200, None, None),
        (403, None, None),
        (503, None, None),
    ],
)
def test_a_request_for_what_follows_the_end_tells_whether_it_is_the_end(
    status: int, content_range: str | None, ends: bool | None
) -> None:
    headers = {} if content_range is None else {"content-range": content_range}
    assert ends_at(status, headers, 100) is ends
