"""The trigger that stays away: what it carries, that it can be made again anywhere, and that it ends."""

from __future__ import annotations

import asyncio
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pytest

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


def test_one_made_again_goes_on_with_the_same_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in another triggerer, after the first has gone, or beside it."""
    from airflow_provider_veo3.triggers import backoff

    until = time.time() + 3600
    first = trigger(until)

    async def interrupted() -> None:
        waiting = asyncio.create_task(events_of(first))
        await asyncio.sleep(0)  # it has begun
        assert not waiting.done()
        waiting.cancel()

    asyncio.run(interrupted())
    _, kwargs = first.serialize()
    ahead = until - 0.3 - time.time()  # the first was made almost an hour ago
    later = SimpleNamespace(time=lambda: time.time() + ahead)
    monkeypatch.setattr(backoff, "time", later)
    assert asyncio.run(events_of(type(first)(**kwargs))) == [EVENT]
    assert until <= later.time()


def test_one_that_is_late_ends_at_once() -> None:
    # the test's own timeout is sooner than an hour
    assert asyncio.run(events_of(trigger(time.time() - 3600))) == [EVENT]
