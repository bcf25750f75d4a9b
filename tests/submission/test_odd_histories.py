"""Lost responses in histories whose times, order or pages are not what the vendor's pages show."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_veo3.operators._generating import GeneratingOperator
from airflow_provider_veo3.submission.decisions import PRODUCTION
from tests.support.airflow_versions import needs_task_state
from tests.support.fixtures import set_timings
from tests.support.runs import (
    CUT_AFTER,
    CUT_BEFORE,
    DRAGON,
    NO_HISTORY,
    TASK,
    accepted,
    change,
    clear,
    paid_once,
    start,
    submissions,
    succeed,
)

if TYPE_CHECKING:
    from airflow_provider_veo3.emulator import Emulator

DAY = 24 * 3600

READABLE_TIMES: dict[str, dict[str, Any]] = {
    "milliseconds": {"history_created_at": "milliseconds"},
    "milliseconds as text": {"history_created_at": "milliseconds-text"},
    "seconds": {"history_created_at": "seconds"},
    "only the status has a time": {"history_created_at": "absent"},
    "null in the history": {"history_created_at": "null"},
    "local time in the history": {"history_created_at": "local", "local_offset_hours": 8},
}


@needs_task_state
@pytest.mark.parametrize("times", READABLE_TIMES)
def test_yesterdays_video_of_the_same_prompt_is_not_taken_for_the_lost_one(
    times: str, emulator: Emulator
) -> None:
    emulator.configure(**READABLE_TIMES[times])
    emulator.add_history(1, seconds=DAY, prompts=[DRAGON])
    emulator.inject(CUT_BEFORE)
    paid_once(emulator, succeed(start().attempt(TASK)))
    assert submissions(emulator) == 2


@needs_task_state
@pytest.mark.parametrize("times", READABLE_TIMES)
def test_a_lost_generation_is_adopted_in_whatever_form_its_time_is_written(
    times: str, emulator: Emulator
) -> None:
    emulator.configure(**READABLE_TIMES[times])
    emulator.inject(CUT_AFTER)
    paid_once(emulator, succeed(start().attempt(TASK)))
    assert submissions(emulator) == 1


NO_TIME = {"history_created_at": "absent", "status_created_at": "absent", "task_ids": "uuid"}
DOUBTFUL: dict[str, dict[str, Any]] = {
    "no time anywhere": NO_TIME,
    "local time everywhere": NO_TIME
    | {"history_created_at": "local", "status_created_at": "local", "local_offset_hours": -5},
    "the API's clock is off, and a gateway's date is right": {
        "clock_offset_seconds": -60,
        "date_offset_seconds": 60,
    },
}


@needs_task_state
@pytest.mark.parametrize("times", DOUBTFUL)
def test_a_generation_whose_time_proves_nothing_is_asked_about_and_not_paid_over(
    times: str, emulator: Emulator
) -> None:
    emulator.configure(**DOUBTFUL[times])
    emulator.inject(CUT_AFTER)
    run = start()
    ended = run.attempt(TASK)
    assert (ended.error_name, ended.state) == ("Veo3AmbiguousSubmissionError", "failed")
    (generation_id,) = accepted(emulator)
    assert generation_id in str(ended.error)
    change(run, on_ambiguous_submission="adopt_newest")
    clear(run)
    paid_once(emulator, succeed(run.attempt(TASK)))
    assert submissions(emulator) == 1


PAGES: dict[str, dict[str, Any]] = {
    "pages of five": {"history_page_limit": 5, "history_has_more_value": "false"},
    "pages of five without a total": {
        "history_page_limit": 5,
        "history_has_more_value": "false",
        "history_total": False,
    },
    "oldest first": {"history_order": "oldest"},
}


@needs_task_state
@pytest.mark.parametrize("pages", PAGES)
def test_a_lost_generation_is_found_among_thousands(pages: str, emulator: Emulator) -> None:
    emulator.add_history(30 if "five" in pages else 5200, seconds=30 * DAY)
    emulator.inject(CUT_AFTER)
    run = start()
    emulator.configure(**PAGES[pages])
    emulator.inject({"kind": "delay", "endpoint": "models", "seconds": 0})
    paid_once(emulator, succeed(run.attempt(TASK)))
    assert submissions(emulator) == 1


@needs_task_state
def test_a_lost_generation_behind_other_acceptances_is_found_on_short_pages(emulator: Emulator) -> None:
    emulator.configure(history_page_limit=5, history_has_more_value="false")
    emulator.inject(CUT_AFTER)
    emulator.inject(NO_HISTORY)
    run = start()
    assert run.attempt(TASK).state == "up_for_retry"
    from airflow_provider_veo3.hooks.veo3 import Veo3Hook

    for number in range(12):
        Veo3Hook().text_to_video(f"Number {number}")
    lost, *_ = accepted(emulator)
    assert succeed(run.attempt(TASK)) == lost


@needs_task_state
def test_an_api_that_ignores_skip_is_named_and_not_paid_over(emulator: Emulator) -> None:
    emulator.add_history(250, seconds=DAY)
    emulator.configure(history_skip_ignored=True, history_order="oldest")
    emulator.inject(CUT_AFTER)
    ended = start().attempt(TASK)
    assert (ended.error_name, ended.state) == ("Veo3AmbiguousSubmissionError", "failed")
    assert "ignores 'skip'" in str(ended.error)
    assert submissions(emulator) == 1


class Later:
    """A clock whose long sleeps let the failure be taken back and the generation complete."""

    time = staticmethod(time.time)

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        if seconds >= 1:
            self.slept.append(seconds)
            self._emulator.advance(seconds)
            self._emulator.force(accepted(self._emulator)[0], "complete")
        else:
            time.sleep(seconds)


@needs_task_state
@pytest.mark.parametrize("form", [{}, {"failed_status": 500}], ids=["status", "error"])
def test_a_failure_that_is_taken_back_is_not_paid_for_again(
    form: dict[str, Any], emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    emulator.configure(**form)
    emulator.configure(processing_seconds=3600)
    emulator.inject({"kind": "report_failed", "seconds": 29, "endpoint": "text-to-video"})
    run = start(wait_for_completion=True, deferrable=False, poll_interval=0.02)
    ended = run.attempt(TASK)
    assert (ended.error_name, ended.state) == ("Veo3GenerationFailedError", "up_for_retry")
    clock = Later(emulator)
    monkeypatch.setattr(GeneratingOperator, "clock", clock)
    set_timings(monkeypatch, failure_confirmation=PRODUCTION.failure_confirmation)
    paid_once(emulator, succeed(run.attempt(TASK)))
    assert clock.slept == [30]


@pytest.mark.parametrize("operator", ["BeforeTaskState"])
def test_a_video_of_another_run_is_never_adopted(
    operator: str, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first run is refused, the second succeeds with the same prompt, the first is cleared."""
    first = start(operator=operator)
    emulator.inject({"kind": "refuse", "code": "INSUFFICIENT_CREDITS", "status": 402})
    assert first.attempt(TASK).error_name == "Veo3InsufficientCreditsError"
    second = start(operator=operator, dag_id=first.dag.dag_id)
    theirs = succeed(second.attempt(TASK))
    clear(first)
    ours = succeed(first.attempt(TASK))
    assert ours != theirs
    assert accepted(emulator) == [theirs, ours]
