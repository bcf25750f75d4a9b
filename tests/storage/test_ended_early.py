"""A task that is ended, runs out of time or disk, or is killed, leaves nothing to be seen."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from airflow_provider_veo3.exceptions import Veo3StorageError
from airflow_provider_veo3.storage.destination import CHUNK
from tests.support.place import BIG, Api, FakeClock, Place

if TYPE_CHECKING:
    from airflow_provider_veo3.api.models import Video


def test_a_stopped_task_leaves_nothing_behind(place: Place) -> None:
    place.offer(BIG)
    place.host.watch = lambda sent: place.clock.stop() if sent >= CHUNK else None
    with pytest.raises(Veo3StorageError, match="the task was ended"):
        place.store()
    assert place.is_empty


class Timeout(BaseException):
    """As Airflow's own, which a handler raises in the main thread."""


def test_a_timeout_ends_what_runs_and_leaves_no_half_file(place: Place) -> None:
    started, stopped = threading.Event(), threading.Event()

    class TimedApi(Api):
        def resolve(self, generation_id: str) -> tuple[Video, ...]:
            if generation_id == "veo_2":
                assert started.wait(60)
                raise Timeout
            return super().resolve(generation_id)

    class TimedClock(FakeClock):
        def stop(self) -> None:
            super().stop()
            stopped.set()

    def hold(sent: int) -> None:
        if sent == CHUNK:
            started.set()
            assert stopped.wait(60)

    place.api, place.clock = TimedApi(), TimedClock()
    place.offer(BIG)
    place.host.watch = hold
    with pytest.raises(Timeout):
        place.store("veo_1", "veo_2")
    assert place.is_empty


def test_a_task_ended_while_it_asks_for_links_says_so(place: Place) -> None:
    place.clock.stop()
    with pytest.raises(Veo3StorageError, match="veo_1 was not stored: the task was ended"):
        place.store("veo_1", "veo_2")
    assert place.api.asked == []


def test_a_full_disk_is_told_and_leaves_nothing(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    import resource
    import signal

    place.offer(BIG)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (CHUNK, hard))
    try:
        with pytest.raises(Veo3StorageError, match=r"veo_1_0\.mp4 could not be written.*credits are spent"):
            place.store()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
    assert place.is_empty


KILLED = """
import sys
from airflow_provider_veo3.storage.destination import Destination
sys.path.insert(0, sys.argv[3])
from tests.support.file_host import fetch
from airflow_provider_veo3.api.models import Video
from airflow_provider_veo3.storage.store import VideoStore
from airflow_provider_veo3.storage.source import StoppableClock
VideoStore(
    Destination(sys.argv[1]), filename="{generation_id}_{index}.mp4",
    resolve=lambda generation_id: (Video(sys.argv[2], "video/mp4", None),),
    fetch=fetch, max_concurrency=1, clock=StoppableClock(),
).store(["veo_1"])
"""


def test_a_worker_killed_in_the_middle_leaves_nothing_to_be_seen_and_a_retry_succeeds(place: Place) -> None:
    place.offer(BIG)
    arguments = [str(place.folder), place.host.link("one.mp4"), str(Path(__file__).parents[2])]
    half, dead = threading.Event(), threading.Event()

    def hold(sent: int) -> None:
        if sent == 3 * CHUNK:
            half.set()
            dead.wait(60)

    place.host.watch = hold
    worker = subprocess.Popen([sys.executable, "-c", KILLED, *arguments])
    try:
        assert half.wait(300)
        while sum(path.stat().st_size for path in place.folder.iterdir()) < CHUNK:
            assert worker.poll() is None
        worker.kill()
    finally:
        worker.kill()
        worker.wait()
        dead.set()
    assert place.visible == {}
    assert len(place.hidden) == 1
    place.host.watch = None
    place.store()
    assert place.visible == {"veo_1_0.mp4": BIG}
