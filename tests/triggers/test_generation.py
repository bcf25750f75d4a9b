"""Generation trigger: serialization, errors, deadline, and an event loop that is never blocked."""

from __future__ import annotations

import asyncio
import json
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.airflow_versions import carried_by_serde, import_string
from tests.support.connections import use_connection
from tests.support.waits import HOUR, drain, events_of, status_requests, submit, trigger_for, until

if TYPE_CHECKING:
    from airflow_provider_veo3.emulator import Emulator
    from tests.support.holding import Hold

pytestmark = pytest.mark.filterwarnings("error::ResourceWarning")


def test_round_trip_through_airflows_own_serialization() -> None:
    from airflow.models.trigger import Trigger
    from airflow.serialization.serialized_objects import BaseSerialization

    original = trigger_for("veo_1_a", deadline=1799999999.25, poll_interval=None)
    path, kwargs = original.serialize()
    assert json.loads(json.dumps(kwargs)) == kwargs
    assert all(value is None or isinstance(value, str | int | float) for value in kwargs.values())
    assert set(kwargs) == {"generation_id", "veo3_conn_id", "deadline", "poll_interval"}
    row = Trigger.from_object(original)
    for carried in (
        *carried_by_serde(kwargs),
        BaseSerialization.deserialize(json.loads(json.dumps(BaseSerialization.serialize(kwargs)))),
        row.kwargs,
    ):
        again = import_string(path)(**carried)
        assert type(again) is type(original)
        assert again.serialize() == (path, kwargs)


@pytest.mark.parametrize(
    ("fault", "ending", "reason"),
    [
        ({"kind": "lose_task", "endpoint": "status"}, "error", "Veo3GenerationNotFoundError"),
        ({"kind": "status", "status": 401, "endpoint": "status"}, "error", "Veo3AuthenticationError"),
        ({"kind": "status", "status": 403, "endpoint": "status"}, "error", "Veo3AuthenticationError"),
        ({"kind": "status", "status": 402, "endpoint": "status"}, "error", "Veo3InsufficientCreditsError"),
        ({"kind": "status", "status": 400, "endpoint": "status"}, "error", "Veo3BadRequestError"),
    ],
)
def test_a_permanent_error_ends_the_wait_with_the_first_response(
    emulator: Emulator, fault: dict[str, Any], ending: str, reason: str | None
) -> None:
    emulator.inject(fault)
    event = drain(trigger_for(submit(), accepted_at=time.time() - 600))
    assert (event["ending"], event["reason"]) == (ending, reason)
    assert status_requests(emulator) == 1


def test_a_failed_generation_ends_the_wait_with_the_second_response(emulator: Emulator) -> None:
    emulator.inject({"kind": "fail_generation", "error": "fell over"})
    event = drain(trigger_for(submit()))
    assert (event["ending"], event["reason"]) == ("failed", None)
    assert status_requests(emulator) == 2


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "status", "status": 429, "headers": {"Retry-After": "0", "X-RateLimit-Retry-After": "0"}},
        {"kind": "status", "status": 500},
        {"kind": "status", "status": 408},
        {"kind": "disconnect_before"},
        {"kind": "disconnect_mid_body"},
        {"kind": "wrong_length", "bytes": 100000},
        {"kind": "garbage"},
        {"kind": "html_instead"},
        {"kind": "status", "status": 200, "body": {"success": True}},
        {"kind": "status", "status": 200, "body": {"taskId": "veo_1_other", "status": "completed"}},
        {"kind": "status", "status": 200, "body": []},
        {"kind": "status", "status": 204, "body": ""},
    ],
    ids=lambda fault: f"{fault['kind']}-{fault.get('status')}",
)
def test_a_transient_error_is_waited_out(emulator: Emulator, fault: dict[str, Any]) -> None:
    emulator.inject({**fault, "endpoint": "status", "times": 3})
    assert drain(trigger_for(submit()))["ending"] == "completed"
    assert status_requests(emulator) == 4


def test_a_passed_deadline_allows_one_poll(emulator: Emulator) -> None:
    """A triggerer that was down for an hour must neither give up a finished video nor start anew."""
    past = time.time() - HOUR
    assert drain(trigger_for(submit(), deadline=past))["ending"] == "completed"
    assert status_requests(emulator) == 1
    emulator.configure(processing_seconds=HOUR)
    event = drain(trigger_for(submit(), deadline=past))
    assert event["ending"] == "timeout"
    assert status_requests(emulator) == 2
    assert "is still pro" in event["message"]
    emulator.inject({"kind": "status", "status": 503, "endpoint": "status", "times": None})
    event = drain(trigger_for(submit(), deadline=past))
    assert (event["ending"], status_requests(emulator)) == ("timeout", 3)
    assert "503" in event["message"]


def test_a_recreated_trigger_keeps_its_deadline(emulator: Emulator, hold: Hold) -> None:
    from airflow_provider_veo3.triggers.generation import Veo3GenerationTrigger

    emulator.configure(processing_seconds=HOUR)
    emulator.inject({"kind": "delay", "endpoint": "status"})
    first = trigger_for(submit(), deadline=time.time() + 0.2)

    async def interrupted() -> None:
        waiting = asyncio.create_task(events_of(first))
        await until(lambda: emulator.faults()[0]["met"])
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

    asyncio.run(interrupted())
    hold.end()
    again = Veo3GenerationTrigger(**first.serialize()[1])
    assert drain(again)["ending"] == "timeout"
    assert time.time() >= again.deadline == first.deadline


def test_the_default_poll_interval_is_the_connections(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    emulator.configure(processing_seconds=HOUR)
    use_connection(monkeypatch, emulator, extra={"poll_interval": 3600})
    soon = time.time() + 0.2
    assert drain(trigger_for(submit(), poll_interval=None, deadline=soon))["ending"] == "timeout"
    assert status_requests(emulator) == 1, "it looks after an interval, or at its deadline if that is sooner"


class Blocking:
    """Record of calls that block a thread, from an audit hook, which Python never removes."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.thread: int | None = None
        sys.addaudithook(self._hear)

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.thread != threading.get_ident():
            return
        blocks = event == "socket.connect" and arguments[0].gettimeout() != 0
        if blocks or event in ("sleep", "socket.getaddrinfo", "subprocess.Popen"):
            self.seen.append(f"{event}{arguments}")

    def sleep(self, seconds: float) -> None:
        """Replace ``time.sleep``, which Python reports from 3.13 on only."""
        self._hear("sleep", (seconds,))
        threading.Event().wait(seconds)


@pytest.mark.timeout(300)  # sooner than the API is given up
def test_the_event_loop_is_never_blocked(
    emulator: Emulator, hold: Hold, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the API is slow to respond, everything else in the triggerer goes on; else it never responds."""
    use_connection(monkeypatch, emulator, extra={"request_timeout": 600, "requests_per_minute": 100_000})
    emulator.inject({"kind": "delay", "endpoint": "status"})
    emulator.inject({"kind": "garbage", "endpoint": "status"})
    generation_id = submit()
    blocking = Blocking()
    monkeypatch.setattr(time, "sleep", blocking.sleep)

    async def answer_after_many_turns() -> bool:
        await until(lambda: emulator.faults()[0]["met"])
        for _ in range(100):
            await asyncio.sleep(0.001)
        unanswered = status_requests(emulator) == 0
        hold.end()
        return unanswered

    async def run() -> tuple[list[Any], bool]:
        blocking.thread = threading.get_ident()
        try:
            return await asyncio.gather(events_of(trigger_for(generation_id)), answer_after_many_turns())
        finally:
            blocking.thread = None

    (event,), unanswered = asyncio.run(run())
    assert event["ending"] == "completed"
    assert unanswered, "the loop stood still until there was an answer"
    assert blocking.seen == []
    assert status_requests(emulator) == 2


def test_on_kill_names_the_generation_and_sends_no_request(
    emulator: Emulator, capsys: pytest.CaptureFixture[str]
) -> None:
    generation_id = submit()
    before = emulator.ledger()["totals"]["requests"]
    trigger = trigger_for(generation_id)
    asyncio.run(trigger.on_kill())
    asyncio.run(trigger.cleanup())
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "no way to cancel" in line]
    assert generation_id in line
    assert emulator.ledger()["totals"]["requests"] == before
