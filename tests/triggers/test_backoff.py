"""Back-off trigger: its serialization, a restart during the wait, and its end."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from tests.support.clock import FakeClock
from tests.support.waits import events_of

EVENT = {"version": 1, "give_up_at": 1.5, "refused_since": 0.5, "refusals": 3}


def trigger(until: float) -> Any:
    from airflow_provider_veo3.triggers.backoff import Veo3BackoffTrigger

    return Veo3BackoffTrigger(until=until, event=EVENT)


def test_round_trip_through_airflows_own_serialization(airflow_db: None) -> None:
    from airflow.models.trigger import Trigger

    from tests.support.airflow_versions import carried_by_serde, import_string

    path, kwargs = trigger(1799999999.25).serialize()
    assert kwargs == {"until": 1799999999.25, "event": EVENT}
    stored = Trigger.from_object(trigger(1799999999.25)).kwargs
    for carried in (*carried_by_serde(kwargs), stored):
        again = import_string(path)(**carried)
        assert again.serialize() == (path, kwargs)


def test_a_recreated_trigger_continues_the_same_wait() -> None:
    """As in another triggerer, after the first has gone, or beside it."""
    clock = FakeClock()
    until = clock.now + 3600
    first = trigger(until)

    async def interrupted() -> None:
        waiting = asyncio.create_task(events_of(first))
        await asyncio.sleep(0)  # it has begun
        assert not waiting.done()
        waiting.cancel()

    asyncio.run(interrupted())
    _, kwargs = first.serialize()
    clock.now += 3500
    again = type(first)(**kwargs)
    again.clock, again.sleep = clock, clock.sleep_async
    assert asyncio.run(events_of(again)) == [EVENT]
    assert clock.now == until
    assert clock.slept == [60, 40], "the wall clock is read again within a minute"


def test_a_wait_follows_a_wall_clock_that_was_set() -> None:
    clock = FakeClock()
    late = trigger(clock.now + 3600)

    async def set_ahead(seconds: float) -> None:
        clock.slept.append(seconds)
        clock.now += 3600

    late.clock, late.sleep = clock, set_ahead
    assert asyncio.run(events_of(late)) == [EVENT]
    assert clock.slept == [60]


def test_a_passed_time_ends_the_wait_at_once() -> None:
    # the test's own timeout is sooner than an hour
    assert asyncio.run(events_of(trigger(time.time() - 3600))) == [EVENT]
