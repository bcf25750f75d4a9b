"""Limits of a wait when the API or a secrets backend is silent."""

from __future__ import annotations

import asyncio
import time
from functools import partial
from typing import Any

from airflow_provider_veo3.api.models import Generation, Status
from airflow_provider_veo3.hooks.connection import ConnectionSettings
from airflow_provider_veo3.polling.result import Ending, WaitResult
from airflow_provider_veo3.polling.shared import GenerationPoller, Pollers, wait_for_generation

ID = "veo_1703123456789_abc123def"


class Dripping:
    """A transport whose first response never ends; each part of it comes in time."""

    def __init__(self) -> None:
        self.requests = 0

    async def run(self, flow: Any, *, poll: bool = False) -> Generation:
        flow.close()
        self.requests += 1
        if self.requests == 1:
            await asyncio.Event().wait()
        return Generation(ID, Status.COMPLETED)

    async def close(self) -> None:
        """Nothing is open."""


def wait(seconds: float, **options: Any) -> WaitResult:
    deadline = time.time() + seconds
    pollers = Pollers(partial(GenerationPoller, **options))

    async def run() -> WaitResult:
        async with asyncio.timeout(300):
            return await wait_for_generation("veo3_patience", ID, deadline, 0.05, pollers=pollers)

    return asyncio.run(run())


def test_a_response_that_never_ends_is_given_up() -> None:
    transport = Dripping()

    async def connect(_: str) -> tuple[Any, Any]:
        settings = ConnectionSettings("veo3_default", "https://api.example", "k", 0.1, 60.0, 10.0, {})
        return settings, transport

    assert wait(3600, connect=connect, longest_response=0.1).ending is Ending.COMPLETED
    assert transport.requests == 2


def test_a_secrets_backend_that_never_responds_does_not_outlast_the_deadline() -> None:
    async def connect(_: str) -> None:
        await asyncio.Event().wait()

    result = wait(0.1, connect=connect, grace=0.1)
    assert (result.ending, result.generation_id) == (Ending.TIMEOUT, ID)
