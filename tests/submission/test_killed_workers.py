"""A worker that is killed anywhere costs nothing: the next attempt goes on with what was paid for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.support.airflow_versions import XCOMS_PER_ATTEMPT
from tests.support.runs import DRAGON, TASK, accepted, lose_worker, paid_once, start, submissions, succeed

if TYPE_CHECKING:
    from airflow_provider_veo3.emulator import Emulator
    from tests.support.workers import Workers

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


@pytest.mark.parametrize("point", ["before the history", "before the note"])
def test_death_while_looking_for_a_lost_answer(point: str, emulator: Emulator, workers: Workers) -> None:
    emulator.inject({"kind": "accept_then_disconnect"})
    run = start(**SUBMIT_ONLY)
    workers.kill(run, point, **SUBMIT_ONLY)
    lose_worker(run)
    paid_once(emulator, succeed(run.attempt(TASK)))
    assert submissions(emulator) == 1


def test_two_equal_tasks_whose_workers_both_die_share_what_was_paid_for(
    emulator: Emulator, workers: Workers
) -> None:
    run = start([DRAGON, DRAGON])
    for index in (0, 1):
        workers.kill(run, "after the acceptance", index, prompt=[DRAGON, DRAGON])
        lose_worker(run, index)
    first, second = (run.attempt(TASK, index) for index in (0, 1))
    both = sorted(accepted(emulator))
    assert len(both) == 2
    if XCOMS_PER_ATTEMPT:  # where the first cannot read what the second has asked for
        assert first.error_name == "Veo3AmbiguousSubmissionError"
        assert ", ".join(both) in str(first.error)
        assert succeed(second) in both
    else:
        assert sorted([succeed(first), succeed(second)]) == both


LOST = {
    "both": [{"kind": "accept_then_disconnect", "times": 2}],
    "one before its acceptance": [
        {"kind": "disconnect_before", "endpoint": "text-to-video"},
        {"kind": "accept_then_disconnect"},
    ],
}


@pytest.mark.parametrize("lost", LOST)
def test_two_equal_tasks_that_lose_their_answers_at_the_same_time(
    lost: str, emulator: Emulator, workers: Workers
) -> None:
    for fault in LOST[lost]:
        emulator.inject(fault)
    run = start([DRAGON, DRAGON])
    assert workers.attempt([(run, 0), (run, 1)], prompt=[DRAGON, DRAGON]) == [0, 0]
    assert [run.state(TASK, index) for index in (0, 1)] == ["success", "success"]
    ids = [run.xcom(TASK, map_index=index) for index in (0, 1)]
    assert sorted(ids) == sorted(accepted(emulator))
    assert len(set(ids)) == 2
