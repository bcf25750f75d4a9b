"""Polling in a worker."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_veo3.exceptions import Veo3AuthenticationError
from airflow_provider_veo3.hooks.veo3 import Veo3Hook
from airflow_provider_veo3.polling.blocking import wait_blocking
from airflow_provider_veo3.polling.wait import Wait
from tests.support.connections import use_connection
from tests.support.waits import status_requests, submit

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_veo3.emulator import Emulator


class Clock:
    """A clock on which something happens in the pause before each poll."""

    def __init__(self, *happenings: Callable[[], None]) -> None:
        self._happenings = list(happenings)

    def time(self) -> float:
        return time.time()

    def sleep(self, seconds: float) -> None:
        self._happenings.pop(0)()


def wait_for(generation_id: str) -> Wait:
    return Wait(generation_id, time.time() + 60, poll_interval=0.05)


def test_a_key_that_was_replaced_is_taken_up(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    emulator.configure(processing_seconds=3600)
    emulator.add_key("veo3_old_key", credits=1000, account="team")
    emulator.add_key("veo3_new_key", account="team")
    use_connection(monkeypatch, emulator, password="veo3_old_key")
    generation_id = submit()

    def replace() -> None:
        use_connection(monkeypatch, emulator, password="veo3_new_key")
        emulator.add_key("veo3_old_key", disabled=True)
        emulator.force(generation_id, "complete")

    hook = Veo3Hook()
    result = wait_blocking(hook, wait_for(generation_id), Clock(lambda: None, replace))
    assert result.ending == "completed"
    assert hook.settings.api_key == "veo3_new_key"


def test_a_key_that_is_refused_is_read_once_more(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    emulator.configure(processing_seconds=3600)
    generation_id = submit()
    emulator.inject({"kind": "status", "status": 401, "endpoint": "status", "times": None})
    reads: list[str] = []
    read = Veo3Hook.get_connection

    def noted(conn_id: str) -> Any:
        reads.append(conn_id)
        return read(conn_id)

    monkeypatch.setattr(Veo3Hook, "get_connection", staticmethod(noted))
    result = wait_blocking(Veo3Hook(), wait_for(generation_id), Clock(lambda: None))
    assert (result.ending, result.reason) == ("error", Veo3AuthenticationError.__name__)
    assert reads == ["veo3_default"] * 2
    assert f"{generation_id} was paid for and may go on" in result.message
    assert status_requests(emulator) == 1


@pytest.mark.parametrize("environment", [None, "veo3_of_environment"])
def test_a_connection_that_is_missing_for_a_moment_is_not_replaced(
    environment: str | None, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    emulator.configure(processing_seconds=3600)
    generation_id = submit()
    emulator.inject({"kind": "status", "status": 401, "endpoint": "status", "times": 1})
    if environment is not None:
        emulator.add_key(environment, credits=1000)
        monkeypatch.setenv("VEO3_API_KEY", environment)
        monkeypatch.setenv("VEO3_BASE_URL", emulator.base_url)
    hook = Veo3Hook()
    assert hook.settings.api_key == emulator.api_key

    def remove() -> None:
        monkeypatch.delenv("AIRFLOW_CONN_VEO3_DEFAULT")

    result = wait_blocking(hook, wait_for(generation_id), Clock(remove))
    assert (result.ending, result.reason) == ("error", Veo3AuthenticationError.__name__)
    assert hook.settings.api_key == emulator.api_key
