"""Watchers of an account that run until they are stopped, and what they have told."""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_veo3.triggers.completed import Veo3CompletedGenerationsTrigger
from tests.support.waits import pages

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_veo3.emulator import Emulator

INTERVAL = 0.05

A_WHILE = 2.0
"""Seconds that pass at the API, which tells its time in whole ones: what is younger may be taken for new."""


def watcher(conn_id: str = "veo3_default") -> Veo3CompletedGenerationsTrigger:
    return Veo3CompletedGenerationsTrigger(veo3_conn_id=conn_id, poll_interval=INTERVAL)


class Watch:
    """A trigger that runs until it is stopped; what it has told."""

    running: ClassVar[list[Watch]] = []

    def __init__(self, trigger: Veo3CompletedGenerationsTrigger) -> None:
        self.trigger = trigger
        self.running.append(self)
        self.payloads: list[Any] = []
        self.moments: list[float] = []
        self._task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        async for event in self.trigger.run():
            assert json.loads(json.dumps(event.payload)) == event.payload
            self.payloads.append(event.payload)
            self.moments.append(time.monotonic())

    @property
    def ids(self) -> list[str]:
        return [payload["id"] for payload in self.payloads]

    def check(self) -> None:
        """Raise what has ended it, if anything has."""
        if self._task.done():
            self._task.result()

    async def stop(self) -> None:
        self.check()
        self.running.remove(self)
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


async def until(condition: Callable[[], object]) -> None:
    """Let the loop run until something is so."""
    while not condition():
        await asyncio.sleep(0.005)
        for watch in Watch.running:
            watch.check()


async def looked(emulator: Emulator, times: int = 2) -> None:
    """Wait until so many looks have been made from now on."""
    goal = pages(emulator) + times
    await until(lambda: pages(emulator) >= goal)
