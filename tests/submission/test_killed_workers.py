"""A worker that is killed anywhere costs nothing: the next attempt goes on with what was paid for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from runs import TASK, accepted, lose_worker, paid_once, start, submissions, succeed

if TYPE_CHECKING:
    from workers import Workers

    from airflow_provider_veo3.emulator import Emulator

SUBMIT_ONLY: dict[str, Any] = {"deferrable": False}
WAIT: dict[str, Any] = {"wait_for_completion": True, "deferrable": False}
DEFER: dict[str, Any] = {"wait_for_completion": True, "deferrable": True}

DEATHS = {
    "before the request": SUBMIT_ONLY,
    "after the acceptance": DEFER,
    "after the record": SUBMIT_ONLY,
    "while waiting": WAIT,
    "before the deferral": DEFER,
    "while resuming": DEFER,
    "after delivered": DEFER,
}


@pytest.mark.parametrize(("point", "shape"), DEATHS.items(), ids=DEATHS)
def test_the_next_attempt_pays_nothing(
    point: str, shape: dict[str, Any], emulator: Emulator, workers: Workers
) -> None:
    run = start(**shape)
    workers.kill(run, point, **shape)
    paid_before = accepted(emulator)
    assert len(paid_before) == (point != "before the request")
    lose_worker(run)

    paid_once(emulator, succeed(run.attempt(TASK)))

    assert submissions(emulator) == 1
    assert paid_before in ([], accepted(emulator))
