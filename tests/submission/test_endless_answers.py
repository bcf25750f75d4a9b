"""Answers without end, in size, rows and time, and failures that are about the question: not paid twice."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_veo3.hooks.veo3 import Veo3Hook
from tests.support.airflow_versions import needs_task_state
from tests.support.connections import IMPATIENT, use_connection
from tests.support.runs import (
    CUT_AFTER,
    TASK,
    WAIT,
    accepted,
    change,
    clear,
    each_shape,
    each_wait,
    paid_once,
    start,
    submissions,
    succeed,
)
from tests.support.samples import flat, nested

if TYPE_CHECKING:
    from airflow_provider_veo3.emulator import Emulator

pytestmark = needs_task_state

ENVELOPES = pytest.mark.parametrize("envelope", [flat, nested])
BEYOND = 17 * 2**20
"""Bytes of an answer that is not read to its end."""


@each_shape
def test_an_acceptance_that_is_too_large_is_settled_by_the_history(
    shape: dict[str, Any], emulator: Emulator
) -> None:
    emulator.inject({"kind": "huge_body", "endpoint": "text-to-video", "bytes": BEYOND})
    paid_once(emulator, succeed(start(**shape).attempt(TASK)))
    assert submissions(emulator) == 1


@each_shape
def test_rows_that_were_not_asked_for_hide_no_lost_generation(
    shape: dict[str, Any], emulator: Emulator
) -> None:
    emulator.inject(CUT_AFTER)
    emulator.inject({"kind": "many_rows", "endpoint": "history", "rows": 50_000, "times": None})
    paid_once(emulator, succeed(start(**shape).attempt(TASK)))
    assert submissions(emulator) == 1


@pytest.mark.parametrize(
    "fault", [{"kind": "many_rows", "rows": 60_000}, {"kind": "huge_body", "bytes": BEYOND}], ids=str
)
def test_a_history_that_is_too_large_is_no_empty_one(fault: dict[str, Any], emulator: Emulator) -> None:
    emulator.inject(CUT_AFTER)
    emulator.inject({**fault, "endpoint": "history", "times": None})
    run = start()
    for _ in range(2):
        ended = run.attempt(TASK)
        assert ended.state == "up_for_retry"
        assert submissions(emulator) == 1
    emulator.clear_faults()
    paid_once(emulator, succeed(run.attempt(TASK)))
    assert submissions(emulator) == 1


@each_shape
def test_an_acceptance_in_drops_is_given_up_at_the_deadline_and_found(
    shape: dict[str, Any], emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Veo3Hook, "longest_response", 0.5)
    use_connection(monkeypatch, emulator, extra=IMPATIENT)
    # each byte comes well within the timeout, all of them together in minutes
    emulator.inject({"kind": "drip", "endpoint": "text-to-video", "seconds": 0.5})
    began = time.monotonic()
    paid_once(emulator, succeed(start(**shape).attempt(TASK)))
    assert time.monotonic() - began < 30
    assert submissions(emulator) == 1


@ENVELOPES
@pytest.mark.parametrize(
    "code", ["GENERATION_FAILED", "INTERNAL_ERROR", "TASK_NOT_FOUND", "VIDEO_NOT_READY", "no_videos"]
)
@pytest.mark.parametrize("status", [200, 202, 404])
def test_a_failure_told_inside_the_acceptance_is_settled_by_the_history(
    status: int, code: str, envelope: Any, emulator: Emulator
) -> None:
    emulator.inject({"kind": "accept_then_status", "status": status, "body": envelope(code)})
    paid_once(emulator, succeed(start(**WAIT).attempt(TASK)))
    assert submissions(emulator) == 1


@ENVELOPES
@pytest.mark.parametrize("code", ["GENERATION_FAILED", "INTERNAL_ERROR", "DATABASE_ERROR"])
@each_wait
def test_a_failure_told_inside_a_poll_is_about_the_question(
    shape: dict[str, Any], code: str, envelope: Any, emulator: Emulator
) -> None:
    body = envelope(code, "the question failed")
    emulator.inject({"kind": "status", "status": 200, "endpoint": "status", "times": 1, "body": body})
    paid_once(emulator, succeed(start(**shape).attempt(TASK)))
    assert submissions(emulator) == 1


@ENVELOPES
@pytest.mark.parametrize("code", ["GENERATION_FAILED", "INTERNAL_ERROR", "DATABASE_ERROR"])
def test_a_failure_told_inside_the_status_of_an_earlier_attempt_is_confirmed_before_anything_is_paid(
    code: str, envelope: Any, emulator: Emulator
) -> None:
    emulator.configure(processing_seconds=3600)
    run = start(wait_for_completion=True, deferrable=False, timeout=0.05)
    assert run.attempt(TASK).error_name == "Veo3GenerationTimeoutError"
    emulator.force(accepted(emulator)[0], "complete")
    body = envelope(code, "the question failed")
    emulator.inject({"kind": "status", "status": 200, "endpoint": "status", "times": 1, "body": body})
    change(run, **WAIT)
    paid_once(emulator, succeed(run.attempt(TASK)))
    assert submissions(emulator) == 1


@ENVELOPES
def test_a_failure_that_is_told_for_a_while_is_not_paid_for_again(envelope: Any, emulator: Emulator) -> None:
    """The attempt ends with a failure that was confirmed too early; the next one asks again."""
    emulator.configure(processing_seconds=3600)
    body = envelope("GENERATION_FAILED", "the generation failed")
    emulator.inject({"kind": "status", "status": 200, "endpoint": "status", "times": 3, "body": body})
    run = start(**WAIT)
    ended = run.attempt(TASK)
    assert (ended.error_name, ended.state) == ("Veo3GenerationFailedError", "up_for_retry")
    emulator.force(accepted(emulator)[0], "complete")
    clear(run)
    paid_once(emulator, succeed(run.attempt(TASK)))
    assert submissions(emulator) == 1
