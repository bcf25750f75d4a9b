"""Two thousand waits in one triggerer while the API responds with 503."""

from __future__ import annotations

import asyncio
import gc
import logging
import time
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow_provider_veo3.exceptions import Veo3ServerError
from airflow_provider_veo3.hooks.connection import ConnectionSettings
from airflow_provider_veo3.polling.shared import GenerationPoller, Pollers, wait_for_generation
from tests.support.clock import FakeClock
from tests.support.waits import until

if TYPE_CHECKING:
    import pytest

NUMBER = 2000
HALF_AN_HOUR = 1800


class Busy:
    """A transport whose API responds with 503 until a moment; each response takes a second of the clock."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.requests = 0

    async def run(self, flow: Any, *, poll: bool = False) -> Any:
        flow.close()
        self.requests += 1
        self.clock.now += 1
        await asyncio.sleep(0.01)
        raise Veo3ServerError("The VEO3 API is busy.", status=503)

    async def close(self) -> None:
        """Nothing is open."""


class FakePoller(GenerationPoller):
    """Poller whose pauses pass at once; the CPU time of each turn of its event loop is measured."""

    async def _sleep_until(self, moment: float | None) -> None:
        await asyncio.sleep(0)
        if moment is not None:
            clock: Any = self.clock
            clock.now = max(clock.now, min(moment, clock.now + 60))


def test_two_thousand_waits_through_an_outage(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.WARNING)
    clock = FakeClock()
    transport = Busy(clock)
    end = clock.now + HALF_AN_HOUR
    monkeypatch.setattr(FakePoller, "clock", clock)
    longest = 0.0

    async def connect(_: str) -> tuple[Any, Any]:
        settings = ConnectionSettings("veo3_default", "https://api.example", "k", 1.0, 60.0, 10.0, {})
        return settings, transport

    async def watch() -> None:
        """Measure the turns of the loop, in CPU time: other processes do not count."""
        nonlocal longest
        await until(lambda: transport.requests)  # what is imported by then is imported once
        while clock.now < end:
            before = time.thread_time()
            await asyncio.sleep(0)
            longest = max(longest, time.thread_time() - before)

    async def run() -> None:
        pollers: Any = Pollers(partial(FakePoller, connect=connect))
        waits = []
        for number in range(NUMBER):
            waiting = wait_for_generation(
                "veo3_many", f"job-{number}", clock.now + 10 * HALF_AN_HOUR, None, pollers=pollers
            )
            waits.append(asyncio.create_task(waiting))
            await asyncio.sleep(0)  # as Airflow's triggerer starts its triggers
        await watch()
        for each in waits:
            each.cancel()
        await asyncio.gather(*waits, return_exceptions=True)

    gc.collect()
    gc.freeze()  # what other tests have left behind is not traversed in a turn of this loop
    try:
        asyncio.run(run())
    finally:
        gc.unfreeze()
    texts = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    own = [text for text in texts if text.startswith("Connection veo3_many: ")]
    of_waits = len(texts) - len(own)
    minutes = HALF_AN_HOUR / 60
    assert minutes / 3 <= len(own) <= minutes + 1, "one summary a minute at most"
    assert f"{NUMBER} waiting tasks will continue when the API recovers" in own[-1]
    assert NUMBER <= of_waits <= NUMBER * (HALF_AN_HOUR / 300 + 1), "each wait warns every five minutes"
    assert any("polls have failed since" in text for text in texts)
    assert longest < 0.1, f"the event loop was blocked for {longest:.3f} s"
