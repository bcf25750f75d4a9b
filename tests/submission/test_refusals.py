"""The API refuses for now: the task stays away without a worker, comes back, pays once, and has an end."""

from __future__ import annotations

import itertools
import math
import re
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_veo3.emulator import Emulator, Settings
from tests.support.airflow_versions import AIRFLOW, needs_task_state
from tests.support.connections import use_connection
from tests.support.refusals import BACKOFF, Jumps, record_of, try_number
from tests.support.runs import TASK, accepted, change, clear, paid_once, start, submissions, succeed

if TYPE_CHECKING:
    from collections.abc import Iterator


SUBMIT: dict[str, Any] = {"deferrable": True}
WAIT: dict[str, Any] = {"deferrable": True, "wait_for_completion": True, "poll_interval": 0.01}
MINUTE = {"X-RateLimit-Retry-After": "60"}
REFUSED = {"kind": "status", "status": 429, "endpoint": "text-to-video", "headers": MINUTE}
CUT_AFTER = {"kind": "accept_then_disconnect"}
CUT_BEFORE = {"kind": "disconnect_before", "endpoint": "text-to-video"}


@pytest.fixture
def emulator(airflow_bundles: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Emulator]:
    """One for each test, since its clock only goes forward. No limits but those that a test sets."""
    off = dict.fromkeys(("requests_per_minute", "requests_per_day", "concurrent_requests", "queue_limit"))
    settings = Settings(processing_seconds=0, pending_seconds=0, credits=10**6, file_size=4096, **off)
    with Emulator(settings) as emulator:
        use_connection(monkeypatch, emulator)
        yield emulator
        assert emulator.ledger()["api_key_leaks"] == []


@pytest.fixture
def jumps(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> Jumps:
    return Jumps(emulator, monkeypatch)


def occupy(emulator: Emulator, seconds: float) -> str:
    """Let somebody else's generation go on for so long; those after it finish at once."""
    from airflow_provider_veo3.hooks.veo3 import Veo3Hook

    emulator.configure(processing_seconds=seconds)
    generation_id = Veo3Hook().text_to_video("Somebody else's").id
    emulator.configure(processing_seconds=0)
    return generation_id


@pytest.mark.parametrize("shape", [SUBMIT, WAIT], ids=["submit", "wait"])
@pytest.mark.parametrize("hint", ["documented", "retry-after", "body"])
def test_a_full_queue_is_left_until_it_has_room(
    shape: dict[str, Any], hint: str, emulator: Emulator, jumps: Jumps
) -> None:
    before = jumps.now()
    other = occupy(emulator, 40)
    emulator.configure(queue_limit=1, retry_hint=hint)
    run = start(**shape)
    ended = run.attempt(TASK)
    generation_id = succeed(ended)
    assert accepted(emulator) == [other, generation_id]
    assert emulator.ledger()["requests"]["text-to-video"] == {"202": 2, "429": 1}
    path, kwargs = ended.triggers[0]
    assert path == BACKOFF
    assert before + 39 <= kwargs["until"]
    assert kwargs["until"] - kwargs["event"]["refused_since"] <= 51, "the hint, and a quarter of it at most"
    assert jumps.in_worker == [], "no worker waits"
    assert ended.rounds == (3 if shape is WAIT else 2)
    assert try_number(run) == 1


def test_the_limits_of_a_minute_and_of_a_day(emulator: Emulator, jumps: Jumps) -> None:
    before = jumps.now()
    occupy(emulator, 0)
    emulator.configure(requests_per_minute=1)
    ended = start(**SUBMIT).attempt(TASK)
    assert accepted(emulator)[1:] == [succeed(ended)]
    ((_, kwargs),) = ended.triggers
    assert before + 59 <= kwargs["until"]
    assert kwargs["until"] - kwargs["event"]["refused_since"] <= 76, "the hint, and a quarter of it at most"
    jumps.deferred.clear()
    emulator.configure(requests_per_minute=None, requests_per_day=2, day_window="first-request")
    before = jumps.now()
    ended = start(**SUBMIT, timeout=7200).attempt(TASK)
    passed = jumps.now() - before
    assert (ended.error_name, ended.state, ended.rounds) == ("Veo3RateLimitError", "up_for_retry", 1)
    assert isinstance(ended.error.retry_after, float)
    assert 80_000 < ended.error.retry_after <= 86_400
    assert f"a pause of {ended.error.retry_after:.0f} s" in str(ended.error)
    assert "refused this for 0 seconds" in str(ended.error)
    (told,) = re.findall(r"ends in (\d+)", str(ended.error))
    assert math.floor(7200 - passed) <= int(told) <= 7200
    assert jumps.deferred == jumps.in_worker == []
    assert len(accepted(emulator)) == 2


@needs_task_state
def test_refusals_have_an_end_and_the_video_a_timeout_of_its_own(emulator: Emulator, jumps: Jumps) -> None:
    emulator.inject({**REFUSED, "times": None})
    began = jumps.now()
    run = start(**WAIT, timeout=200)
    ended = run.attempt(TASK)
    assert (ended.error_name, ended.state) == ("Veo3RateLimitError", "up_for_retry")
    # the last refusal came at some moment between the end of the last pause and now
    waited, passed = sum(jumps.deferred), jumps.now() - began
    assert passed > 140, "no minute is left to stay away for"
    assert waited <= 200, "it does not begin what cannot end in time"
    (told,) = re.findall(r"refused this for (\d+) seconds", str(ended.error))
    assert math.floor(waited) <= int(told) <= math.ceil(passed)
    moments = [began, *(kwargs["until"] for _, kwargs in ended.triggers)]
    assert all(later - sooner >= 60 for sooner, later in itertools.pairwise(moments))
    assert submissions(emulator) == ended.rounds == len(ended.triggers) + 1
    assert len({kwargs["event"]["give_up_at"] for _, kwargs in ended.triggers}) == 1, "the same all the way"
    assert record_of(run, TASK)["phase"] == "refused"
    emulator.clear_faults()
    paid_once(emulator, succeed(run.attempt(TASK)))


def test_let_in_late_the_wait_for_the_video_starts_anew(emulator: Emulator, jumps: Jumps) -> None:
    emulator.configure(processing_seconds=3600)
    emulator.inject({**REFUSED, "times": 2})
    run = start(**WAIT, timeout=200)
    run.start(TASK)
    for _ in range(2):
        event = run.trigger(TASK).event
        jumps._jump(run.trigger(TASK).until - jumps.now())
        before = jumps.now()
        assert run.resume(TASK, event).state == "deferred"
    assert before + 200 <= run.trigger(TASK).deadline <= jumps.now() + 200
    assert len(accepted(emulator)) == 1


def test_a_short_refusal_is_waited_out_in_the_worker(emulator: Emulator, jumps: Jumps) -> None:
    emulator.inject({**REFUSED, "headers": {"X-RateLimit-Retry-After": "2"}, "times": 3})
    ended = start(**SUBMIT).attempt(TASK)
    paid_once(emulator, succeed(ended))
    assert (ended.rounds, ended.triggers) == (1, [])
    assert 6 <= sum(jumps.in_worker) <= 7
    assert len(jumps.in_worker) == 3


def test_one_that_does_not_end_is_left_after_a_few_tries(emulator: Emulator, jumps: Jumps) -> None:
    emulator.inject({**REFUSED, "headers": {"X-RateLimit-Retry-After": "0"}, "times": 5})
    ended = start(**SUBMIT).attempt(TASK)
    paid_once(emulator, succeed(ended))
    assert ended.rounds == 2
    _, kwargs = ended.triggers[0]
    # by the task's clock: some of the pause is over when a triggerer begins it
    assert kwargs["until"] - kwargs["event"]["refused_since"] >= 5, "no sooner than it is worth it"


def test_a_task_that_does_not_defer_waits_in_its_worker(emulator: Emulator, jumps: Jumps) -> None:
    emulator.inject(REFUSED)
    ended = start(deferrable=False).attempt(TASK)
    paid_once(emulator, succeed(ended))
    assert (ended.rounds, ended.triggers) == (1, [])
    assert 60 <= sum(jumps.in_worker) <= 62


@pytest.mark.parametrize("prompts", [["A dragon"] * 5, [f"Dragon {n}" for n in range(5)]])
def test_mapped_tasks_pay_once_each(prompts: list[str], emulator: Emulator, jumps: Jumps) -> None:
    emulator.configure(queue_limit=2, processing_seconds=30)
    run = start(prompts, **SUBMIT)
    ended = [run.attempt(TASK, index) for index in range(5)]
    ids = [succeed(one) for one in ended]
    assert sorted(ids) == sorted(accepted(emulator))
    assert len(set(ids)) == 5
    assert emulator.ledger()["totals"]["charged"] == 5 * 190
    assert any(one.triggers for one in ended)
    assert {try_number(run, index) for index in range(5)} == {1}
    told = {task["id"]: task["prompt"] for task in emulator.ledger()["tasks"]}
    assert [told[generation_id] for generation_id in ids] == prompts


@needs_task_state
def test_a_lost_one_whose_fate_is_not_known_is_still_looked_for_afterwards(
    emulator: Emulator, jumps: Jumps
) -> None:
    """The history shows it so late that it was given up; meanwhile the next request was refused."""
    emulator.configure(history_lag_seconds=30)
    emulator.inject(CUT_AFTER)
    emulator.inject({**REFUSED, "skip": 1})
    run = start(**SUBMIT)
    assert run.start(TASK).state == "deferred"
    record = record_of(run, TASK)
    assert record["phase"] == "intent"
    assert record["since"] == record["last"], "the last of unknown fate, not the one refused after it"
    trigger = run.trigger(TASK)
    jumps._jump(trigger.until - jumps.now())
    paid_once(emulator, succeed(run.resume(TASK, trigger.event)))
    assert submissions(emulator) == 2


@needs_task_state
@pytest.mark.parametrize("fault", [CUT_AFTER, CUT_BEFORE], ids=["accepted", "not accepted"])
def test_a_lost_one_that_cannot_be_looked_up_for_now_is_looked_up_later(
    fault: dict[str, Any], emulator: Emulator, jumps: Jumps
) -> None:
    emulator.inject(fault)
    emulator.inject({**REFUSED, "endpoint": "history"})
    run = start(**SUBMIT)
    ended = run.attempt(TASK)
    paid_once(emulator, succeed(ended))
    assert [path for path, _ in ended.triggers] == [BACKOFF]
    assert submissions(emulator) == (1 if fault is CUT_AFTER else 2)


def test_nothing_is_left_to_a_deferral_that_nothing_would_remember(emulator: Emulator, jumps: Jumps) -> None:
    """Before Airflow 3.3 the first attempt has no memory: resumed, it would submit again."""
    emulator.inject(CUT_AFTER)
    emulator.inject({**REFUSED, "endpoint": "history"})
    run = start(**SUBMIT, operator="BeforeTaskState")
    ended = run.attempt(TASK)
    assert (ended.error_name, ended.state, ended.triggers) == ("Veo3NoAnswerError", "up_for_retry", [])
    paid_once(emulator, succeed(run.attempt(TASK)))


def test_before_task_state_a_refusal_defers_too(emulator: Emulator, jumps: Jumps) -> None:
    emulator.inject(REFUSED)
    ended = start(**SUBMIT, operator="BeforeTaskState").attempt(TASK)
    paid_once(emulator, succeed(ended))
    assert ended.rounds == 2


def test_taking_up_an_earlier_one_may_be_refused_too(emulator: Emulator, jumps: Jumps) -> None:
    emulator.configure(processing_seconds=3600)
    run = start(**WAIT, timeout=0.05)
    assert run.attempt(TASK).error_name == "Veo3GenerationTimeoutError"
    emulator.force(accepted(emulator)[0], "complete")
    # what no state remembers is asked of the history
    emulator.inject({**REFUSED, "endpoint": "status" if AIRFLOW >= (3, 3) else "history"})
    change(run, **WAIT)
    ended = run.attempt(TASK)
    paid_once(emulator, succeed(ended))
    assert [path for path, _ in ended.triggers] == [BACKOFF]
    assert submissions(emulator) == 1


def test_a_task_cleared_while_it_stays_away_pays_once(emulator: Emulator, jumps: Jumps) -> None:
    emulator.inject(REFUSED)
    run = start(**SUBMIT)
    assert run.start(TASK).state == "deferred"
    clear(run)
    paid_once(emulator, succeed(run.attempt(TASK)))


@needs_task_state
def test_a_resumed_one_whose_worker_fails_pays_once(
    emulator: Emulator, jumps: Jumps, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its process is ended between the acceptance and its note, in the leg that came back."""
    from airflow.sdk.execution_time.context import TaskStateStoreAccessor

    emulator.inject(REFUSED)
    run = start(**SUBMIT)
    assert run.start(TASK).state == "deferred"
    real, count = TaskStateStoreAccessor.set, 0

    def fail_after_the_intent(store: TaskStateStoreAccessor, *args: Any, **kwargs: Any) -> Any:
        nonlocal count
        count += 1
        if count > 1:
            raise KeyboardInterrupt
        return real(store, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(TaskStateStoreAccessor, "set", fail_after_the_intent)
        assert run.resume(TASK, run.trigger(TASK).event).state == "up_for_retry"
    assert record_of(run, TASK)["phase"] == "intent"
    paid_once(emulator, succeed(run.attempt(TASK)))


@pytest.mark.parametrize(
    "event",
    [
        None,
        {},
        "again",
        {"version": 2, "give_up_at": 1e12, "refused_since": 0.0, "refusals": 1},
        {"version": 1, "give_up_at": 1e12, "refused_since": None, "refusals": 1},
        {"version": 1, "give_up_at": float("inf"), "refused_since": 0.0, "refusals": 1},
        {"version": 1, "give_up_at": 1e12, "refused_since": 0.0, "refusals": True},
        {"version": 1, "generation_id": "veo_1_a", "ending": "completed", "message": "", "manifest": {}},
    ],
)
def test_an_event_that_is_not_ours_submits_nothing(emulator: Emulator, event: Any) -> None:
    emulator.inject(REFUSED)
    run = start(**SUBMIT)
    assert run.start(TASK).state == "deferred"
    ended = run.resume(TASK, event)
    assert (ended.error_name, ended.state) == ("Veo3GenerationError", "up_for_retry")
    assert "cannot be used" in str(ended.error)
    assert accepted(emulator) == []


def test_airflows_own_timeout_lies_behind_the_end_of_patience(emulator: Emulator) -> None:
    emulator.inject(REFUSED)
    run = start(**SUBMIT, timeout=500)
    assert run.start(TASK).state == "deferred"
    trigger = run.trigger(TASK)
    assert trigger.until < trigger.event["give_up_at"]
    assert 60 <= run.until(TASK).timestamp() - trigger.event["give_up_at"] <= 300
