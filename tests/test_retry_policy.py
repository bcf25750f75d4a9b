"""Airflow's handling of a failed task under the retry policy."""

from __future__ import annotations

import pickle
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_veo3 import exceptions as errors
from tests.support.airflow_versions import AIRFLOW

if TYPE_CHECKING:
    from airflow_provider_veo3.emulator import Emulator
    from airflow_provider_veo3.retry_policy import Veo3RetryPolicy
    from tests.support.task_runs import Ended

pytestmark = pytest.mark.skipif(
    AIRFLOW < (3, 3), reason="retry policies: Airflow 3.3; else see test_before_retry_policies"
)
LIMITED = {"kind": "status", "status": 429, "endpoint": "text-to-video", "times": None}


def policy_of(longest: timedelta | None = None) -> Veo3RetryPolicy:
    from airflow_provider_veo3.retry_policy import Veo3RetryPolicy

    return Veo3RetryPolicy(longest)


def attempt(name: str, work: Any = None, policy: Any = None, **options: Any) -> tuple[Ended, datetime | None]:
    """Run one attempt; return its end and the time of Airflow's retry."""
    from airflow.sdk import DAG, task
    from airflow.utils.session import create_session

    from airflow_provider_veo3.operators.generate import Veo3TextToVideoOperator
    from tests.support.task_runs import Run

    given = {
        "task_id": "work",
        "retries": 2,
        "retry_delay": timedelta(seconds=30),
        "retry_policy": policy or policy_of(),
        **options,
    }
    with DAG(f"policy_{name}") as dag:
        if work is None:
            Veo3TextToVideoOperator(prompt="A lighthouse", **given)
        else:
            task(**given)(work)()
    run = Run(dag)
    ended = run.attempt("work")
    with create_session() as session:
        ti = run._ti(session, "work", -1)
        ti.task = run.scheduler_dag.get_task("work")
        return ended, ti.next_retry_datetime() if ended.state == "up_for_retry" else None


def seconds_until(moment: datetime | None) -> float:
    assert moment is not None
    return (moment - datetime.now(UTC)).total_seconds()


def test_a_rate_limited_task_is_retried_when_the_api_allows(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    emulator.inject({**LIMITED, "headers": {"Retry-After": "500"}})
    ended, again = attempt("limited")
    assert (ended.state, ended.error_name) == ("up_for_retry", "Veo3RateLimitError")
    assert 480 < seconds_until(again) <= 501


def test_a_longer_retry_delay_of_the_task_is_kept(emulator: Emulator) -> None:
    emulator.inject({**LIMITED, "headers": {"Retry-After": "500"}})
    ended, again = attempt("longer", retry_delay=timedelta(hours=2))
    assert ended.state == "up_for_retry"
    assert 7000 < seconds_until(again) <= 7200


def test_a_delay_above_the_limit_fails_the_task(emulator: Emulator) -> None:
    emulator.inject({**LIMITED, "headers": {"Retry-After": "40000"}})
    ended, _ = attempt("too_long", policy=policy_of(timedelta(hours=1)))
    assert ended.state == "failed"


def test_a_wrapped_permanent_error_fails_at_once(emulator: Emulator) -> None:
    def work() -> None:
        try:
            raise errors.Veo3InsufficientCreditsError("no credits")
        except errors.Veo3Error as error:
            raise RuntimeError("my own task") from error

    ended, _ = attempt("wrapped", work)
    assert (ended.state, ended.error_name) == ("failed", "RuntimeError")


def test_a_foreign_error_is_left_to_airflow(emulator: Emulator) -> None:
    def work() -> None:
        raise ValueError("something else")

    ended, again = attempt("other", work)
    assert ended.state == "up_for_retry"
    assert 0 < seconds_until(again) <= 30


@pytest.mark.parametrize(
    ("error", "action"),
    [
        (errors.Veo3ValidationError("bad"), "fail"),
        (errors.Veo3ConnectionConfigError("bad"), "fail"),
        (errors.Veo3ContentPolicyError("refused"), "fail"),
        (errors.Veo3GenerationRefusedError("refused"), "fail"),
        (errors.Veo3InsufficientCreditsError("poor"), "fail"),
        (errors.Veo3AuthenticationError("who"), "fail"),
        (errors.Veo3GenerationNotFoundError("where"), "fail"),
        (errors.Veo3AmbiguousSubmissionError("which"), "fail"),
        (errors.Veo3SensorFailedError("failed"), "fail"),
        (errors.Veo3SensorTimeoutError("late"), "fail"),
        (errors.Veo3GenerationFailedError("failed"), "default"),
        (errors.Veo3GenerationTimeoutError("late"), "default"),
        (errors.Veo3ServerError("down"), "default"),
        (errors.Veo3ServerError("down", retry_after=120.0), "retry"),
        (errors.Veo3RateLimitError("limited", retry_after=0.0), "retry"),
        (errors.Veo3StorageError("full"), "default"),
        (KeyError("x"), "default"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else value,
)
def test_the_decision_for_each_error(error: BaseException, action: str) -> None:
    decision = policy_of().evaluate(error, 1, 3)
    assert decision.action.value == action
    hint = getattr(error, "retry_after", None)
    assert decision.retry_delay == (None if hint is None else timedelta(seconds=hint + 1))


@pytest.mark.parametrize("hint", [1e12, 1e300])
def test_a_huge_delay_is_decided_on_like_any_other(hint: float) -> None:
    error = errors.Veo3RateLimitError("limited", retry_after=hint)
    assert policy_of(timedelta(hours=1)).evaluate(error, 1, 3).action.value == "fail"
    assert policy_of().evaluate(error, 1, 3).retry_delay == timedelta(days=366, seconds=1)


def test_a_rate_limited_download_of_several_files_is_retried_when_the_api_allows() -> None:
    refusal = errors.Veo3RateLimitError("limited", retry_after=500.0)
    error = errors.Veo3StorageError("Not everything was stored: 1 error, 3 stored files")
    error.__cause__ = refusal
    decision = policy_of().evaluate(error, 1, 3)
    assert decision.action.value == "retry"
    assert decision.retry_delay == timedelta(seconds=501)


def test_errors_that_cause_each_other_end() -> None:
    first, second = ValueError(), ValueError()
    first.__cause__, second.__cause__ = second, first
    assert policy_of().evaluate(first, 1, 3).action.value == "default"


@pytest.mark.parametrize("longest", [True, "1h", timedelta(0), timedelta(seconds=-1)], ids=str)
def test_an_invalid_limit_is_refused_when_the_dag_is_parsed(longest: Any) -> None:
    with pytest.raises(errors.Veo3ValidationError, match=r"^longest=.*a number of seconds above 0"):
        policy_of(longest)


@pytest.mark.parametrize("longest", [None, timedelta(minutes=90)])
def test_the_policy_survives_serialization(longest: timedelta | None) -> None:
    import json

    from airflow.sdk._shared.module_loading import import_string

    stored = json.loads(json.dumps(policy_of(longest).serialize()))
    again = import_string(stored["__type"]).deserialize(stored)
    assert again.longest == longest
    assert pickle.loads(pickle.dumps(again)).longest == longest  # noqa: S301 - our own
