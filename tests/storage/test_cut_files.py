"""Files cut at every byte: whatever the host announces and answers, no broken file is ever visible."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_veo3.api.models import Video
from airflow_provider_veo3.exceptions import Veo3NoAnswerError, Veo3StorageError
from airflow_provider_veo3.storage.mp4 import BoxWalk
from airflow_provider_veo3.storage.transfer import Transfer
from tests.support.file_host import box
from tests.support.real_mp4 import LAYOUTS, box_types, real_mp4
from tests.support.store_rig import FakeClock

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ETAG = {"etag": '"1"'}


@dataclass
class Host:
    """File host in memory that cuts bodies.

    :param file: what it has.
    :param cut: bytes of each body after which it ends.
    :param cuts: number of bodies that are cut, ``None`` for all.
    :param length: length it announces: ``right``, of the ``cut`` body, or ``none``.
    :param ranges: whether it honours ranges.
    """

    file: bytes
    cut: int
    cuts: int | None = None
    length: str = "right"
    ranges: bool = True
    requests: int = 0

    @contextmanager
    def open(self, url: str, *, offset: int = 0, if_match: str | None = None) -> Iterator[Any]:
        self.requests += 1
        start = offset if self.ranges else 0
        whole = self.file[start:]
        body = whole[: self.cut] if self.cuts is None or self.requests <= self.cuts else whole
        headers: dict[str, str] = dict(ETAG)
        if start and start >= len(self.file):
            headers["content-range"] = f"bytes */{len(self.file)}"
            yield Response(416, headers, b"")
            return
        if start:
            headers["content-range"] = f"bytes {start}-{len(self.file) - 1}/{len(self.file)}"
        if self.length != "none":
            headers["content-length"] = str(len(whole if self.length == "right" else body))
        broken = self.length == "right" and len(body) < len(whole)
        yield Response(206 if start else 200, headers, body, broken)


@dataclass
class Response:
    status: int
    headers: Mapping[str, str]
    body: bytes
    broken: bool = False

    def iter_bytes(self, chunk_size: int) -> Iterator[bytes]:
        for at in range(0, len(self.body), 500):
            yield self.body[at : at + 500]
        if self.broken:  # as the HTTP library says of a body shorter than announced
            raise Veo3NoAnswerError("the body broke off")


@dataclass
class MemorySink:
    published: list[bytes]
    data: bytearray = field(default_factory=bytearray)

    def write(self, data: bytes) -> None:
        self.data += data

    def publish(self, *, replace: bool = True) -> None:
        self.published.append(bytes(self.data))

    def discard(self) -> None:
        """Forget the file."""


class NoFile:
    is_own = is_protected = False

    def has_size(self, total: int | None) -> bool:
        return False

    def is_same(self, size: int, sha256: str) -> bool:
        return False


def published(host: Host) -> bytes | None:
    """Return what becomes visible of a file."""
    files: list[bytes] = []
    transfer = Transfer(
        "veo_1 file 0",
        open_file=host.open,
        video=Video("https://host/file"),
        renew_link=lambda: Video("https://host/file"),
        open_sink=lambda mime_type: MemorySink(files),
        existing=NoFile(),  # type: ignore[arg-type]
        lag_left=lambda: 0.0,
        clock=FakeClock(),
    )
    try:
        transfer.run()
    except Veo3StorageError:
        assert files == []
        return None
    (file,) = files
    return file


def ends_with_a_fragment(file: bytes, cut: int) -> bool:
    types = box_types(file[:cut])
    return types.count("moof") > 0 and types[-1] == "mdat" and file[:cut] in fragments(file)


def fragments(file: bytes) -> list[bytes]:
    """Return the beginnings of a file that end where a box ends."""
    ends, at = [], 0
    while at < len(file):
        at += int.from_bytes(file[at : at + 4], "big")
        ends.append(file[:at])
    return ends


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> None:
    """Thousands of warnings take longer than the transfers."""
    caplog.set_level("ERROR", logger="airflow_provider_veo3.storage.transfer")


layouts = pytest.mark.parametrize("layout", LAYOUTS)


@layouts
def test_the_files_have_the_boxes_of_their_layout(layout: str) -> None:
    types = box_types(real_mp4(layout))
    assert types[0] == "ftyp"
    assert (types.index("moov") > types.index("mdat")) == (layout == "progressive")
    assert types.count("moof") == (6 if layout.startswith("fragmented") else 0)
    assert (types[-1] == "mfra") == (layout == "fragmented")


@layouts
def test_a_body_that_breaks_off_is_resumed_to_the_whole(layout: str) -> None:
    file = real_mp4(layout)
    for cut in range(len(file) + 1):
        assert published(Host(file, cut, cuts=1)) == file, cut


@layouts
@pytest.mark.parametrize("ranges", [True, False])
def test_a_body_that_always_breaks_off_is_visible_only_when_resumed(layout: str, ranges: bool) -> None:
    file = real_mp4(layout)
    for cut in range(len(file)):
        found = published(Host(file, cut, ranges=ranges))
        assert found is None or (found == file and ranges), cut


@layouts
@pytest.mark.parametrize("cuts", [1, None])
def test_a_body_without_a_length_that_is_cut_is_completed_where_the_host_knows_ranges(
    layout: str, cuts: int | None
) -> None:
    file = real_mp4(layout)
    for cut in range(len(file)):
        found = published(Host(file, cut, cuts, length="none"))
        assert found == file or (found is None and cuts is None), cut


@layouts
def test_a_body_without_a_length_that_is_always_cut_is_never_visible(layout: str) -> None:
    file = real_mp4(layout)
    for cut in range(len(file)):
        assert published(Host(file, cut, length="none", ranges=False)) is None, cut


@layouts
def test_a_whole_body_without_a_length_is_taken_where_something_proves_its_end(layout: str) -> None:
    file = real_mp4(layout)
    assert published(Host(file, len(file), length="none")) == file
    proves_itself = layout != "fragmented, no index"
    assert published(Host(file, len(file), length="none", ranges=False)) == (file if proves_itself else None)


@layouts
def test_half_a_file_that_the_host_takes_for_the_whole_is_never_visible(layout: str) -> None:
    file = real_mp4(layout)
    for cut in range(len(file)):
        found = published(Host(file[:cut], cut))
        # nothing tells that more should follow whole fragments that the host says are all
        assert found is None or (found == file[:cut] and ends_with_a_fragment(file, cut)), cut


@pytest.mark.parametrize(
    "file",
    [
        box("ftyp", b"mp42"),
        box("ftyp", b"mp42") + box("moov", b"m" * 9),
        box("ftyp", b"mp42") + box("mdat", b"d" * 40),
        box("ftyp", b"mp42") + box("moov", b"m" * 9) + box("mdat", b""),
        box("ftyp", b"mp42") + box("moov", b"m" * 9) + box("moof", b"f") + box("free", b""),
        box("ftyp", b"mp42") + box("moov", b"m") + box("moof", b"f") + box("mdat", b"d") + box("moof", b"f"),
        box("ftyp", b"mp42") + b"no box at all, but some text",
    ],
)
@pytest.mark.parametrize("length", ["right", "none"])
def test_a_file_without_pictures_is_never_visible(file: bytes, length: str) -> None:
    assert published(Host(file, len(file), length=length)) is None


def test_boxes_of_an_unknown_type_do_not_hide_the_needed_ones() -> None:
    file = box("ftyp", b"mp42") + box("xtra", b"x" * 20) + box("moov", b"m" * 9) + box("mdat", b"d" * 40)
    assert published(Host(file, len(file))) == file
    for cut in range(len(file)):
        assert published(Host(file[:cut], cut)) is None, cut


@pytest.mark.parametrize("piece", [1, 3, 8, 17, 10_000])
@layouts
def test_the_walk_finds_the_same_in_pieces_of_any_size(layout: str, piece: int) -> None:
    file = real_mp4(layout)
    for cut in range(0, len(file) + 1, 7):
        walk, whole = BoxWalk(), BoxWalk()
        for start in range(0, cut, piece):
            walk.feed(file[start : min(start + piece, cut)])
        whole.feed(file[:cut])
        assert (walk.fault(), walk.proves_end) == (whole.fault(), whole.proves_end)
