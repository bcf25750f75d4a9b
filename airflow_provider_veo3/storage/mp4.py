"""Check that a stream is a whole MP4 file, from its outermost boxes."""

from __future__ import annotations

from typing import Final

_HEADER: Final = 8
"""Bytes of a box header: the length, then the type."""

_LONG_HEADER: Final = 16
"""Bytes of the header of a box with a 64-bit length."""

_OUTERMOST: Final = frozenset(
    ["ftyp", "styp", "moov", "moof", "mfra", "mdat", "free", "skip", "wide", "udta", "meta", "uuid", "sidx"]
)
"""Types of the boxes that a file consists of."""

SIGNATURE_BYTES: Final = _HEADER
"""Bytes needed to recognise the start of an MP4 file."""


def starts_as_mp4(head: bytes) -> bool:
    """Return whether a file starts with the box that every MP4 file starts with."""
    return head[4:8] == b"ftyp"


class BoxWalk:
    """Walk over the outermost boxes, to detect a file that was cut off.

    Nothing else reveals a host that announces half a file as the whole, or a proxy that cuts a body without
    a length. An unknown box ends the walk and proves nothing.
    """

    def __init__(self) -> None:
        self._received = 0
        self._next: int | None = 0
        self._header = b""
        self._last_type = ""

    def feed(self, data: bytes) -> None:
        """Continue with the next bytes of the file."""
        start, self._received = self._received, self._received + len(data)
        while self._next is not None and self._next + len(self._header) < self._received:
            at = self._next + len(self._header) - start
            self._header += data[at : at + _LONG_HEADER - len(self._header)]
            if len(self._header) >= _HEADER:
                self._step(self._next, self._header)

    def truncation(self) -> str | None:
        """Describe, at the end of the file, the box that was cut off."""
        if self._next is None or self._next <= self._received:
            return None
        return (
            f"the file is cut off at byte {self._received}: its box {self._last_type!r} ends at {self._next}"
        )

    def _step(self, start: int, header: bytes) -> None:
        size = int.from_bytes(header[:4], "big")
        smallest = _HEADER
        if size == 1:  # the length follows the type
            if len(header) < _LONG_HEADER:
                return
            size, smallest = int.from_bytes(header[_HEADER:_LONG_HEADER], "big"), _LONG_HEADER
        box_type = header[4:_HEADER].decode("latin-1")
        known = size >= smallest and box_type in _OUTERMOST
        self._next = start + size if known else None  # a length of 0 means "up to the end of the file"
        self._header, self._last_type = b"", box_type
