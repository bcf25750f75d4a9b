"""What never answers holds nobody beyond the deadline, nor those who wait at another time."""

from __future__ import annotations

import asyncio
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from airflow_provider_veo3.api.models import Generation, Status
from airflow_provider_veo3.polling import shared as poller
from airflow_provider_veo3.polling.result import Ending

if TYPE_CHECKING:
    import pytest

    from airflow_provider_veo3.polling.result import WaitResult

ID = "veo_1703123456789_abc123def"


class Dripping:
    """A transport whose first answer never ends; each part of it comes in time."""

    def __init__(self) -> None:
        self.asked = 0

    async def run(self, flow: Any, *, poll: bool = False) -> Generation:
        flow.close()
        self.asked += 1
        if self.asked == 1:
            await asyncio.Event().wait()
        return Generation(ID, Status.COMPLETED)

    async def close(self) -> None:
        """Nothing is open."""


def wait(monkeypatch: pytest.MonkeyPatch, connect: Any, seconds: float) -> WaitResult:
    monkeypatch.setattr(poller.Veo3Hook, "aget_conn", connect)
    deadline = time.time() + seconds

    async def run() -> WaitResult:
        async with asyncio.timeout(300):
            return await poller.wait_for_generation("veo3_patience", ID, deadline, 0.05)

    return asyncio.run(run())


def test_an_answer_that_never_ends_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    transport = Dripping()

    async def connect(hook: Any) -> Dripping:
        hook.settings = SimpleNamespace(base_url="https://api.example", request_timeout=0.1, api_key="k")
        return transport

    monkeypatch.setattr(poller, "LONGEST_ANSWER", 0.1)
    assert wait(monkeypatch, connect, 3600).ending is Ending.COMPLETED
    assert transport.asked == 2


def test_a_secrets_backend_that_never_answers_does_not_outlast_the_deadline(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def connect(_: Any) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(poller, "LATEST", 0.1)
    result = wait(monkeypatch, connect, 0.1)
    assert (result.ending, result.generation_id) == (Ending.TIMEOUT, ID)
