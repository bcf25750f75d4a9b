"""Which files the Videos page opens, and which of their bytes a request gets."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_veo3.plugins.media import (
    Locations,
    NotAllowedError,
    NotAVideoError,
    Reader,
    UnsatisfiableRangeError,
    byte_range,
)

if TYPE_CHECKING:
    from pathlib import Path

FEW = 8
MP4 = b"\0\0\0\x18ftypmp42" + bytes(range(256)) * 8


@pytest.mark.parametrize(
    ("location", "uri"),
    [
        ("file:///videos/", "file:///videos/a.mp4"),
        ("file:///videos", "file:///videos/deep/er/a.mp4"),
        ("/videos", "file:///videos/a.mp4"),
        ("file:///videos", "/videos/a.mp4"),
        ("file:///videos", "file://conn@/videos/a.mp4"),
        ("file:///with%20percent", "file:///with%20percent/a b.mp4"),
        ("file:///with space/x", "file:///with space/x/a b.mp4"),
        ("s3://bucket/", "s3://bucket/a.mp4"),
        ("s3://bucket", "s3://bucket/deep/a.mp4"),
        ("s3://aws@bucket/videos", "s3://aws@bucket/videos/a.mp4"),
        ("s3://other/,\n  s3://aws@bucket/videos\n", "s3://aws@bucket/videos/ü.mp4"),
        ("s3://other/,s3://aws@bucket/videos,", "s3://aws@bucket/videos/a?b#c.mp4"),
        ("abfs://azure@box/videos", "abfs://azure@box/videos/a.mp4"),
    ],
)
def test_files_below_a_location_may_be_opened(location: str, uri: str) -> None:
    assert Locations(location).allow(uri)


@pytest.mark.parametrize(
    "uri",
    [
        "file:///etc/passwd",
        "/etc/passwd",
        "file:///videos",
        "file:///videos/",
        "file:///videos-of-others/a.mp4",
        "file:///videos/../etc/passwd",
        "file:///videos/deep/../../etc/passwd",
        "file:///videos/./a.mp4",
        "file:///videos//a.mp4",
        "file:///videos/..",
        "file://elsewhere/videos/a.mp4",
        "file:////videos/a.mp4",
        "file:/videos/a.mp4",
        "local:///etc/passwd",
        "http://169.254.169.254/videos/a.mp4",
        "https://bucket/videos/a.mp4",
        "s3://bucket/a.mp4",
        "s3://bucket/videos-of-others/a.mp4",
        "s3://bucket/videos/../a.mp4",
        "s3://conn@bucket/videos/a.mp4",
        "s3://user:password@bucket/videos/a.mp4",
        "s3://bucket.evil/videos/a.mp4",
        "s3a://bucket/videos/a.mp4",
        "gs://bucket/videos/a.mp4",
        "zip://a.mp4::file:///videos/a.zip",
        "file:///videos/a.mp4::file:///etc/passwd",
        "simplecache::file:///videos/a.mp4",
        "file:///videos/a.zip::local",
        "s3://bucket/videos/a.mp4::local",
        "file:///videos/a.mp4\0",
        "file:///videos/a\n.mp4",
        "memory://videos/a.mp4",
        "",
        "a.mp4",
    ],
)
def test_files_elsewhere_may_not(uri: str) -> None:
    assert not Locations("file:///videos, s3://bucket/videos").allow(uri)


@given(st.text())
def test_nothing_may_be_opened_without_a_location(uri: str) -> None:
    assert not Locations("")
    assert not Locations(" ,\n").allow(uri)


def test_no_location_is_configured_by_default() -> None:
    from airflow_provider_veo3.airflow_names import conf

    # as the page asks: a process of Airflow 3.1 may not have read the options of providers
    assert not Locations(conf.get("veo3", "gallery_locations", fallback=""))


@given(st.lists(st.sampled_from(["..", ".", "", "etc", "videos", "a.mp4"]), max_size=8))
def test_no_path_leads_out_of_a_location(steps: list[str]) -> None:
    if Locations("file:///srv/videos").allow("file:///srv/videos/" + "/".join(steps)):
        assert steps
        assert not {"..", ".", ""} & set(steps)


def test_no_link_on_the_disk_leads_out_of_a_location(tmp_path: Path) -> None:
    inside, outside = tmp_path / "videos", tmp_path / "secrets"
    inside.mkdir()
    outside.mkdir()
    (outside / "secret.mp4").write_bytes(MP4)
    (inside / "own.mp4").write_bytes(MP4)
    (inside / "link.mp4").symlink_to(outside / "secret.mp4")
    (inside / "folder").symlink_to(outside)
    (inside / "fine.mp4").symlink_to(inside / "own.mp4")
    locations = Locations(f"file://{inside}")
    for name in ("link.mp4", "folder/secret.mp4"):
        with pytest.raises(NotAllowedError):
            locations.open(f"file://{inside}/{name}")
    for name in ("own.mp4", "fine.mp4"):
        assert locations.open(f"file://{inside}/{name}").read(0, 4) == MP4[:4]
    with pytest.raises(FileNotFoundError):
        locations.open(f"file://{inside}/missing.mp4")
    with pytest.raises(NotAllowedError):
        locations.open(f"file://{outside}/secret.mp4")


def test_a_location_may_itself_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "disk" / "a.mp4").write_bytes(MP4)
    (tmp_path / "videos").symlink_to(tmp_path / "disk")
    file = Locations(str(tmp_path / "videos")).open(f"file://{tmp_path}/videos/a.mp4")
    assert (file.size, file.read(8, 12)) == (len(MP4), b"mp42")


def test_only_videos_are_played(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(MP4)
    (tmp_path / "keys.mp4").write_bytes(b"-----BEGIN PRIVATE KEY-----")
    (tmp_path / "empty.mp4").write_bytes(b"")
    locations = Locations(str(tmp_path))
    locations.open(f"file://{tmp_path}/a.mp4").check_is_video()
    for name in ("keys.mp4", "empty.mp4"):
        with pytest.raises(NotAVideoError):
            locations.open(f"file://{tmp_path}/{name}").check_is_video()


@pytest.mark.parametrize(
    ("header", "part"),
    [
        (None, None),
        ("", None),
        ("bytes=0-", (0, 1000)),
        ("bytes=0-0", (0, 1)),
        ("bytes=10-19", (10, 20)),
        (" bytes = 10 - 19 ", (10, 20)),
        ("bytes=990-5000", (990, 1000)),
        ("bytes=-10", (990, 1000)),
        ("bytes=-5000", (0, 1000)),
        ("bytes=-", None),
        ("bytes=20-10", None),
        ("bytes=0-1,5-6", None),
        ("bytes=a-b", None),
        ("bytes=0x1-0x2", None),
        ("bytes=\u0661-\u0662", None),
        ("items=0-1", None),
        (f"bytes={'9' * 5000}-", None),
    ],
)
def test_a_range_that_is_not_understood_is_ignored(header: str | None, part: tuple[int, int] | None) -> None:
    assert byte_range(header, 1000) == part


@pytest.mark.parametrize("header", ["bytes=1000-", "bytes=1000-2000", "bytes=-0"])
def test_a_range_after_the_end_is_refused(header: str) -> None:
    with pytest.raises(UnsatisfiableRangeError):
        byte_range(header, 1000)


@given(st.integers(1, 10**13), st.integers(0, 10**13), st.integers(0, 10**13))
def test_a_range_is_in_the_file_and_never_long(size: int, first: int, last: int) -> None:
    for header in (f"bytes={first}-", f"bytes={first}-{last}", f"bytes=-{last}"):
        try:
            part = byte_range(header, size)
        except UnsatisfiableRangeError:
            continue
        if part is not None:
            assert 0 <= part[0] < part[1] <= size
            assert part[1] - part[0] <= 4 * 1024 * 1024


def test_a_stream_has_the_bytes_of_its_range(tmp_path: Path) -> None:
    data = MP4 + bytes(3 * 1024 * 1024)
    (tmp_path / "a.mp4").write_bytes(data)
    file = Locations(str(tmp_path)).open(f"file://{tmp_path}/a.mp4")

    async def read(begin: int, end: int) -> bytes:
        return b"".join([part async for part in Reader().stream(file, begin, end)])

    for begin, end in ((0, len(data)), (5, 6), (1000, 2 * 1024 * 1024)):
        assert asyncio.run(read(begin, end)) == data[begin:end]


def test_viewers_of_a_slow_storage_take_few_threads() -> None:
    """Airflow's own routes run in the event loop's default threads, which are left alone."""
    released, running, most = threading.Event(), threading.Semaphore(0), []
    count = [0]

    def slow() -> None:
        count[0] += 1
        most.append(count[0])
        running.release()
        released.wait(60)
        count[0] -= 1

    async def watch() -> None:
        reader = Reader()
        viewers = [asyncio.create_task(reader.run(slow)) for _ in range(50)]
        for _ in range(FEW):
            await asyncio.to_thread(running.acquire)
        await asyncio.wait_for(asyncio.to_thread(lambda: None), 60)
        assert not running.acquire(timeout=0.2)
        released.set()
        await asyncio.gather(*viewers)

    asyncio.run(watch())
    assert max(most) == FEW
