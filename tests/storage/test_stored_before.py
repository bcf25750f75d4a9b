"""Files that exist in the destination: recognised, replaced or kept."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from tests.support.file_host import Response, mp4
from tests.support.store_rig import BIG, ONE, StoreRig

if TYPE_CHECKING:
    import pytest


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


def test_a_name_without_the_id_is_never_taken_for_the_same_video(rig: StoreRig) -> None:
    rig.offer(ONE)
    (rig.folder / "latest.mp4").write_bytes(mp4(len(ONE), seed=9))
    rig.store(filename="latest.mp4")
    assert rig.visible == {"latest.mp4": ONE}


def test_a_cleared_task_keeps_its_file_when_the_links_are_gone(
    rig: StoreRig, caplog: pytest.LogCaptureFixture
) -> None:
    rig.offer(ONE)
    first = rig.store()
    rig.offer(ONE, *[Response(status=403)] * 9)
    assert rig.store() == first
    assert "the existing file is kept, unverified" in caplog.text
