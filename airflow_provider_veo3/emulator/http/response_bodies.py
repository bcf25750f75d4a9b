"""Bodies of responses: bytes in memory, a file on disk, or noise of any size."""

from __future__ import annotations

import functools
import random
import struct
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CHUNK = 256 * 1024
# A prime number of bytes: a download resumed at the wrong place cannot be equal by chance.
NOISE_LENGTH = 1_048_573
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
    """A stand-in for a video: the header of an MP4 file, then noise."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._header = _FTYP + struct.pack(">I4sQ", 1, b"mdat", size - len(_FTYP))

    def read(self, start: int, stop: int) -> Iterator[bytes]:
        """Yield the bytes from start to stop in chunks."""
        if start < len(self._header):
            yield self._header[start:stop]
            start = len(self._header)
        noise = _noise()
        while start < stop:
            at = (start - len(self._header)) % NOISE_LENGTH
            chunk = noise[at : at + min(CHUNK, stop - start)]
            yield chunk
            start += len(chunk)


@functools.cache
def _noise() -> bytes:
    return random.Random(3).randbytes(NOISE_LENGTH)  # noqa: S311 - filler
