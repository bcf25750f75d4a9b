"""Decoding of bodies that a host compressed although it was not asked to."""

from __future__ import annotations

import itertools
import zlib
from typing import TYPE_CHECKING, Final

from airflow_provider_veo3.exceptions import shown

if TYPE_CHECKING:
    from collections.abc import Iterator

PLAIN: Final = frozenset(["", "identity"])
"""Content codings that leave the bytes as they are."""

_WINDOW_BITS: Final = {"gzip": zlib.MAX_WBITS | 16, "x-gzip": zlib.MAX_WBITS | 16, "deflate": zlib.MAX_WBITS}
"""Parameter of ``zlib`` for each coding that it knows."""


class CannotDecodeError(Exception):
    """A body whose coding is unknown, or whose bytes are not of it; the text names the body."""


def is_plain(content_encoding: str) -> bool:
    """Return whether a body with this ``Content-Encoding`` is sent as it is."""
    return set(_codings(content_encoding)) <= PLAIN


def decoded(chunks: Iterator[bytes], content_encoding: str, limit: int) -> Iterator[bytes]:
    """Yield the decoded bytes of a body, at most ``limit`` at a time.

    :param content_encoding: the header's value; its codings are undone from the last to the first.
    :raises CannotDecodeError: a coding is unknown, the bytes are not of it, or the body is incomplete.
    """
    for coding in reversed(_codings(content_encoding)):
        if coding in _WINDOW_BITS:
            chunks = _inflated(chunks, coding, limit)
        elif coding not in PLAIN:
            raise CannotDecodeError(f"the Content-Encoding {shown(coding)}, which cannot be decoded here")
    return chunks


def read_head(chunks: Iterator[bytes], size: int) -> bytes:
    """Return the first bytes of a body: ``size``, and the rest of their chunk."""
    head = b""
    for chunk in chunks:
        head += chunk
        if len(head) >= size:
            break
    return head


def _codings(content_encoding: str) -> list[str]:
    return [coding.strip().lower() for coding in content_encoding.split(",")]


def _inflated(chunks: Iterator[bytes], coding: str, limit: int) -> Iterator[bytes]:
    """Yield decompressed bytes; a small body must not become a large piece of memory."""
    head = read_head(chunks, 2)
    is_raw = coding == "deflate" and not _has_zlib_header(head)  # as some hosts send it
    inflate = zlib.decompressobj(-zlib.MAX_WBITS if is_raw else _WINDOW_BITS[coding])
    try:
        for chunk in itertools.chain([head], chunks):
            data = chunk
            while data:
                if inflate.eof:  # gzip allows several bodies, one after the other
                    inflate = zlib.decompressobj(_WINDOW_BITS[coding])
                if piece := inflate.decompress(data, limit):
                    yield piece
                data = inflate.unconsumed_tail or inflate.unused_data
        while piece := inflate.decompress(inflate.unconsumed_tail, limit):
            yield piece
    except zlib.error as error:
        raise CannotDecodeError(f"a body that is not the {coding} its headers announce ({error})") from None
    if not inflate.eof:
        raise CannotDecodeError(f"a {coding} body that is cut off")


def _has_zlib_header(data: bytes) -> bool:
    return len(data) > 1 and data[0] & 0x0F == zlib.DEFLATED and int.from_bytes(data[:2], "big") % 31 == 0
