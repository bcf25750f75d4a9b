"""Many triggers in one event loop, over real sockets: what they cost together, and what concerns them all."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.connections import use_connection
from tests.support.waits import HOUR, events_of, pages, status_requests, submit_many, trigger_for, until

if TYPE_CHECKING:
    from airflow_provider_veo3.emulator import Emulator

pytestmark = [
    pytest.mark.filterwarnings("error::ResourceWarning"),
    pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning"),
]


def wait_for_all(ids: list[str], **changes: Any) -> list[dict[str, Any]]:
    async def run() -> list[list[Any]]:
        return await asyncio.gather(*(events_of(trigger_for(each, **changes)) for each in ids))

    return [event for (event,) in asyncio.run(run())]


@pytest.mark.parametrize("order", ["newest", "oldest"])
def test_many_are_told_by_one_page(emulator: Emulator, order: str) -> None:
    emulator.configure(history_order=order, processing_seconds=HOUR)
    ids = submit_many(30)
    for each in ids:
        emulator.force(each, "complete")
    events = wait_for_all(ids, poll_interval=1.0)
    assert [event["generation_id"] for event in events] == ids
    assert {event["ending"] for event in events} == {"completed"}
    assert (pages(emulator), status_requests(emulator)) == (1, 0)
    assert {event["manifest"]["credits_used"] for event in events} == {190}


def test_more_than_a_page_holds(emulator: Emulator) -> None:
    ids = submit_many(230)
    events = wait_for_all(ids, poll_interval=3.0)  # the first poll is to come after all waits have begun
    assert {event["ending"] for event in events} == {"completed"}
    assert (pages(emulator), status_requests(emulator)) == (3, 0)


def test_failures_tell_their_reason(emulator: Emulator) -> None:
    emulator.inject({"kind": "fail_generation", "error": "Content violates usage policies", "times": 1})
    first, second = wait_for_all(submit_many(2), poll_interval=0.05)
    assert (first["ending"], second["ending"]) == ("failed", "completed")
    assert first["reason"] == "CONTENT_POLICY_VIOLATION"
    assert status_requests(emulator) <= 1


def test_one_that_is_listed_late_does_not_hold_up_the_others(emulator: Emulator) -> None:
    emulator.configure(history_lag_seconds=HOUR)
    ids = submit_many(3)
    assert {event["ending"] for event in wait_for_all(ids, poll_interval=0.05)} == {"completed"}
    assert status_requests(emulator) == 3


def test_one_the_api_does_not_know_ends_alone(emulator: Emulator) -> None:
    ids = [*submit_many(2), "veo_1703123456789_unknown00"]
    *others, unknown = wait_for_all(ids, poll_interval=0.05)
    assert {event["ending"] for event in others} == {"completed"}
    assert (unknown["ending"], unknown["reason"]) == ("error", "Veo3GenerationNotFoundError")


@pytest.mark.parametrize("number", [1, 3])
def test_a_key_that_was_replaced_is_taken_up(
    emulator: Emulator, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The old key is refused in the middle of a wait; the connection has a new one already."""
    emulator.configure(processing_seconds=HOUR)
    emulator.add_key("veo3_old_key", credits=1000, account="team")
    emulator.add_key("veo3_new_key", account="team")
    use_connection(monkeypatch, emulator, password="veo3_old_key")
    ids = submit_many(number)

    async def run() -> list[list[Any]]:
        waiting = [asyncio.create_task(events_of(trigger_for(each, poll_interval=0.05))) for each in ids]
        await until(lambda: status_requests(emulator) + pages(emulator) >= 2)
        use_connection(monkeypatch, emulator, password="veo3_new_key")
        emulator.add_key("veo3_old_key", disabled=True)
        for each in ids:
            emulator.force(each, "complete")
        return await asyncio.gather(*waiting)

    assert {event["ending"] for (event,) in asyncio.run(run())} == {"completed"}


def test_a_key_that_is_refused_ends_all_waits_and_is_read_once_more(emulator: Emulator) -> None:
    ids = submit_many(4)
    emulator.inject({"kind": "status", "status": 401, "endpoint": "history", "times": None})
    events = wait_for_all(ids, poll_interval=0.05)
    assert {(event["ending"], event["reason"]) for event in events} == {("error", "Veo3AuthenticationError")}
    assert pages(emulator) == 1


def test_what_the_api_asks_to_wait_holds_for_those_who_come_later(emulator: Emulator) -> None:
    ids = submit_many(4)
    limited = {"kind": "status", "status": 429, "headers": {"X-RateLimit-Retry-After": "1"}}
    emulator.inject({**limited, "endpoint": "history"})

    async def run() -> float:
        before = time.monotonic()
        waiting = [asyncio.create_task(events_of(trigger_for(each, poll_interval=0.05))) for each in ids[:3]]
        await until(lambda: pages(emulator) == 1)
        await events_of(trigger_for(ids[3], poll_interval=0.05))
        ended = time.monotonic()
        await asyncio.gather(*waiting)
        return ended - before

    assert asyncio.run(run()) > 0.9, "the last one polled although the API was to be left alone"


def test_deadlines_are_each_their_own_while_the_api_is_away(emulator: Emulator) -> None:
    emulator.configure(processing_seconds=HOUR)
    ids = submit_many(3)
    emulator.inject({"kind": "status", "status": 429, "headers": {"Retry-After": "600"}, "times": None})
    now = time.time()

    async def run() -> list[list[Any]]:
        triggers = [
            trigger_for(each, deadline=now + 0.2 * index, poll_interval=0.05)
            for index, each in enumerate(ids, start=1)
        ]
        return await asyncio.gather(*map(events_of, triggers))

    events = [event for (event,) in asyncio.run(run())]
    assert {event["ending"] for event in events} == {"timeout"}
    assert all("cannot be polled" in event["message"] for event in events)
    assert pages(emulator) == 1
