"""The file host: signatures, expiry, ranges, and stand-ins of any size."""

from __future__ import annotations

import re
import tracemalloc

import httpx
import pytest

from airflow_provider_veo3.emulator.http.response_bodies import NoiseBody

SIZE = 5000


@pytest.fixture
def files(start):
    return start(file_size=SIZE)


@pytest.fixture
def url(files):
    return files.urls(files.finished())[0]


def test_a_whole_file(files, url):
    response = files.get(url)
    assert response.status_code == 200
    assert len(response.content) == SIZE
    assert response.content[4:8] == b"ftyp"
    assert response.headers["content-type"] == "video/mp4"
    assert response.headers["accept-ranges"] == "bytes"
    assert response.headers["content-length"] == str(SIZE)
    assert response.headers["etag"].startswith('"')


def test_head(files, url):
    assert files.http.head(url, headers={"Range": "bytes=0-9"}).status_code == 200
    response = files.http.head(url)
    assert (response.status_code, response.content) == (200, b"")
    assert response.headers["content-length"] == str(SIZE)
    assert files.emulator.ledger()["totals"]["fetched_files"] == 0


@pytest.mark.parametrize(
    ("requested", "first", "stop"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=10-19", 10, 20),
        ("bytes=4990-", 4990, SIZE),
        ("bytes=4990-99999", 4990, SIZE),
        ("bytes=-10", 4990, SIZE),
        ("bytes=-99999", 0, SIZE),
    ],
)
def test_ranges(files, url, requested, first, stop):
    whole = files.get(url).content
    response = files.get(url, Range=requested)
    assert response.status_code == 206
    assert response.content == whole[first:stop]
    assert response.headers["content-range"] == f"bytes {first}-{stop - 1}/{SIZE}"
    assert response.headers["content-length"] == str(stop - first)


@pytest.mark.parametrize("requested", ["bytes=5-3", "bytes=-", "bytes=0-1,3-4", "pages=1-2", "bytes=a-b"])
def test_an_invalid_range_gets_the_whole_file(files, url, requested):
    response = files.get(url, Range=requested)
    assert (response.status_code, len(response.content)) == (200, SIZE)


@pytest.mark.parametrize("requested", ["bytes=5000-", "bytes=9999-10000", "bytes=-0"])
def test_ranges_beyond_the_end(files, url, requested):
    response = files.get(url, Range=requested)
    assert (response.status_code, response.headers["content-range"]) == (416, f"bytes */{SIZE}")
    assert response.content == b""


def test_if_range(files, url):
    etag = files.get(url).headers["etag"]
    assert files.get(url, Range="bytes=1-", If_Range=etag).status_code == 206
    assert files.get(url, Range="bytes=1-", If_Range='"other"').status_code == 200


def test_other_methods_are_refused(files, url):
    assert httpx.Client.request(files.http, "POST", url).status_code == 405


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (r"Signature=.", "Signature=_"),
        (r"Expires=86400", "Expires=99999"),
        (r"Date=2026", "Date=2027"),
        (r"\?.*", ""),
        (r"sample_0", "sample_1"),
    ],
)
def test_signatures(files, url, old, new):
    response = files.get(re.sub(old, new, url))
    assert response.status_code == 403
    assert b"SignatureDoesNotMatch" in response.content


def test_unknown_files(files, url):
    for path in ("/", "/veo3gen-gen-video/videos/veo_0_x/sample_0.mp4"):
        response = files.get(files.emulator.files_url + path)
        assert (response.status_code, b"NoSuchKey" in response.content) == (404, True)


@pytest.mark.parametrize("status", [403, 404])
@pytest.mark.parametrize(("scale", "lifetime"), [(1, 86_400), (7, 86_400 / 7)])
def test_expiry(start, status, scale, lifetime):
    api = start(file_size=SIZE, expired_url_status=status, time_scale=scale)
    url = api.urls(api.finished())[0]
    api.emulator.advance(lifetime - 1)
    assert api.get(url).status_code == 200
    api.emulator.advance(1.1)
    assert api.get(url).status_code == status


def test_download_signs_anew(start):
    api = start(file_size=SIZE)
    task_id = api.finished()
    api.emulator.advance(86_400)
    stale = api.status(task_id).json()["videos"][0]["url"]
    fresh = api.download(task_id).json()["videos"][0]
    assert api.get(stale).status_code == 403
    assert api.get(fresh["url"]).status_code == 200
    assert fresh["expiresAt"] == "2026-01-03T00:03:20.000Z"


def test_download_may_repeat_the_first_urls(start):
    api = start(file_size=SIZE, resign_urls=False)
    task_id = api.finished()
    first = api.download(task_id).json()
    api.emulator.advance(100)
    assert api.download(task_id).json() == first
    assert api.status(task_id).json()["videos"] == first["videos"]
    api.emulator.advance(86_400)
    assert api.get(first["videos"][0]["url"]).status_code == 403


def test_a_key_at_the_file_host_is_a_leak(files, url):
    files.get(url)
    assert files.emulator.ledger()["api_key_leaks"] == []
    files.http.get(url)
    leaks = files.emulator.ledger()["api_key_leaks"]
    assert [leak["path"] for leak in leaks] == [httpx.URL(url).path]
    assert files.emulator.api_key not in str(leaks)


def test_fetches_are_counted(files):
    first, second = files.urls(files.finished(sampleCount=2))
    files.get(first)
    files.get(first, Range="bytes=0-9")
    files.get(first, Range="bytes=9999-")
    files.get(second)
    ledger = files.emulator.ledger()
    assert ledger["tasks"][0]["fetched"] == [
        {"index": 0, "requests": 2, "bytes": SIZE + 10},
        {"index": 1, "requests": 1, "bytes": SIZE},
    ]
    assert (ledger["totals"]["fetched_files"], ledger["totals"]["fetched_bytes"]) == (2, 2 * SIZE + 10)


def test_a_stand_in_has_the_same_bytes_from_every_start():
    body = NoiseBody(3_000_000)
    whole = b"".join(body.read(0, body.size))
    assert len(whole) == 3_000_000
    assert whole[:12] == b"\0\0\0\x20ftypisom"
    assert whole[32:48] == b"\0\0\0\x08moov\0\0\0\x01mdat"
    assert int.from_bytes(whole[48:56], "big") == 3_000_000 - 40
    for start, stop in ((0, 10), (30, 60), (48, 49), (1_048_000, 1_050_000), (2_999_999, 3_000_000)):
        assert b"".join(body.read(start, stop)) == whole[start:stop]


@pytest.mark.parametrize(
    ("layout", "boxes"),
    [
        ("moov-first", [b"ftyp", b"moov", b"mdat"]),
        ("moov-last", [b"ftyp", b"mdat", b"moov"]),
        ("fragments", [b"ftyp", b"moov", b"moof", b"mdat"]),
    ],
)
@pytest.mark.parametrize("size", [64, SIZE])
def test_file_layout(start, layout, boxes, size):
    api = start(file_layout=layout, file_size=size)
    url = api.urls(api.finished())[0]
    whole = api.get(url).content
    assert len(whole) == size
    found, at = [], 0
    while at < size:
        length = int.from_bytes(whole[at : at + 4], "big")
        found.append(whole[at + 4 : at + 8])
        at += length if length != 1 else int.from_bytes(whole[at + 8 : at + 16], "big")
    assert (found, at) == (boxes, size)
    for first in range(max(0, size - 20), size):
        assert api.get(url, Range=f"bytes={first}-").content == whole[first:]


def test_a_huge_stand_in_needs_no_memory(start):
    size = 10**12
    api = start(file_size=size)
    url = api.urls(api.finished())[0]
    tracemalloc.start()
    try:
        response = api.get(url, Range=f"bytes={size - 3_000_000}-")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert response.headers["content-range"].endswith(f"/{size}")
    assert len(response.content) == 3_000_000
    assert peak < 30_000_000
