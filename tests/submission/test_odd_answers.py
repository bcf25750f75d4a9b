"""Answers that a proxy or a broken API gives, none of which may make a task pay again."""

from __future__ import annotations

import html
import unicodedata
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.airflow_versions import needs_task_state
from tests.support.runs import DRAGON, TASK, accepted, change, clear, paid_once, start, submissions, succeed

if TYPE_CHECKING:
    from airflow_provider_veo3.emulator import Emulator
    from tests.support.task_runs import Run

CUT_AFTER = {"kind": "accept_then_disconnect"}
NO_HISTORY = {"kind": "status", "status": 503, "endpoint": "history", "times": 4}
NO_ID_OF_OURS = ["a" * 513, "\x07", "", " ", "None", 1.5, True, ["veo_1"]]


def lost(emulator: Emulator, prompt: str = DRAGON, **options: Any) -> Run:
    """A run whose task has lost the answer to its submission, and could not look it up."""
    emulator.inject(CUT_AFTER)
    emulator.inject(NO_HISTORY)
    run = start(prompt, **options)
    assert run.attempt(TASK).state == "up_for_retry"
    return run


def answer(emulator: Emulator, endpoint: str, body: dict[str, Any], times: int | None = None) -> None:
    fault = {"kind": "status", "status": 200, "endpoint": endpoint, "times": times, "body": body}
    emulator.inject(fault)


def listed(emulator: Emulator, **fields: Any) -> dict[str, Any]:
    """A history that shows the one accepted generation, but for some fields."""
    (task,) = emulator.ledger()["tasks"]
    item = {
        "taskId": task["id"],
        "type": "text-to-video",
        "model": "veo-3.1-fast-generate-001",
        "prompt": task["prompt"],
        "status": "processing",
        "createdAt": task["created"],  # by the clock of the API
    }
    return {"success": True, "videos": [item | fields], "pagination": {"total": 1, "hasMore": False}}


@pytest.mark.parametrize("told", NO_ID_OF_OURS, ids=str)
def test_an_acceptance_without_a_usable_id_is_not_asked_for_again(told: Any, emulator: Emulator) -> None:
    emulator.configure(history_lag_seconds=3600)
    body = {"success": True, "taskId": told}
    emulator.inject({"kind": "accept_then_status", "status": 202, "body": body})
    run = start()
    ended = run.attempt(TASK)
    assert (ended.error_name, ended.state) == ("Veo3AmbiguousSubmissionError", "failed")
    assert "accepted the request" in str(ended.error)
    assert submissions(emulator) == 1
    emulator.configure(history_lag_seconds=0)
    clear(run)
    paid_once(emulator, succeed(run.attempt(TASK)))


def test_a_page_of_a_proxy_is_no_acceptance(emulator: Emulator) -> None:
    emulator.inject({"kind": "html_instead", "endpoint": "text-to-video"})
    answer(emulator, "text-to-video", {"success": False, "error": "QUEUE_FULL"}, times=1)
    paid_once(emulator, succeed(start().attempt(TASK)))
    assert submissions(emulator) == 3


@pytest.mark.parametrize("told", [*NO_ID_OF_OURS, None], ids=str)
def test_what_is_listed_under_no_usable_id_is_not_paid_for_again(told: Any, emulator: Emulator) -> None:
    run = lost(emulator)
    answer(emulator, "history", listed(emulator, taskId=told))
    ended = run.attempt(TASK)
    assert (ended.error_name, ended.state) == ("Veo3AmbiguousSubmissionError", "failed")
    assert "an id that cannot be used" in str(ended.error)
    assert submissions(emulator) == 1
    emulator.clear_faults()
    clear(run)
    paid_once(emulator, succeed(run.attempt(TASK)))


def test_whoever_chooses_resubmit_has_it_paid_for_again(emulator: Emulator) -> None:
    run = lost(emulator, on_ambiguous_submission="resubmit")
    answer(emulator, "history", listed(emulator, taskId=1.5))
    second = succeed(run.attempt(TASK))
    assert accepted(emulator)[1:] == [second]


def test_another_one_without_a_usable_id_is_in_nobody_s_way(emulator: Emulator) -> None:
    emulator.inject({"kind": "disconnect_before", "endpoint": "text-to-video"})
    emulator.inject(NO_HISTORY)
    run = start()
    run.attempt(TASK)
    item = {"taskId": 1.5, "prompt": "A small dragon"}
    answer(emulator, "history", {"success": True, "videos": [item, {"taskId": None}]})
    paid_once(emulator, succeed(run.attempt(TASK)))


def test_a_history_that_has_failed_is_not_an_empty_one(emulator: Emulator) -> None:
    run = lost(emulator)
    answer(emulator, "history", {"success": False, "error": "DATABASE_ERROR", "videos": []})
    ended = run.attempt(TASK)
    assert (ended.error_name, ended.state) == ("Veo3UnreadableAnswerError", "up_for_retry")
    emulator.clear_faults()
    paid_once(emulator, succeed(run.attempt(TASK)))


@needs_task_state
@pytest.mark.parametrize("label", ["error", "failure", "success"])
def test_the_status_of_an_answer_is_not_that_of_a_generation(label: str, emulator: Emulator) -> None:
    emulator.configure(processing_seconds=3600)
    run = start(wait_for_completion=True, timeout=0.05)
    assert run.attempt(TASK).error_name == "Veo3GenerationTimeoutError"
    answer(emulator, "status", {"status": label, "message": "Internal error"})
    ended = run.attempt(TASK)
    assert (ended.error_name, ended.state) == ("Veo3UnreadableAnswerError", "up_for_retry")
    assert submissions(emulator) == 1
    emulator.clear_faults()
    emulator.force(accepted(emulator)[0], "complete")
    change(run, wait_for_completion=True)
    clear(run)
    paid_once(emulator, succeed(run.attempt(TASK)))


def test_a_refusal_that_the_history_confirms_says_that_no_credits_were_spent(emulator: Emulator) -> None:
    """A code that the vendor does not document is no proof by itself."""
    body = {"success": False, "error": "INVALID_DURATION", "message": "Pick another duration"}
    refusal = {"kind": "status", "status": 400, "endpoint": "text-to-video", "body": body}
    emulator.inject({**refusal, "times": None})
    ended = start().attempt(TASK)
    assert (ended.error_name, ended.state) == ("Veo3BadRequestError", "failed")
    assert "The history does not list it, so no credits were spent." in str(ended.error)
    assert "may have been accepted" not in str(ended.error)
    assert accepted(emulator) == []


@needs_task_state
def test_an_error_that_tells_of_a_failure_is_asked_about_again_before_anything_is_paid(
    emulator: Emulator,
) -> None:
    emulator.configure(processing_seconds=3600)
    body = {"success": False, "error": {"code": "GENERATION_FAILED", "message": "Try again"}}
    emulator.inject({"kind": "status", "status": 500, "endpoint": "status", "times": 1, "body": body})
    run = start(wait_for_completion=True, timeout=0.05)
    assert run.attempt(TASK).error_name == "Veo3GenerationFailedError"
    emulator.force(accepted(emulator)[0], "complete")
    paid_once(emulator, succeed(run.attempt(TASK)))
    assert submissions(emulator) == 1


CAFE = 'A "café" at night, Tom & Léa dance\x00 \U0001f57a\U0001f57a until the sun rises over the harbour'
FORMS = {
    "escaped": html.escape(CAFE),
    "decomposed": unicodedata.normalize("NFD", CAFE),
    "cut through a character": CAFE.encode("utf-16-le")[:78].decode("utf-16-le", "surrogatepass") + "...",
}


@pytest.mark.parametrize("form", FORMS)
def test_a_lost_one_is_found_in_whatever_form_its_prompt_is_listed(form: str, emulator: Emulator) -> None:
    run = lost(emulator, CAFE)
    answer(emulator, "history", listed(emulator, prompt=FORMS[form].replace("\x00", "")))
    paid_once(emulator, succeed(run.attempt(TASK)))
    assert submissions(emulator) == 1
