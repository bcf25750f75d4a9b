"""Answers that get lost, refusals, retries and clears, through Airflow against an account that counts."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from testbed.processes import free_ports
from tests.support.airflow_versions import needs_task_state
from tests.support.connections import IMPATIENT, use_connection
from tests.support.fixtures import set_timings
from tests.support.runs import (
    CUT_AFTER,
    CUT_BEFORE,
    DEFER,
    DRAGON,
    NO_HISTORY,
    SUBMIT_ONLY,
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
    twice_lost,
)

if TYPE_CHECKING:
    from airflow_provider_veo3.emulator import Emulator
    from tests.support.holding import Hold
    from tests.support.task_runs import Run


HINT_0 = {"X-RateLimit-Retry-After": "0"}

ACCEPTED = {
    "cut": CUT_AFTER,
    "500": {"kind": "accept_then_status", "status": 500},
    "502": {"kind": "accept_then_status", "status": 502, "body": "<html>Bad gateway</html>"},
    "unreadable": {"kind": "accept_then_status", "status": 202, "body": "not JSON"},
    "without an id": {"kind": "accept_then_status", "status": 202, "body": {"success": True}},
    "cut in the answer": {"kind": "disconnect_mid_body", "endpoint": "text-to-video"},
    "read timeout": {"kind": "stall", "endpoint": "text-to-video", "seconds": 3},
}
NOT_ACCEPTED = {
    "cut": CUT_BEFORE,
    "503": {"kind": "status", "status": 503, "endpoint": "text-to-video"},
    "429": {"kind": "status", "status": 429, "headers": HINT_0, "endpoint": "text-to-video"},
}


def start_and_time_out(emulator: Emulator) -> Run:
    """Start a run whose first attempt pays, and gives up waiting."""
    emulator.configure(processing_seconds=3600)
    run = start(timeout=0.05, **WAIT)
    run.attempt(TASK)
    return run


@each_shape
def test_an_accepted_one_whose_connection_was_cut_is_found(shape: dict[str, Any], emulator: Emulator) -> None:
    emulator.inject(CUT_AFTER)
    paid_once(emulator, succeed(start(**shape).attempt(TASK)))
    assert submissions(emulator) == 1


@pytest.mark.parametrize("fault", ACCEPTED)
def test_an_accepted_one_is_found_in_the_same_attempt(
    fault: str, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    if fault == "read timeout":
        use_connection(monkeypatch, emulator, extra=IMPATIENT)
        # a look finds it as soon as the API has come to it, however late that is
        set_timings(monkeypatch, acceptance_span=60.0)
    rule = emulator.inject(ACCEPTED[fault])
    ended = start().attempt(TASK)
    paid_once(emulator, succeed(ended))
    assert submissions(emulator) == 1
    assert [known["met"] for known in emulator.faults() if known["id"] == rule] == [1]


@pytest.mark.parametrize(
    "body", ["not JSON", {"success": True}, {"success": True, "taskId": "a\tb"}], ids=str
)
@pytest.mark.parametrize("policy", ["fail", "adopt_newest", "resubmit"])
def test_one_that_was_accepted_but_is_nowhere_is_paid_again_only_where_that_is_wanted(
    body: object, policy: str, emulator: Emulator
) -> None:
    emulator.configure(history_lag_seconds=3600)
    emulator.inject({"kind": "accept_then_status", "status": 202, "body": body})
    ended = start(on_ambiguous_submission=policy).attempt(TASK)
    if policy == "resubmit":
        assert succeed(ended) == accepted(emulator)[1]
        return
    assert (ended.error_name, ended.state) == ("Veo3AmbiguousSubmissionError", "failed")
    assert "does not list the generation" in str(ended.error)
    assert submissions(emulator) == 1


@pytest.mark.parametrize("fault", NOT_ACCEPTED)
def test_one_that_was_not_accepted_is_submitted_again(fault: str, emulator: Emulator) -> None:
    emulator.inject(NOT_ACCEPTED[fault])
    paid_once(emulator, succeed(start().attempt(TASK)))
    assert submissions(emulator) == 2


def test_one_that_a_slow_api_accepts_late_is_waited_for(
    emulator: Emulator, hold: Hold, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_connection(monkeypatch, emulator, extra=IMPATIENT)
    set_timings(monkeypatch, acceptance_span=60.0)
    emulator.inject({"kind": "delay", "endpoint": "text-to-video"})

    def accept_when_it_was_looked_for_in_vain() -> None:
        while not emulator.ledger()["requests"].get("history"):
            time.sleep(0.01)
        hold.end()

    accepting = threading.Thread(target=accept_when_it_was_looked_for_in_vain, daemon=True)
    accepting.start()
    paid_once(emulator, succeed(start().attempt(TASK)))
    accepting.join()
    assert submissions(emulator) == 1
    assert sum(emulator.ledger()["requests"]["history"].values()) > 1, "it was late"


@needs_task_state
def test_a_refused_connection_is_tried_again_without_a_look_in_the_history(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow_provider_veo3.emulator import Emulator, Settings

    (port,) = free_ports(1)
    use_connection(monkeypatch, emulator, host=f"http://127.0.0.1:{port}")
    run = start()
    ended = run.attempt(TASK)
    assert (ended.error_name, ended.state) == ("Veo3NoAnswerError", "up_for_retry")
    assert "never sent" in str(ended.error)
    with Emulator(Settings(port=port)) as back_again:
        paid_once(back_again, succeed(run.attempt(TASK)))
        assert "history" not in back_again.ledger()["requests"]


@needs_task_state
def test_one_that_was_found_is_remembered(emulator: Emulator) -> None:
    emulator.configure(processing_seconds=3600)
    emulator.inject(CUT_AFTER)
    run = start(timeout=0.05, **WAIT)
    assert run.attempt(TASK).error_name == "Veo3GenerationTimeoutError"
    looks = emulator.ledger()["requests"]["history"]
    emulator.force(accepted(emulator)[0], "complete")
    paid_once(emulator, succeed(run.attempt(TASK)))
    assert emulator.ledger()["requests"]["history"] == looks


@each_shape
def test_what_cannot_be_looked_up_now_is_looked_up_by_the_retry(
    shape: dict[str, Any], emulator: Emulator
) -> None:
    emulator.inject(CUT_AFTER)
    emulator.inject(NO_HISTORY)
    run = start(**shape)
    ended = run.attempt(TASK)
    assert (ended.error_name, ended.state) == ("Veo3NoAnswerError", "up_for_retry")
    assert "may have been accepted and charged" in str(ended.error)
    paid_once(emulator, succeed(run.attempt(TASK)))
    assert submissions(emulator) == 1


HISTORIES = {
    "oldest first": {"history_order": "oldest"},
    "shuffled": {"history_order": "shuffled"},
    "shortened": {"history_prompt_length": 20},
    "previews": {"model_ids_on_read": "preview"},
    "no totals": {"history_total": False, "history_has_more": False, "history_order": "oldest"},
    "lagging": {"history_lag_seconds": 0.6},
}


@pytest.mark.parametrize("history", HISTORIES)
def test_it_is_found_among_hundreds(
    history: str, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow_provider_veo3.hooks.veo3 import Veo3Hook

    hook = Veo3Hook()
    for number in range(40 if history == "shortened" else 120):
        hook.text_to_video(f"{number} other dragons")
    before = accepted(emulator)
    emulator.configure(**HISTORIES[history])
    if history == "lagging":
        set_timings(monkeypatch, listing_lag=0.3, acceptance_span=1.0, quick_loss=0.0)
    emulator.inject(CUT_AFTER | {"prompt_contains": "majestic"})
    generation_id = succeed(start().attempt(TASK))
    assert accepted(emulator) == [*before, generation_id]


@needs_task_state
def test_resubmitting_after_a_clear_pays_for_a_new_video_only_once_it_had_succeeded(
    emulator: Emulator,
) -> None:
    run = start(retries=0)
    first = succeed(run.attempt(TASK))
    clear(run)
    second = succeed(run.attempt(TASK))
    clear(run)
    third = succeed(run.attempt(TASK))
    assert accepted(emulator) == [first, second, third]


@needs_task_state
@pytest.mark.parametrize("fault", [CUT_AFTER, CUT_BEFORE], ids=["accepted", "not accepted"])
def test_a_new_video_whose_answer_is_lost_is_not_the_old_one(
    fault: dict[str, Any], emulator: Emulator
) -> None:
    run = start()
    first = succeed(run.attempt(TASK))
    clear(run)
    emulator.inject(fault)
    second = succeed(run.attempt(TASK))
    assert accepted(emulator) == [first, second]


@each_shape
def test_a_task_cleared_after_a_failure_takes_up_the_old(shape: dict[str, Any], emulator: Emulator) -> None:
    emulator.inject(CUT_AFTER)
    emulator.inject(NO_HISTORY)
    run = start(retries=0, **shape)
    assert run.attempt(TASK).state == "failed"
    clear(run)
    paid_once(emulator, succeed(run.attempt(TASK)))


def test_a_wait_that_timed_out_goes_on_with_the_same(emulator: Emulator) -> None:
    emulator.configure(processing_seconds=3600)
    run = start(timeout=0.05, retries=0, **DEFER)
    ended = run.attempt(TASK)
    assert (ended.error_name, ended.state) == ("Veo3GenerationTimeoutError", "failed")
    emulator.force(accepted(emulator)[0], "complete")
    clear(run)
    paid_once(emulator, succeed(run.attempt(TASK)))


@each_wait
def test_a_failed_generation_is_replaced_and_refunded(shape: dict[str, Any], emulator: Emulator) -> None:
    emulator.inject({"kind": "fail_generation"})
    run = start(**shape)
    assert run.attempt(TASK).error_name == "Veo3GenerationFailedError"
    second = succeed(run.attempt(TASK))
    first, last = emulator.ledger()["tasks"]
    assert (first["refunded"], last["refunded"], last["id"]) == (190, 0, second)
    assert first["id"] != second


def test_the_failed_one_is_not_taken_for_a_lost_one(emulator: Emulator) -> None:
    emulator.inject({"kind": "fail_generation"})
    run = start(**WAIT)
    run.attempt(TASK)
    emulator.inject(CUT_AFTER)
    second = succeed(run.attempt(TASK))
    assert accepted(emulator)[1:] == [second]


REFUSALS = {
    "Veo3ContentPolicyError": ({"prompt": "prohibited content"}, {}),
    "Veo3InsufficientCreditsError": ({}, {"password": "veo3_poor_key"}),
    "Veo3AuthenticationError": ({}, {"password": "veo3_unknown_key"}),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_what_no_retry_can_mend_is_sent_once(
    name: str, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    options, connection = REFUSALS[name]
    emulator.add_key("veo3_poor_key", credits=100)
    use_connection(monkeypatch, emulator, **connection)
    run = start(**options)
    ended = run.attempt(TASK)
    assert (ended.error_name, ended.state) == (name, "failed")
    assert emulator.ledger()["totals"]["requests"] == 1
    assert accepted(emulator) == []
    use_connection(monkeypatch, emulator)
    change(run)
    clear(run)
    paid_once(emulator, succeed(run.attempt(TASK)))


def test_an_edited_prompt_is_a_new_video(emulator: Emulator) -> None:
    run = start_and_time_out(emulator)
    change(run, "A small dragon", **SUBMIT_ONLY)
    second = succeed(run.attempt(TASK))
    assert accepted(emulator)[1:] == [second]
    assert [task["prompt"] for task in emulator.ledger()["tasks"]] == [DRAGON, "A small dragon"]


def test_a_rotated_key_re_attaches(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    run = start_and_time_out(emulator)
    account = emulator.ledger()["accounts"][0]["account"]
    emulator.add_key("veo3_new_key", account=account)
    emulator.add_key(emulator.api_key, disabled=True)
    emulator.force(accepted(emulator)[0], "complete")
    use_connection(monkeypatch, emulator, password="veo3_new_key")
    paid_once(emulator, succeed(run.attempt(TASK)))


@needs_task_state
def test_a_connection_to_another_account_pays_nothing_and_says_so(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = start_and_time_out(emulator)
    emulator.add_key("veo3_other_account", credits=1000)
    use_connection(monkeypatch, emulator, password="veo3_other_account")
    ended = run.attempt(TASK)
    assert (ended.error_name, ended.state) == ("Veo3GenerationNotFoundError", "failed")
    (generation_id,) = accepted(emulator)
    assert generation_id in str(ended.error)
    assert "nothing was submitted now" in str(ended.error)
    assert "veo3_submission" in str(ended.error)


@needs_task_state
@pytest.mark.parametrize("missing", [1, 2], ids=["at the first attempt", "at the second attempt"])
def test_a_connection_that_is_missing_for_a_moment_is_not_replaced_by_the_environment(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch, missing: int
) -> None:
    emulator.configure(processing_seconds=3600)
    emulator.add_key("veo3_of_environment", credits=1000)
    run = start(timeout=0.05, **WAIT)

    def attempt(number: int) -> Any:
        with monkeypatch.context() as patch:
            if number == missing:
                patch.delenv("AIRFLOW_CONN_VEO3_DEFAULT")
                patch.setenv("VEO3_API_KEY", "veo3_of_environment")
                patch.setenv("VEO3_BASE_URL", emulator.base_url.replace("127.0.0.1", "localhost"))
            return run.attempt(TASK)

    attempt(1)
    emulator.force(accepted(emulator)[0], "complete")
    ended = attempt(2)
    assert (ended.error_name, ended.state) == ("Veo3StateError", "up_for_retry")
    assert accepted(emulator)[0] in str(ended.error)
    assert "Nothing was submitted" in str(ended.error)
    paid_once(emulator, succeed(attempt(1)))
    assert submissions(emulator) == 1


def test_an_account_of_the_environment_is_used_again_by_a_retry(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AIRFLOW_CONN_VEO3_DEFAULT")
    monkeypatch.setenv("VEO3_API_KEY", emulator.api_key)
    monkeypatch.setenv("VEO3_BASE_URL", emulator.base_url)
    run = start_and_time_out(emulator)
    emulator.force(accepted(emulator)[0], "complete")
    paid_once(emulator, succeed(run.attempt(TASK)))
    assert submissions(emulator) == 1


@needs_task_state
def test_an_id_that_the_api_does_not_know_yet_is_asked_for_again(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = start_and_time_out(emulator)
    emulator.force(accepted(emulator)[0], "complete")
    rule = emulator.inject({"kind": "status", "status": 404, "endpoint": "status", "times": 2})
    set_timings(monkeypatch, status_lag=600.0)
    paid_once(emulator, succeed(run.attempt(TASK)))
    assert [known["met"] for known in emulator.faults() if known["id"] == rule] == [2]


def test_of_several_a_person_chooses(emulator: Emulator) -> None:
    run, ids = twice_lost(emulator)
    ended = run.attempt(TASK)
    assert (ended.error_name, ended.state) == ("Veo3AmbiguousSubmissionError", "failed")
    assert all(generation_id in str(ended.error) for generation_id in ids)
    assert accepted(emulator) == ids
    change(run, on_ambiguous_submission="adopt_newest")
    clear(run)
    assert succeed(run.attempt(TASK)) == ids[1]
    assert accepted(emulator) == ids


def test_of_several_none_is_taken_when_asked_so_and_a_third_lost_one_is_found(emulator: Emulator) -> None:
    run, ids = twice_lost(emulator, on_ambiguous_submission="resubmit")
    emulator.inject(CUT_AFTER)
    third = succeed(run.attempt(TASK))
    assert accepted(emulator) == [*ids, third]


def test_without_durability_each_attempt_submits(emulator: Emulator) -> None:
    emulator.configure(processing_seconds=3600)
    run = start(timeout=0.05, durable=False, **WAIT)
    run.attempt(TASK)
    assert run.attempt(TASK).state == "up_for_retry"
    assert len(accepted(emulator)) == 2
