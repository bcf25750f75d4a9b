"""Check that a stream is a whole MP4 file, from its outermost boxes."""

from __future__ import annotations

from typing import Final

_HEADER: Final = 8
"""Bytes of a box header: the length, then the type."""

_LONG_HEADER: Final = 16
"""Bytes of the header of a box with a 64-bit length."""

_NEEDED: Final = ("ftyp", "moov", "mdat")
"""Types of the boxes that every whole file has: its brand, its index, its pictures and sound."""

_OUTERMOST: Final = frozenset(
    (*_NEEDED, "styp", "moof", "mfra", "free", "skip", "wide", "udta", "meta", "uuid", "sidx", "ssix", "emsg")
)
"""Types of the boxes that a file consists of."""

SIGNATURE_BYTES: Final = _HEADER
"""Bytes needed to recognise the start of an MP4 file."""


def starts_as_mp4(head: bytes) -> bool:
    """Return whether a file starts with the box that every MP4 file starts with."""
    return head[4:8] == b"ftyp"


_PRINTABLE: Final = frozenset(range(0x20, 0x7F))


class BoxWalk:
    """Walk over the outermost boxes, to detect a file that was cut off.

    Nothing else reveals a host that announces half a file as the whole, or a proxy that cuts a body without
    a length. Some files have an end that only their length proves: a last box without a length of its own,
    fragments without their index ``mfra``, or bytes behind the boxes that are no box.
    """

    def __init__(self) -> None:
        self._received = 0
        self._next: int | None = 0
        self._header = b""
        self._last_type = ""
        self._found: set[str] = set()
        self._fragment_is_open = False

    def feed(self, data: bytes) -> None:
        """Continue with the next bytes of the file."""
        start, self._received = self._received, self._received + len(data)
        while self._next is not None and self._next + len(self._header) < self._received:
            at = self._next + len(self._header) - start
            self._header += data[at : at + _LONG_HEADER - len(self._header)]
            if len(self._header) >= _HEADER:
                self._step(self._next, self._header)

    def fault(self) -> str | None:
        """Return, at the end of the file, why it is not whole; ``None`` if nothing is missing."""
        cut = f"the file is cut off at byte {self._received}"
        if self._next is not None and self._next > self._received:
            return f"{cut}: its box {self._last_type!r} ends at {self._next}"
        missing = [kind for kind in _NEEDED if kind not in self._found]
        if missing:
            return f"{cut}: it has no box {missing[0]!r}"
        if self._fragment_is_open or (self._header and "moof" in self._found):
            return f"{cut}: a fragment has begun that does not end"
        return None

    @property
    def proves_end(self) -> bool:
        """Return whether a file without a fault can have no more bytes than were fed."""
        fragments_end = "moof" not in self._found or self._last_type == "mfra"
        return self._next == self._received and not self._header and fragments_end

    def _step(self, start: int, header: bytes) -> None:
        size = int.from_bytes(header[:4], "big")
        smallest = _HEADER
        if size == 1:  # the length follows the type
            if len(header) < _LONG_HEADER:
                return
            size, smallest = int.from_bytes(header[_HEADER:_LONG_HEADER], "big"), _LONG_HEADER
        box_type = header[4:_HEADER].decode("latin-1")
        is_box = box_type in _OUTERMOST or not (self._is_complete or set(header[4:_HEADER]) - _PRINTABLE)
        self._header, self._last_type = b"", box_type
        if is_box and (size > smallest or size == 0 or box_type != "mdat"):  # an empty one has no pictures
            self._found.add(box_type)
            if box_type in ("moof", "mdat"):
                self._fragment_is_open = box_type == "moof"
        self._next = (
            start + size if is_box and size >= smallest else None
        )  # 0 means up to the end of the file

    @property
    def _is_complete(self) -> bool:
        return self._found.issuperset(_NEEDED)
