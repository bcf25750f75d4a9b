"""Bodies of responses: bytes in memory, a file on disk, or noise of any size."""

from __future__ import annotations

import functools
import random
import struct
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from airflow_provider_veo3.emulator.config.quirks import FileLayout

CHUNK = 256 * 1024
# A prime number of bytes: a download resumed at the wrong place cannot be equal by chance.
NOISE_LENGTH = 1_048_573
# Boxes without content before and after the mdat box.
_BOXES: dict[FileLayout, tuple[tuple[bytes, ...], tuple[bytes, ...]]] = {
    "moov-first": ((b"moov",), ()),
    "moov-last": ((), (b"moov",)),
    "fragments": ((b"moov", b"moof"), ()),
}
_FTYP = struct.pack(">I4s4sI4s4s4s4s", 32, b"ftyp", b"isom", 512, b"isom", b"iso2", b"avc1", b"mp41")


class Body(Protocol):
    """A body of known size with random access."""

    size: int
    """Size in bytes."""

    def read(self, start: int, stop: int) -> Iterator[bytes]:
        """Yield the bytes from start to stop in chunks."""


class BytesBody:
    """A body in memory."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.size = len(data)

    def read(self, start: int, stop: int) -> Iterator[bytes]:
        """Yield the bytes from start to stop in chunks."""
        for at in range(start, stop, CHUNK):
            yield self._data[at : min(at + CHUNK, stop)]


class PartBody:
    """The beginning of a body."""

    def __init__(self, whole: Body, size: int) -> None:
        self._whole = whole
        self.size = size

    def read(self, start: int, stop: int) -> Iterator[bytes]:
        """Yield the bytes from start to stop in chunks."""
        return self._whole.read(start, stop)


class FilledBody:
    """A body with many equally long parts, which are made while they are sent.

    :param head: the bytes before the parts.
    :param part: the part of a number.
    :param count: number of parts.
    :param tail: the bytes behind the parts.
    """

    def __init__(self, head: bytes, part: Callable[[int], bytes], count: int, tail: bytes) -> None:
        self._head, self._part, self._count, self._tail = head, part, count, tail
        self._length = len(part(0))
        self._tail_start = len(head) + count * self._length
        self.size = self._tail_start + len(tail)

    def read(self, start: int, stop: int) -> Iterator[bytes]:
        """Yield the bytes from start to stop in chunks."""
        yield self._head[start:stop]
        for number in range(max(0, start - len(self._head)) // self._length, self._count):
            at = len(self._head) + number * self._length
            if at >= stop:
                return
            yield self._part(number)[max(0, start - at) : stop - at]
        at = self._tail_start
        yield self._tail[max(0, start - at) : max(0, stop - at)]


class FileBody:
    """A file, read in chunks."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.size = path.stat().st_size

    def read(self, start: int, stop: int) -> Iterator[bytes]:
        """Yield the bytes from start to stop in chunks."""
        with self._path.open("rb") as file:
            file.seek(start)
            for at in range(start, stop, CHUNK):
                yield file.read(min(CHUNK, stop - at))


class NoiseBody:
    """A stand-in for a video: the boxes of an MP4 file, with noise in place of the pictures.

    :param size: size in bytes, at least 64.
    """

    def __init__(self, size: int, layout: FileLayout = "moov-first") -> None:
        self.size = size
        before, after = _BOXES[layout]
        boxes = _FTYP + b"".join(struct.pack(">I4s", 8, name) for name in before)
        self._tail = b"".join(struct.pack(">I4s", 8, name) for name in after)
        self._noise_stop = size - len(self._tail)
        self._header = boxes + struct.pack(">I4sQ", 1, b"mdat", self._noise_stop - len(boxes))

    def read(self, start: int, stop: int) -> Iterator[bytes]:
        """Yield the bytes from start to stop in chunks."""
        if start < len(self._header):
            yield self._header[start:stop]
            start = len(self._header)
        noise = _noise()
        while start < min(stop, self._noise_stop):
            at = (start - len(self._header)) % NOISE_LENGTH
            chunk = noise[at : at + min(CHUNK, stop - start, self._noise_stop - start)]
            yield chunk
            start += len(chunk)
        if start < stop:
            yield self._tail[start - self._noise_stop : stop - self._noise_stop]


def box_start(body: Body, name: bytes) -> int:
    """Return the position of the first MP4 box of a type, else the size."""
    at = 0
    while at + 8 <= body.size:
        head = b"".join(body.read(at, min(at + 16, body.size)))
        if head[4:8] == name:
            return at
        length = int.from_bytes(head[:4], "big")
        if length == 1:
            length = int.from_bytes(head[8:16], "big")
        # A box of length 0 lasts until the end; a smaller one than its own head is broken.
        at = at + length if length >= 8 else body.size  # noqa: PLR2004 - the head of a box
    return body.size


@functools.cache
def _noise() -> bytes:
    return random.Random(3).randbytes(NOISE_LENGTH)  # noqa: S311 - filler
