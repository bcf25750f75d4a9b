"""Retries that Airflow 3.0 resumes with what ended the attempt before: they start over."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_veo3.triggers.events import is_stale
from tests.support.airflow_versions import next_try
from tests.support.refusals import BACKOFF, Jumps
from tests.support.runs import DEFER, TASK, accepted, paid_once, start, submissions, succeed
from tests.support.waits import submit

if TYPE_CHECKING:
    from airflow_provider_veo3.emulator import Emulator
    from tests.support.task_runs import Ended, Run

HINT = {"X-RateLimit-Retry-After": "60"}


def resume_again(run: Run, event: Any, method: str = "execute_complete", task_id: str = TASK) -> Ended:
    """Start the retry as Airflow 3.0 does: with the method and the event of the attempt that has failed."""
    run._change(
        task_id,
        -1,
        try_number=next_try,
        next_method=lambda _: method,
        next_kwargs=lambda _: {"event": event},
    )
    return run._resumed(task_id)


def test_a_retry_is_not_ended_by_the_event_of_the_attempt_before(emulator: Emulator) -> None:
    emulator.configure(processing_seconds=3600)
    run = start(timeout=0.05, **DEFER)
    first = run.attempt(TASK)
    assert (first.error_name, first.events[0]["try_number"]) == ("Veo3GenerationTimeoutError", 1)
    emulator.force(accepted(emulator)[0], "complete")
    paid_once(emulator, succeed(resume_again(run, first.events[0])))


def test_each_of_several_retries_submits_anew_what_has_failed(emulator: Emulator) -> None:
    emulator.inject({"kind": "fail_generation", "times": 2})
    run = start(**DEFER)
    first = run.attempt(TASK)
    assert first.error_name == "Veo3GenerationFailedError"
    again = resume_again(run, first.events[0])
    assert again.state == "deferred"
    assert run.trigger(TASK).try_number == 2
    assert len(set(accepted(emulator))) == 2


def test_what_is_completed_is_taken_up_by_any_attempt(emulator: Emulator) -> None:
    run = start(**DEFER, durable=False)
    assert run.start(TASK).state == "deferred"
    (generation_id,) = accepted(emulator)
    manifest = {"id": generation_id, "status": "completed"}
    event = {"generation_id": generation_id, "message": "done", "reason": None, "manifest": manifest}
    ended = resume_again(run, {"version": 1, "ending": "completed", "try_number": 1, **event})
    paid_once(emulator, succeed(ended))


def test_an_attempt_after_a_refusal_has_patience_of_its_own(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    jumps = Jumps(emulator, monkeypatch)
    emulator.inject(
        {"kind": "status", "status": 429, "headers": HINT, "endpoint": "text-to-video", "times": None}
    )
    run = start(deferrable=True, timeout=100)
    first = run.attempt(TASK)
    assert first.error_name == "Veo3RateLimitError"
    event = first.events[-1]
    assert event["try_number"] == 1
    before = jumps.now()
    assert resume_again(run, event, "execute_again").state == "deferred", "it would fail at once"
    trigger = run.trigger(TASK)
    assert trigger.event["try_number"] == 2
    assert before + 100 <= trigger.event["give_up_at"] <= jumps.now() + 100
    assert {path for path, _ in first.triggers} == {BACKOFF}
    assert submissions(emulator) == first.rounds + 1


def test_a_sensor_looks_anew(emulator: Emulator) -> None:
    from airflow.sdk import DAG

    from airflow_provider_veo3.sensors.generation import Veo3GenerationSensor
    from tests.support.task_runs import Run

    emulator.configure(processing_seconds=3600)
    generation_id = submit()
    with DAG("stale_sensor") as dag:
        Veo3GenerationSensor(
            task_id="wait",
            generation_id=generation_id,
            deferrable=True,
            retries=2,
            retry_delay=timedelta(days=1),
        )
    run = Run(dag)
    assert run.start("wait").state == "deferred"
    event = {"version": 1, "generation_id": generation_id, "ending": "error", "reason": "Veo3Error"}
    event |= {"message": "The connection was wrong.", "manifest": {}, "try_number": 1}
    assert run.resume("wait", event).error_name == "Veo3Error"
    emulator.force(generation_id, "complete")
    ended = resume_again(run, event, task_id="wait")
    assert (ended.error, ended.value) == (None, generation_id)


@pytest.mark.parametrize(
    ("kwargs", "stale"),
    [
        (None, False),
        ({}, False),
        ({"event": None}, False),
        ({"event": {"ending": "failed"}}, False),
        ({"event": {"ending": "failed", "try_number": 2}}, False),
        ({"event": {"ending": "failed", "try_number": 1}}, True),
        ({"event": {"refusals": 1, "try_number": 1}}, True),
        ({"event": {"ending": "completed", "try_number": 1}}, False),
        ({"error": "Trigger timeout"}, False),
    ],
)
def test_what_is_stale(kwargs: dict[str, Any] | None, *, stale: bool) -> None:
    ti = type("TI", (), {"try_number": 2})
    assert is_stale(kwargs, {"ti": ti}) is stale  # type: ignore[typeddict-item]
