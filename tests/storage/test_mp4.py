"""Detection of MP4 files that were cut off."""

from __future__ import annotations

import pytest

from airflow_provider_veo3.storage.mp4 import BoxWalk
from tests.support.file_host import box

WHOLE = box("ftyp", b"mp42") + box("free", b"") + box("moov", b"m" * 9) + box("mdat", b"d" * 40)
LONG = (1).to_bytes(4, "big") + b"mdat" + (36).to_bytes(8, "big") + b"d" * 20


@pytest.mark.parametrize("piece", [1, 3, 7, 8, 9, 16, 1000])
@pytest.mark.parametrize(
    ("file", "truncation"),
    [
        (WHOLE, None),
        (WHOLE + LONG, None),
        (WHOLE + b"\x00\x00\x00\x00mdat and so on", None),
        (WHOLE + b"some bytes that are no box, whoever put them there", None),
        (WHOLE[:-1], "its box 'mdat'"),
        (WHOLE[:30], "its box 'moov'"),
        ((WHOLE + LONG)[:-1], "its box 'mdat'"),
    ],
)
def test_boxes_reveal_a_file_that_was_cut_off(file: bytes, truncation: str | None, piece: int) -> None:
    walk = BoxWalk()
    for start in range(0, len(file), piece):
        walk.feed(file[start : start + piece])
    found = walk.fault()
    assert found is None if truncation is None else truncation in (found or "")
