"""Files that exist in the destination: recognised, replaced or kept."""

from __future__ import annotations

import logging
import os

import pytest

from airflow_provider_veo3.exceptions import Veo3StorageError, Veo3ValidationError
from airflow_provider_veo3.storage.sink import CHUNK_SIZE
from tests.support.file_host import Response, mp4
from tests.support.store_rig import BIG, ONE, StoreRig


def test_a_retry_recognises_a_file_that_is_stored_whole(
    rig: StoreRig, caplog: pytest.LogCaptureFixture
) -> None:
    rig.offer(BIG)
    first = rig.store()
    before = (rig.folder / "veo_1_0.mp4").stat()
    with caplog.at_level(logging.INFO):
        assert rig.store() == first
    after = (rig.folder / "veo_1_0.mp4").stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert "Already stored" in caplog.text


def test_a_stored_file_of_another_size_is_replaced_with_a_warning(
    rig: StoreRig, caplog: pytest.LogCaptureFixture
) -> None:
    rig.offer(BIG)
    (rig.folder / "veo_1_0.mp4").write_bytes(BIG[:1000])
    seen: list[int] = []
    rig.host.on_sent = lambda sent: seen.append(len(rig.visible["veo_1_0.mp4"]))
    rig.store()
    assert rig.visible == {"veo_1_0.mp4": BIG}
    assert set(seen[:-1]) == {1000}
    assert "replaced a file of 1000 bytes" in caplog.text


@pytest.mark.parametrize("size", [len(ONE), len(ONE) + 1])
@pytest.mark.parametrize("length", [{}, {"Content-Length": None}], ids=["announced", "not announced"])
def test_the_video_of_another_generation_is_not_replaced(
    rig: StoreRig, size: int, length: dict[str, str | None]
) -> None:
    other = mp4(size, seed=9)
    rig.offer(ONE, *[Response(headers=length)] * 9)
    (rig.folder / "latest.mp4").write_bytes(other)
    with pytest.raises(
        Veo3ValidationError,
        match=rf"veo_1 file 0 was not stored: .*latest\.mp4 is another video, of {size} bytes.*credits are"
        r" spent.*\{generation_id\}.*overwrite=True",
    ):
        rig.store(filename="latest.mp4")
    assert rig.visible == {"latest.mp4": other}
    assert rig.hidden == []
    rig.store(filename="latest.mp4", overwrite=True)
    assert rig.visible == {"latest.mp4": ONE}


def test_a_file_of_another_size_is_noticed_before_its_video_is_downloaded(rig: StoreRig) -> None:
    rig.offer(BIG)
    rig.host.piece_size = CHUNK_SIZE // 16
    sent: list[int] = []
    rig.host.on_sent = sent.append
    (rig.folder / "latest.mp4").write_bytes(ONE)
    with pytest.raises(Veo3ValidationError):
        rig.store(filename="latest.mp4")
    assert len(rig.host.requests) == 1
    assert rig.hidden == []


def test_a_retry_recognises_its_file_by_its_bytes_where_the_name_does_not_tell(rig: StoreRig) -> None:
    rig.offer(BIG)
    first = rig.store(filename="latest.mp4")
    before = (rig.folder / "latest.mp4").stat()
    assert rig.store(filename="latest.mp4") == first
    after = (rig.folder / "latest.mp4").stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert rig.hidden == []


def test_a_video_that_another_task_stored_meanwhile_is_not_replaced(rig: StoreRig) -> None:
    rig.offer(BIG)
    other = rig.folder / "latest.mp4"
    # after the first piece only: the last one may arrive before a file is written
    rig.host.on_sent = lambda sent: None if other.exists() else other.write_bytes(ONE)
    with pytest.raises(Veo3ValidationError, match="is another video"):
        rig.store(filename="latest.mp4")
    assert rig.visible == {"latest.mp4": ONE}
    assert rig.hidden == []


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_video_that_another_task_stores_at_the_last_moment_is_not_replaced(
    rig: StoreRig, monkeypatch: pytest.MonkeyPatch, overwrite: bool
) -> None:
    """The other task stores its video while this one flushes its file to the disk."""
    rig.offer(ONE)
    other, flush = rig.folder / "latest.mp4", os.fsync

    def flush_and_lose(file: int) -> None:
        flush(file)
        if not other.exists():
            other.write_bytes(BIG)

    monkeypatch.setattr(os, "fsync", flush_and_lose)
    if overwrite:
        rig.store(filename="latest.mp4", overwrite=True)
        assert rig.visible == {"latest.mp4": ONE}
        return
    with pytest.raises(Veo3StorageError, match=r"latest\.mp4 was not written: .*was not replaced"):
        rig.store(filename="latest.mp4")
    with pytest.raises(Veo3ValidationError, match="is another video"):
        rig.store(filename="latest.mp4")
    assert rig.visible == {"latest.mp4": BIG}
    assert rig.hidden == []


def test_an_interrupted_attempt_does_not_hinder_the_next_one(rig: StoreRig) -> None:
    rig.offer(BIG, *[Response(cut=CHUNK_SIZE, headers={"ETag": None, "Content-Length": None})] * 9)
    with pytest.raises(Veo3StorageError):
        rig.store(filename="latest.mp4")
    rig.offer(BIG)
    rig.store(filename="latest.mp4")
    assert rig.visible == {"latest.mp4": BIG}


def test_a_cleared_task_keeps_its_file_when_the_links_are_gone(
    rig: StoreRig, caplog: pytest.LogCaptureFixture
) -> None:
    rig.offer(ONE)
    first = rig.store()
    rig.offer(ONE, *[Response(status=403)] * 9)
    assert rig.store() == first
    assert "the existing file is kept, unverified" in caplog.text
