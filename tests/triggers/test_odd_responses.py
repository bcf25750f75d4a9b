"""Waits of a trigger through gateways' pages, errors inside a success, and certificates."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.clock import FakeClock
from tests.support.waits import drain, events_of, status_requests, submit, trigger_for

if TYPE_CHECKING:
    from airflow_provider_veo3.emulator import Emulator

LONG_AGO = {"accepted_at": time.time() - 600}


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 405, 407, 409, 421, 425, 451, 502])
def test_a_page_of_a_gateway_is_waited_out(emulator: Emulator, status: int) -> None:
    page = {"status": status, "body": "<html>Blocked</html>", "content_type": "text/html"}
    emulator.inject({"kind": "status", "endpoint": "status", "times": 3, **page})
    assert drain(trigger_for(submit(), **LONG_AGO))["ending"] == "completed"
    assert status_requests(emulator) == 4


@pytest.mark.parametrize("status", [200, 404])
def test_an_unknown_id_ends_the_wait_whatever_the_http_status(emulator: Emulator, status: int) -> None:
    emulator.inject(
        {"kind": "refuse", "endpoint": "status", "code": "TASK_NOT_FOUND", "status": status, "times": None}
    )
    event = drain(trigger_for(submit(), **LONG_AGO))
    assert (event["ending"], event["reason"]) == ("error", "Veo3GenerationNotFoundError")
    assert status_requests(emulator) == 1


@pytest.mark.parametrize("status", [200, 500])
@pytest.mark.parametrize("times", [1, None])
def test_a_failure_without_the_generations_id_has_to_be_confirmed(
    emulator: Emulator, status: int, times: int | None
) -> None:
    refusal = {"code": "GENERATION_FAILED", "status": status, "error": "fell over", "times": times}
    emulator.inject({"kind": "refuse", "endpoint": "status", **refusal})
    event = drain(trigger_for(submit(), **LONG_AGO))
    assert event["ending"] == ("completed" if times else "failed")
    assert times or "fell over" in event["message"]
    assert status_requests(emulator) == 2


def test_a_timeout_names_a_status_word_that_is_not_known(emulator: Emulator) -> None:
    emulator.configure(processing_seconds=3600, processing_word="levitating")
    event = drain(trigger_for(submit(), deadline=time.time() + 0.2))
    assert event["ending"] == "timeout"
    assert "'levitating'" in event["message"]


@pytest.mark.parametrize("word", ["expired", "canceled", "cancelled", "rejected", "blocked", "moderation"])
def test_a_word_of_failure_ends_the_wait_as_failed(emulator: Emulator, word: str) -> None:
    emulator.configure(failed_word=word)
    emulator.inject({"kind": "fail_generation"})
    assert drain(trigger_for(submit()))["ending"] == "failed"


@pytest.mark.parametrize("word", ["finished", "ready", "done", "levitating"])
def test_videos_mean_completed_whatever_the_word(emulator: Emulator, word: str) -> None:
    emulator.configure(completed_word=word)
    assert drain(trigger_for(submit()))["ending"] == "completed"


@pytest.mark.parametrize("early", [0.0, 2.0, 60.0])
def test_the_event_is_held_back_in_the_first_seconds_after_the_deferral(
    emulator: Emulator, early: float
) -> None:
    clock = FakeClock()
    trigger: Any = trigger_for(submit(), not_before=clock.now + early)
    trigger.clock, trigger.sleep = clock, clock.sleep_async
    (event,) = asyncio.run(events_of(trigger))
    assert event["ending"] == "completed"
    assert clock.slept == [min(early, 5.0)], "never for long, however the wall clock is set"


def test_each_deferral_sets_the_earliest_time_of_its_event(emulator: Emulator) -> None:
    from airflow.sdk import DAG

    from airflow_provider_veo3.operators.generate import Veo3TextToVideoOperator
    from airflow_provider_veo3.sensors.generation import Veo3GenerationSensor
    from tests.support.task_runs import Run

    emulator.configure(processing_seconds=3600)
    generation_id = submit()
    with DAG("held_back") as dag:
        Veo3GenerationSensor(task_id="sense", generation_id=generation_id, deferrable=True)
        Veo3TextToVideoOperator(task_id="generate", prompt="A", deferrable=True, wait_for_completion=True)
        Veo3TextToVideoOperator(task_id="limited", prompt="B", deferrable=True, timeout=9)
    run = Run(dag)
    hint = {"Retry-After": "8", "X-RateLimit-Retry-After": "8"}
    for task_id in dag.task_dict:
        if task_id == "limited":
            emulator.inject({"kind": "status", "status": 429, "headers": hint, "endpoint": "text-to-video"})
        before = time.time()
        assert run.start(task_id).state == "deferred"
        kwargs = run.trigger(task_id).serialize()[1]
        earliest = kwargs["until"] if task_id == "limited" else kwargs["not_before"]
        assert earliest >= before + 5
