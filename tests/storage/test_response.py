from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from airflow_provider_veo3.exceptions import Veo3ValidationError
from airflow_provider_veo3.storage.filename import name_file
from airflow_provider_veo3.storage.mp4 import BoxWalk
from airflow_provider_veo3.storage.response import (
    Cure,
    Have,
    Problem,
    clean_mime_type,
    is_expiring,
    is_page,
    judge,
    pause_after,
)
from tests.support.file_host import box

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
HALF = Have(offset=500, total=1000, etag='"a"')


@pytest.mark.parametrize(
    ("status", "headers", "have", "expected"),
    [
        (200, {"content-length": "1000", "etag": '"a"'}, Have(), Have(0, 1000, '"a"')),
        (200, {}, Have(), Have(0, None, None)),
        (200, {"content-length": "many"}, Have(), Have(0, None, None)),
        # a length that is of the encoded bytes, and a mark that does not prove equal bytes, prove nothing
        (
            200,
            {"content-length": "9", "etag": '"a"', "content-encoding": "gzip"},
            Have(),
            Have(0, None, None),
        ),
        (200, {"content-length": "9", "content-encoding": "identity"}, Have(), Have(0, 9, None)),
        (200, {"content-length": "9", "etag": 'W/"a"'}, Have(), Have(0, 9, None)),
        # all of it, though the rest was asked for: from the start
        (200, {"content-length": "1000", "etag": '"b"'}, HALF, Have(0, 1000, '"b"')),
        (206, {"content-range": "bytes 500-999/1000", "etag": '"a"'}, HALF, HALF),
        (206, {"content-range": "bytes 500-999/*"}, HALF, HALF),
        (206, {"content-range": "bytes 500-999/1000"}, Have(500, None, '"a"'), HALF),
    ],
)
def test_a_body_that_can_be_used_says_what_it_continues(
    status: int, headers: dict[str, str], have: Have, expected: Have
) -> None:
    assert judge(status, headers, have, NOW.timestamp()) == expected


@pytest.mark.parametrize(
    ("status", "headers", "cure", "corrupt"),
    [
        (206, {"content-range": "bytes 400-999/1000"}, Cure.RESTART, True),
        (206, {"content-range": "bytes 500-1999/2000"}, Cure.RESTART, False),
        (206, {"content-range": "bytes 500-999/1000", "etag": '"b"'}, Cure.RESTART, False),
        (206, {"content-type": "multipart/byteranges"}, Cure.RESTART, True),
        (206, {}, Cure.RESTART, True),
        (206, {"content-range": "bytes 500-999/1000", "content-encoding": "br"}, Cure.RESTART, True),
        (416, {}, Cure.RESTART, True),
        (400, {}, Cure.FRESH_LINK, False),
        (401, {}, Cure.FRESH_LINK, False),
        (403, {}, Cure.FRESH_LINK, False),
        (404, {}, Cure.FRESH_LINK, False),
        (410, {}, Cure.FRESH_LINK, False),
        (408, {}, Cure.AGAIN, False),
        (429, {}, Cure.AGAIN, False),
        (500, {}, Cure.AGAIN, False),
        (503, {}, Cure.AGAIN, False),
        (204, {}, Cure.AGAIN, False),
        (304, {}, Cure.AGAIN, False),
    ],
)
def test_every_other_answer_says_what_may_help(
    status: int, headers: dict[str, str], cure: Cure, corrupt: bool
) -> None:
    found = judge(status, headers, HALF, NOW.timestamp())
    assert isinstance(found, Problem)
    assert (found.cure, found.corrupt) == (cure, corrupt)


@pytest.mark.parametrize(
    ("header", "pause"), [("7", 7.0), ("Fri, 02 Jan 2026 03:04:25 GMT", 20.0), (None, None)]
)
def test_the_host_may_say_how_long_to_wait(header: str | None, pause: float | None) -> None:
    found = judge(503, {"retry-after": header} if header else {}, Have(), NOW.timestamp())
    assert isinstance(found, Problem)
    assert found.pause == pause


def test_pauses_double_and_no_pause_is_longer_than_a_minute() -> None:
    assert [pause_after(tries, None) for tries in (1, 2, 3, 4)] == [1, 2, 4, 8]
    assert [pause_after(1, asked) for asked in (0.0, 7.5, 60.0, 86400.0)] == [0, 7.5, 60, 60]


def test_a_link_with_less_than_a_minute_left_is_not_begun_with() -> None:
    assert not is_expiring(None, NOW)
    assert not is_expiring(NOW + timedelta(seconds=60), NOW)
    assert is_expiring(NOW + timedelta(seconds=59), NOW)
    assert is_expiring(NOW - timedelta(days=1), NOW)


def test_only_the_plain_type_of_a_video_is_taken_from_the_network() -> None:
    assert clean_mime_type("Video/MP4; codecs=avc1") == "video/mp4"
    assert clean_mime_type("application/octet-stream", "video/webm") == "video/webm"
    assert clean_mime_type("video/mp4\r\nSet-Cookie: a", "video/" + "x" * 100, "../../etc") == "video/mp4"


def test_texts_are_told_from_files() -> None:
    pages = ("text/html", "text/plain", "application/json", "application/xml", "application/xhtml+xml")
    assert all(map(is_page, pages))
    assert not any(map(is_page, ("video/mp4", "application/octet-stream", "binary/octet-stream", "")))


@pytest.mark.parametrize(
    ("template", "name"),
    [
        ("{generation_id}_{index}.mp4", "veo_1_3.mp4"),
        ("clips/{generation_id}/{index:02d}.mp4", "clips/veo_1/03.mp4"),
        ("2026-01-02/hero.mp4", "2026-01-02/hero.mp4"),
        ("{{{generation_id}}}.mp4", "{veo_1}.mp4"),
    ],
)
def test_a_template_names_a_file_below_the_destination(template: str, name: str) -> None:
    assert name_file(template, "veo_1", 3) == name


@pytest.mark.parametrize(
    "template",
    [
        "",
        "/etc/{generation_id}",
        "../{generation_id}",
        "a/../../{generation_id}",
        "a//{generation_id}",
        "{generation_id}/",
        ".{generation_id}",
        "a\\{generation_id}",
        "s3://other/{generation_id}",
        "a\n{generation_id}",
        "a\x00{generation_id}",
        "{generation_id",
        "{prompt}",
        "{}",
        "{generation_id.__class__}",
        "{generation_id!r}",
        "{generation_id:>99}",
        "{index:999999999}",
        "{index:{generation_id}}",
        "x" * 513,
        None,
    ],
)
def test_a_template_that_leads_elsewhere_is_refused_with_what_is_allowed(template: str) -> None:
    with pytest.raises(Veo3ValidationError, match=r"filename=.*allowed.*generation_id") as caught:
        name_file(template, "veo_1", 0)
    assert caught.value.field == "filename"


WHOLE = box("ftyp", b"mp42") + box("free", b"") + box("moov", b"m" * 9) + box("mdat", b"d" * 40)
LONG = (1).to_bytes(4, "big") + b"mdat" + (36).to_bytes(8, "big") + b"d" * 20


@pytest.mark.parametrize("piece", [1, 3, 7, 8, 9, 16, 1000])
@pytest.mark.parametrize(
    ("file", "complaint"),
    [
        (WHOLE, None),
        (WHOLE + LONG, None),
        (WHOLE + b"\x00\x00\x00\x00mdat and so on", None),
        (WHOLE + b"some bytes that are no box, whoever put them there", None),
        (WHOLE[:-1], "its box 'mdat'"),
        (WHOLE[:30], "its box 'moov'"),
        ((WHOLE + LONG)[:-1], "its box 'mdat'"),
    ],
)
def test_boxes_tell_a_file_that_is_cut_off(file: bytes, complaint: str | None, piece: int) -> None:
    walk = BoxWalk()
    for start in range(0, len(file), piece):
        walk.feed(file[start : start + piece])
    found = walk.complaint()
    assert found is None if complaint is None else complaint in (found or "")
