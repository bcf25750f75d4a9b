"""What is paid for on Airflow 3.0 to 3.2, which keep no state of a task."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_veo3.submission.store import record_store
from tests.support.connections import use_connection
from tests.support.runs import (
    TASK,
    WAIT,
    accepted,
    change,
    clear,
    each_wait,
    generating,
    paid_once,
    start,
    start_anew,
    succeed,
    twice_lost,
)

if TYPE_CHECKING:
    from airflow_provider_veo3.emulator import Emulator


@pytest.mark.parametrize(("retry_delay", "passed"), [(0, 0), (60, 60), (300, 180)])
def test_a_quick_retry_has_not_waited_for_the_answer_yet(retry_delay: int, passed: int) -> None:
    generate = generating(retry_delay=timedelta(seconds=retry_delay)).get_task(TASK)
    run = SimpleNamespace(clear_number=0, start_date=datetime.now(UTC))
    ti = SimpleNamespace(try_number=2, max_tries=2)
    memory = record_store({"ti": ti, "task": generate, "dag_run": run}, durable=True)  # type: ignore[typeddict-item]
    before = time.time()
    record = memory.load("fingerprint")
    assert record is not None
    assert before - passed <= record.last <= time.time() - passed


class TestBeforeTaskState:
    """Airflow 3.0 to 3.2."""

    def test_a_first_attempt_just_submits(self, emulator: Emulator) -> None:
        paid_once(emulator, succeed(start(operator="BeforeTaskState").attempt(TASK)))
        assert "history" not in emulator.ledger()["requests"]

    @each_wait
    def test_a_second_adopts_the_single_match(self, shape: dict[str, Any], emulator: Emulator) -> None:
        emulator.configure(processing_seconds=3600)
        run = start(operator="BeforeTaskState", timeout=0.05, **shape)
        assert run.attempt(TASK).error_name == "Veo3GenerationTimeoutError"
        emulator.force(accepted(emulator)[0], "complete")
        paid_once(emulator, succeed(run.attempt(TASK)))

    def test_one_cleared_after_its_run_failed_adopts_what_the_run_paid_for_before(
        self, emulator: Emulator
    ) -> None:
        emulator.configure(processing_seconds=3600)
        run = start(operator="BeforeTaskState", timeout=0.05, retries=0, **WAIT)
        assert run.attempt(TASK).error_name == "Veo3GenerationTimeoutError"
        emulator.force(accepted(emulator)[0], "complete")
        clear(run)
        start_anew(run)
        paid_once(emulator, succeed(run.attempt(TASK)))

    def test_a_second_submits_where_none_was_accepted(self, emulator: Emulator) -> None:
        emulator.inject({"kind": "fail_generation"})
        run = start(operator="BeforeTaskState", **WAIT)
        assert run.attempt(TASK).error_name == "Veo3GenerationFailedError"
        second = succeed(run.attempt(TASK))
        assert accepted(emulator)[1:] == [second]

    def test_several_follow_the_policy(self, emulator: Emulator) -> None:
        run, ids = twice_lost(emulator, operator="BeforeTaskState")
        ended = run.attempt(TASK)
        assert ended.error_name == "Veo3AmbiguousSubmissionError"
        assert all(generation_id in str(ended.error) for generation_id in ids)
        assert accepted(emulator) == ids

    def test_a_connection_to_another_account_submits_there(
        self, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Its history knows of nothing; on Airflow 3.3 the task fails and names the generation."""
        emulator.configure(processing_seconds=3600)
        run = start(operator="BeforeTaskState", timeout=0.05, **WAIT)
        assert run.attempt(TASK).error_name == "Veo3GenerationTimeoutError"
        (first,) = accepted(emulator)
        emulator.add_key("veo3_other_account", credits=1000)
        use_connection(monkeypatch, emulator, password="veo3_other_account")
        emulator.configure(processing_seconds=0)
        second = succeed(run.attempt(TASK))
        assert accepted(emulator) == [first, second]
        accounts = [task["account"] for task in emulator.ledger()["tasks"]]
        assert len(set(accounts)) == 2

    def test_a_list_that_shifted_gives_each_task_the_video_of_its_prompt(self, emulator: Emulator) -> None:
        """Paid for by whichever task it was; on Airflow 3.3 a task goes on with its own only."""
        emulator.configure(processing_seconds=3600)
        shape = {"operator": "BeforeTaskState", "timeout": 0.05, **WAIT}
        run = start(["a cat", "a dog"], **shape)
        assert [run.attempt(TASK, index).state for index in (0, 1)] == ["up_for_retry"] * 2
        cat, dog = accepted(emulator)
        emulator.force(cat, "complete")
        emulator.configure(processing_seconds=0)
        change(run, ["a bird", "a cat"], operator="BeforeTaskState", **WAIT)
        bird, again = [succeed(run.attempt(TASK, index)) for index in (0, 1)]
        assert again == cat
        assert accepted(emulator) == [cat, dog, bird]
