"""Tasks that are ended, time out, fill the disk or are killed: nothing becomes visible."""

from __future__ import annotations

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from airflow_provider_veo3.emulator import Fault
from airflow_provider_veo3.exceptions import Veo3NoAnswerError, Veo3StorageError
from airflow_provider_veo3.hooks.veo3 import Veo3Hook
from airflow_provider_veo3.storage.listing import generation_of, videos_of
from airflow_provider_veo3.storage.sink import CHUNK_SIZE
from airflow_provider_veo3.storage.transfer import StoppableClock, Stopped
from tests.support.store_rig import BIG, Api, FakeClock, StoreRig
from tests.support.until import until

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_veo3.api.models import Video, VideoList
    from airflow_provider_veo3.emulator import Emulator


def test_a_stopped_task_leaves_nothing_behind(rig: StoreRig) -> None:
    rig.offer(BIG)
    rig.host.on_sent = lambda sent: rig.clock.stop() if sent >= CHUNK_SIZE else None
    with pytest.raises(Veo3StorageError, match="the task was ended"):
        rig.store()
    assert rig.is_empty


class Timeout(BaseException):
    """Stand-in for Airflow's timeout, which a handler raises in the main thread."""


def test_a_timeout_stops_the_transfers_and_leaves_no_half_file(rig: StoreRig) -> None:
    started, stopped = threading.Event(), threading.Event()

    class TimedApi(Api):
        def get_videos(self, generation_id: str) -> tuple[Video, ...]:
            if generation_id == "veo_2":
                assert started.wait(60)
                raise Timeout
            return super().get_videos(generation_id)

    class TimedClock(FakeClock):
        def stop(self) -> None:
            super().stop()
            stopped.set()

    def hold(sent: int) -> None:
        if sent == CHUNK_SIZE:
            started.set()
            assert stopped.wait(60)

    rig.api, rig.clock = TimedApi(), TimedClock()
    rig.offer(BIG)
    rig.host.on_sent = hold
    with pytest.raises(Timeout):
        rig.store("veo_1", "veo_2")
    assert rig.is_empty


def test_a_task_ended_while_it_requests_links_says_so(rig: StoreRig) -> None:
    rig.clock.stop()
    with pytest.raises(Veo3StorageError, match="veo_1 was not stored: the task was ended"):
        rig.store("veo_1", "veo_2")
    assert rig.api.requests == []


def test_a_request_for_links_that_a_stop_breaks_off_is_not_announced_again(
    rig: StoreRig, caplog: pytest.LogCaptureFixture
) -> None:
    class BrokenApi(Api):
        def get_videos(self, generation_id: str) -> VideoList:
            rig.clock.stop()
            raise Veo3NoAnswerError(f"no response about {generation_id}")

    rig.api = BrokenApi()
    with pytest.raises(Veo3StorageError, match="veo_1 was not stored: the task was ended"):
        rig.store()
    assert caplog.messages == []


@pytest.mark.parametrize("request_of", [videos_of, generation_of])
def test_a_task_that_is_ended_sits_out_no_rate_limit(
    emulator: Emulator, request_of: Callable[[Veo3Hook, StoppableClock], Callable[[str], object]]
) -> None:
    emulator.inject(Fault("status", status=429, headers={"Retry-After": "100"}, times=None))
    clock = StoppableClock()
    hook = Veo3Hook()
    with closing(hook.get_conn()), ThreadPoolExecutor() as pool:
        ended = pool.submit(request_of(hook, clock), "veo_1")
        until("the refusal", lambda: emulator.ledger()["requests"] or None)
        clock.stop()
        with pytest.raises(Stopped):
            ended.result(60)


def test_a_full_disk_is_reported_and_leaves_nothing(rig: StoreRig) -> None:
    import resource
    import signal

    rig.offer(BIG)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (CHUNK_SIZE, hard))
    try:
        with pytest.raises(Veo3StorageError, match=r"veo_1_0\.mp4 could not be written.*credits are spent"):
            rig.store()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
    assert rig.is_empty


KILLED = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[3])
from airflow_provider_veo3.storage.transfer import StoppableClock
from tests.support.file_host import FileHost
from tests.support.store_rig import Api, StoreRig
api = Api({"veo_1": [[sys.argv[2]]]})
StoreRig(FileHost(), Path(sys.argv[1]), api, StoppableClock()).store(concurrency=1)
"""


def test_a_killed_worker_leaves_nothing_visible_and_its_retry_succeeds(rig: StoreRig) -> None:
    rig.offer(BIG)
    arguments = [str(rig.folder), rig.host.link("one.mp4"), str(Path(__file__).parents[2])]
    half, dead = threading.Event(), threading.Event()

    def hold(sent: int) -> None:
        if sent == 3 * CHUNK_SIZE:
            half.set()
            dead.wait(60)

    rig.host.on_sent = hold
    worker = subprocess.Popen([sys.executable, "-c", KILLED, *arguments])
    try:
        assert half.wait(300)
        while sum(path.stat().st_size for path in rig.folder.iterdir()) < CHUNK_SIZE:
            assert worker.poll() is None
        worker.kill()
    finally:
        worker.kill()
        worker.wait()
        dead.set()
    assert rig.visible == {}
    assert len(rig.hidden) == 1
    rig.host.on_sent = None
    rig.store()
    assert rig.visible == {"veo_1_0.mp4": BIG}
