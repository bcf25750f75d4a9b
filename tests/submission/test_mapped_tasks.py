"""Mapped tasks: each gets a video of its own, and what another paid for is never given away."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from airflow.utils.session import create_session

from airflow_provider_veo3.submission.claims import CLAIM_KEY
from tests.support.airflow_versions import XCOMS_PER_ATTEMPT, delete_xcoms, needs_task_state, set_xcom
from tests.support.connections import use_connection
from tests.support.fixtures import set_timings
from tests.support.runs import DRAGON, TASK, accepted, change, lose_worker, start, succeed

if TYPE_CHECKING:
    from airflow_provider_veo3.emulator import Emulator
    from tests.support.task_runs import Run
    from tests.support.workers import Workers

TWICE = [DRAGON, DRAGON]
CUT_AFTER = {"kind": "accept_then_disconnect"}
CUT_BEFORE = {"kind": "disconnect_before", "endpoint": "text-to-video"}


def begin_attempt(run: Run, map_index: int) -> None:
    """Delete a task's XComs, as Airflow does when an attempt begins."""
    with create_session() as session:
        delete_xcoms(session, run_id=run.run_id, map_index=map_index)


def each_its_own(emulator: Emulator, *ids: str) -> None:
    assert len(set(ids)) == len(ids)
    assert sorted(ids) == sorted(accepted(emulator))


def test_tasks_that_meet_no_fault_make_no_claim_and_read_none(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

    def unwanted(*args: Any, **kwargs: Any) -> None:
        raise AssertionError("nothing is to be read of the other tasks")

    monkeypatch.setattr(RuntimeTaskInstance, "xcom_pull", unwanted)
    run = start(TWICE)
    each_its_own(emulator, *(succeed(run.attempt(TASK, index)) for index in (0, 1)))
    assert [run.xcom(TASK, CLAIM_KEY, index) for index in (0, 1)] == [None, None]


def test_one_that_loses_its_answer_does_not_take_its_twin_s(emulator: Emulator) -> None:
    for fault in (CUT_AFTER, CUT_BEFORE):
        emulator.reset()
        run = start(TWICE)
        first = succeed(run.attempt(TASK, 0))
        emulator.inject(fault)
        each_its_own(emulator, first, succeed(run.attempt(TASK, 1)))


def test_one_that_lost_nothing_accepted_takes_its_dead_twin_s_which_then_pays_for_its_own(
    emulator: Emulator, workers: Workers
) -> None:
    run = start(TWICE)
    workers.kill(run, "after the acceptance", 0, prompt=TWICE)
    lose_worker(run, 0)
    emulator.inject(CUT_BEFORE)
    second = succeed(run.attempt(TASK, 1))
    assert accepted(emulator) == [second]
    each_its_own(emulator, succeed(run.attempt(TASK, 0)), second)


def test_one_whose_claim_was_wiped_gives_way_to_who_took_its_generation(
    emulator: Emulator, workers: Workers
) -> None:
    run = start(TWICE)
    workers.kill(run, "after the record", 0, prompt=TWICE)
    lose_worker(run, 0)
    begin_attempt(run, 0)
    emulator.inject(CUT_BEFORE)
    second = succeed(run.attempt(TASK, 1))
    assert accepted(emulator) == [second]
    each_its_own(emulator, succeed(run.attempt(TASK, 0)), second)


@needs_task_state
def test_one_between_two_attempts_keeps_its_generation(emulator: Emulator) -> None:
    emulator.configure(processing_seconds=3600)
    run = start(TWICE, wait_for_completion=True, deferrable=False, timeout=0.05)
    assert run.attempt(TASK, 0).error_name == "Veo3GenerationTimeoutError"
    emulator.inject(CUT_AFTER)
    second = run.attempt(TASK, 1)
    first_id, second_id = accepted(emulator)
    if XCOMS_PER_ATTEMPT:
        assert (second.error_name, second.manifest) == ("Veo3AmbiguousSubmissionError", None)
        assert first_id in str(second.error)
        assert second_id in str(second.error)
    else:
        assert (second.error_name, second.manifest["id"]) == ("Veo3GenerationTimeoutError", second_id)
    emulator.force(first_id, "complete")
    assert succeed(run.attempt(TASK, 0)) == first_id
    assert accepted(emulator) == [first_id, second_id]


def held_by_the_second(run: Run, generation_id: str) -> None:
    """Let the second of the mapped tasks claim a generation."""
    claim = {"holder": [TASK, 1], "id": generation_id, "held": True}
    of = {"dag_id": run.dag.dag_id, "task_id": TASK, "run_id": run.run_id, "map_index": 1}
    with create_session() as session:
        set_xcom(session, CLAIM_KEY, claim, **of)


def test_an_acceptance_that_another_took_for_its_own_is_replaced(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own answer came so late that another, whose was lost, found it first."""
    from airflow_provider_veo3.hooks.veo3 import Veo3Hook

    run = start(TWICE)
    submit = Veo3Hook.submit

    def slow(hook: Veo3Hook, *args: Any) -> Any:
        generation = submit(hook, *args)
        if len(accepted(emulator)) == 1:
            held_by_the_second(run, generation.id)
        return generation

    monkeypatch.setattr(Veo3Hook, "submit", slow)
    set_timings(monkeypatch, publishing=-1.0)
    first = succeed(run.attempt(TASK, 0))
    taken, own = accepted(emulator)
    assert first == own != taken


def test_one_whose_acceptance_another_took_takes_what_that_one_has_paid_for(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both were accepted; the answer to one was lost, and the other's came too late to be claimed."""
    from airflow_provider_veo3.hooks.veo3 import Veo3Hook

    run = start(TWICE)
    submit = Veo3Hook.submit

    def slow(hook: Veo3Hook, *args: Any) -> Any:
        submit(hook, *args)  # the twin's, whose answer is lost
        generation = submit(hook, *args)
        held_by_the_second(run, generation.id)
        return generation

    monkeypatch.setattr(Veo3Hook, "submit", slow)
    set_timings(monkeypatch, publishing=-1.0)
    first = succeed(run.attempt(TASK, 0))
    the_twin_s, _ = accepted(emulator)
    assert first == the_twin_s


def test_a_twin_that_was_refused_waits_for_nothing(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two generations that could be the lost one, the second is then somebody else's."""
    from airflow_provider_veo3.hooks.veo3 import Veo3Hook

    run = start(TWICE)
    use_connection(monkeypatch, emulator, password="veo3_unknown_key")
    assert run.attempt(TASK, 0).error_name == "Veo3AuthenticationError"
    use_connection(monkeypatch, emulator)
    emulator.inject(CUT_AFTER)
    emulator.inject({"kind": "status", "status": 503, "endpoint": "history", "times": 4})
    assert run.attempt(TASK, 1).state == "up_for_retry"
    Veo3Hook().text_to_video(DRAGON)
    assert run.attempt(TASK, 1).error_name == "Veo3AmbiguousSubmissionError"
    assert len(accepted(emulator)) == 2


@pytest.mark.parametrize("status_prompt_length", [None, 45])
def test_prompts_that_begin_alike_are_told_apart(
    status_prompt_length: int | None, emulator: Emulator
) -> None:
    prompts = ["A product video of our finest shoes, in red", "A product video of our finest shoes, in blue"]
    emulator.configure(history_prompt_length=20, status_prompt_length=status_prompt_length)
    run = start(prompts)
    emulator.inject(CUT_AFTER)
    emulator.inject({"kind": "status", "status": 503, "endpoint": "history", "times": 4})
    assert run.attempt(TASK, 0).state == "up_for_retry"
    emulator.inject(CUT_BEFORE)
    ids = [succeed(run.attempt(TASK, index)) for index in (1, 0)]
    told = {task["id"]: task["prompt"] for task in emulator.ledger()["tasks"]}
    assert [told[generation_id] for generation_id in ids] == prompts[::-1]
    assert len(told) == 2


@needs_task_state
def test_a_list_that_shifted_gives_no_task_another_s_video(emulator: Emulator) -> None:
    emulator.configure(processing_seconds=3600)
    run = start(["a cat", "a dog"], wait_for_completion=True, deferrable=False, timeout=0.05)
    assert [run.attempt(TASK, index).state for index in (0, 1)] == ["up_for_retry"] * 2
    change(run, ["a bird", "a cat"], deferrable=False)
    ids = [succeed(run.attempt(TASK, index)) for index in (0, 1)]
    prompts = {task["id"]: task["prompt"] for task in emulator.ledger()["tasks"]}
    assert [prompts[generation_id] for generation_id in ids] == ["a bird", "a cat"]
    assert list(prompts.values()) == ["a cat", "a dog", "a bird", "a cat"]
