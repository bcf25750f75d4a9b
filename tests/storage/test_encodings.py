"""Bodies that a file host compressed: decoded, or refused with the name of the coding."""

from __future__ import annotations

import gzip
import random
import re
import tracemalloc
import zlib
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_veo3.exceptions import Veo3CorruptVideoError, shown
from airflow_provider_veo3.storage.encoding import CannotDecodeError, decoded, is_plain
from airflow_provider_veo3.storage.sink import CHUNK_SIZE
from tests.support.file_host import Response, box
from tests.support.store_rig import ONE, StoreRig

if TYPE_CHECKING:
    from collections.abc import Callable


def raw_deflate(data: bytes) -> bytes:
    compress = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return compress.compress(data) + compress.flush()


CODINGS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "GZIP ": gzip.compress,
    "deflate": zlib.compress,
    "identity, deflate": raw_deflate,
    "deflate, gzip": lambda data: gzip.compress(zlib.compress(data)),
    "identity": lambda data: data,
}


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("length", [True, False])
def test_a_coded_body_is_decoded(rig: StoreRig, coding: str, length: bool) -> None:
    headers: dict[str, Any] = {"Content-Encoding": coding} | ({} if length else {"Content-Length": None})
    rig.offer(ONE, Response(body=CODINGS[coding](ONE), headers=headers))
    (video,) = rig.store()
    assert rig.visible == {"veo_1_0.mp4": ONE}
    assert video.size == len(ONE)


@pytest.mark.parametrize("coding", ["gzip", "br", "aws-chunked"])
def test_a_plain_body_that_is_announced_as_coded_is_taken_as_it_is(rig: StoreRig, coding: str) -> None:
    rig.offer(ONE, Response(headers={"Content-Encoding": coding}))
    rig.store()
    assert rig.visible == {"veo_1_0.mp4": ONE}


@pytest.mark.parametrize("length", [True, False])
def test_a_coded_body_that_is_cut_off_is_never_visible(rig: StoreRig, length: bool) -> None:
    body = gzip.compress(ONE)
    headers: dict[str, Any] = {"Content-Encoding": "gzip"}
    headers["Content-Length"] = str(len(body) // 2) if length else None
    rig.offer(ONE, *[Response(body=body[: len(body) // 2], headers=headers)] * 99)
    with pytest.raises(Veo3CorruptVideoError, match="a gzip body that is cut off"):
        rig.store()
    assert rig.is_empty


def test_a_resumed_body_is_not_mixed_with_a_coded_one(rig: StoreRig) -> None:
    coded = Response(body=gzip.compress(ONE), headers={"Content-Encoding": "gzip", "ETag": None})
    rig.offer(ONE, Response(cut=2 * CHUNK_SIZE), coded)
    rig.store()
    assert rig.visible == {"veo_1_0.mp4": ONE}


def test_a_small_body_does_not_take_a_large_memory() -> None:
    zeros = zlib.compressobj(wbits=31)
    body = b"".join([zeros.compress(bytes(2**20)) for _ in range(64)]) + zeros.flush()
    tracemalloc.start()
    try:
        sizes = [len(piece) for piece in decoded(iter([body]), "gzip", CHUNK_SIZE)]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert sum(sizes) == 64 * 2**20
    assert max(sizes) == CHUNK_SIZE
    assert peak < 2**20


@pytest.mark.parametrize("piece", [2, 7, 1000, 10**6])
@pytest.mark.parametrize("coding", CODINGS)
def test_pieces_of_any_size_are_decoded(coding: str, piece: int) -> None:
    data = box("ftyp", random.Random(1).randbytes(1000)) + bytes(100_000)
    body = CODINGS[coding](data)
    chunks = (body[start : start + piece] for start in range(0, len(body), piece))
    assert b"".join(decoded(chunks, coding, CHUNK_SIZE)) == data


def test_several_bodies_one_after_the_other_are_one() -> None:
    body = gzip.compress(b"one") + gzip.compress(b"two")
    assert b"".join(decoded(iter([body[:9], body[9:]]), "gzip", 2)) == b"onetwo"


@pytest.mark.parametrize("coding", ["br", "zstd", "gzip, br", "x" * 500])
def test_an_unknown_coding_is_named(coding: str) -> None:
    assert not is_plain(coding)
    with pytest.raises(CannotDecodeError, match=re.escape(shown(coding.rpartition(", ")[2]))) as caught:
        list(decoded(iter([b"abc"]), coding, 100))
    assert len(str(caught.value)) < 200
