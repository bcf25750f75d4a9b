"""Triggers that watch an account until the test ends them, and the events they fire."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from airflow_provider_veo3.triggers.completed import Veo3CompletedGenerationsTrigger
from tests.support.waits import pages, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from airflow_provider_veo3.emulator import Emulator

INTERVAL = 0.05

A_WHILE = 2.0
"""Seconds that pass at the API, whose times are whole seconds: a younger generation may be taken for new."""


def watcher(
    conn_id: str = "veo3_default", poll_interval: float = INTERVAL
) -> Veo3CompletedGenerationsTrigger:
    return Veo3CompletedGenerationsTrigger(veo3_conn_id=conn_id, poll_interval=poll_interval)


class Watch:
    """A running trigger and its events.

    :param trigger: runs without the pauses that a real Airflow needs.
    :param run_delay: seconds in which Airflow would start the runs for an event.
    """

    def __init__(self, trigger: Veo3CompletedGenerationsTrigger, run_delay: float) -> None:
        trigger.commit_delay, trigger.run_delay, trigger.state_pauses = 0.0, run_delay, (0.01,)
        self._trigger = trigger
        self.payloads: list[Any] = []
        self.moments: list[float] = []

    async def run(self) -> None:
        async for event in self._trigger.run():
            assert json.loads(json.dumps(event.payload)) == event.payload
            self.payloads.append(event.payload)
            self.moments.append(time.monotonic())

    @property
    def ids(self) -> list[str]:
        return [payload["id"] for payload in self.payloads]


@asynccontextmanager
async def watching(
    *triggers: Veo3CompletedGenerationsTrigger, run_delay: float = 0.0
) -> AsyncIterator[list[Watch]]:
    """Run triggers; one that fails ends the test at once."""
    watches = [Watch(trigger, run_delay) for trigger in triggers or [watcher()]]
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(watch.run()) for watch in watches]
        yield watches
        for task in tasks:
            task.cancel()


async def polled(emulator: Emulator, times: int = 2) -> None:
    """Wait for so many polls from now on."""
    goal = pages(emulator) + times
    await until(lambda: pages(emulator) >= goal)
