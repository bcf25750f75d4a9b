"""Whether bytes that stream by are a whole MP4 file, as far as its outermost boxes tell."""

from __future__ import annotations

from typing import Final

_SHORT: Final = 8
"""Bytes of a box's header: its length, then its type."""

_LONG: Final = 16
"""Bytes of the header of a box whose length takes 64 bits."""

_OUTERMOST: Final = frozenset(
    ["ftyp", "styp", "moov", "moof", "mfra", "mdat", "free", "skip", "wide", "udta", "meta", "uuid", "sidx"]
)
"""Types of box that a file consists of."""

ENOUGH: Final = _SHORT
"""Bytes that show whether a file begins as an MP4 file does."""


def begins_as_mp4(head: bytes) -> bool:
    """Whether a file's first bytes are those of the box that every MP4 file begins with."""
    return head[4:8] == b"ftyp"


class BoxWalk:
    """Steps from one outermost box to the next.

    A host that announces half a file as the whole one, or a proxy that cuts a body without a length, can be
    found out in no other way. What is no box that we know ends the walk, and proves nothing.
    """

    def __init__(self) -> None:
        self._seen = 0
        self._next: int | None = 0
        self._header = b""
        self._last = ""

    def feed(self, data: bytes) -> None:
        """Go on with the next bytes of the file."""
        begin, self._seen = self._seen, self._seen + len(data)
        while self._next is not None and self._next + len(self._header) < self._seen:
            at = self._next + len(self._header) - begin
            self._header += data[at : at + _LONG - len(self._header)]
            if len(self._header) >= _SHORT:
                self._step(self._next, self._header)

    def complaint(self) -> str | None:
        """Say, at the end of the file, what shows that it is not whole."""
        if self._next is None or self._next <= self._seen:
            return None
        return f"the file is cut off at byte {self._seen}: its box {self._last!r} goes on to {self._next}"

    def _step(self, start: int, header: bytes) -> None:
        size = int.from_bytes(header[:4], "big")
        least = _SHORT
        if size == 1:  # the length follows the type
            if len(header) < _LONG:
                return
            size, least = int.from_bytes(header[_SHORT:_LONG], "big"), _LONG
        kind = header[4:_SHORT].decode("latin-1")
        known = size >= least and kind in _OUTERMOST
        self._next = start + size if known else None  # a length of 0 reaches to the end
        self._header, self._last = b"", kind
