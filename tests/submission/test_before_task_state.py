"""What is paid for on Airflow 3.0 to 3.2, which keep no state of a task."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from runs import TASK, accepted, clear, paid_once, start, start_anew, succeed
from test_lost_answers import DEFER, WAIT, twice_lost

if TYPE_CHECKING:
    from airflow_provider_veo3.emulator import Emulator


class TestBeforeTaskState:
    """Airflow 3.0 to 3.2."""

    def test_a_first_attempt_just_submits(self, emulator: Emulator) -> None:
        paid_once(emulator, succeed(start(operator="BeforeTaskState").attempt(TASK)))
        assert "history" not in emulator.ledger()["requests"]

    @pytest.mark.parametrize("shape", [WAIT, DEFER], ids=["wait", "defer"])
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
