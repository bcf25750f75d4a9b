"""What is in the destination already is known again, and not taken for another video."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from tests.support.file_host import Reply, mp4
from tests.support.place import BIG, ONE, Place

if TYPE_CHECKING:
    import pytest


def test_a_retry_recognises_what_is_stored_whole(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    place.offer(BIG)
    first = place.store()
    before = (place.folder / "veo_1_0.mp4").stat()
    with caplog.at_level(logging.INFO):
        assert place.store() == first
    after = (place.folder / "veo_1_0.mp4").stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert "Already stored" in caplog.text


def test_a_stored_file_of_another_size_is_replaced_with_a_warning(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    place.offer(BIG)
    (place.folder / "veo_1_0.mp4").write_bytes(BIG[:1000])
    seen: list[int] = []
    place.host.watch = lambda sent: seen.append(len(place.visible["veo_1_0.mp4"]))
    place.store()
    assert place.visible == {"veo_1_0.mp4": BIG}
    assert set(seen[:-1]) == {1000}
    assert "replaced a file of 1000 bytes" in caplog.text


def test_a_name_without_the_id_is_never_taken_for_the_same_video(place: Place) -> None:
    place.offer(ONE)
    (place.folder / "latest.mp4").write_bytes(mp4(len(ONE), seed=9))
    place.store(filename="latest.mp4")
    assert place.visible == {"latest.mp4": ONE}


def test_an_old_task_that_is_run_again_keeps_its_file_when_the_links_are_gone(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    place.offer(ONE)
    first = place.store()
    place.offer(ONE, *[Reply(status=403)] * 9)
    assert place.store() == first
    assert "kept unconfirmed" in caplog.text
