"""What may not be spent is not submitted, and what was paid for is taken up whatever it cost."""

from __future__ import annotations

import itertools
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.airflow_versions import needs_task_state
from tests.support.task_runs import operators

if TYPE_CHECKING:
    from airflow_provider_veo3.emulator import Emulator
    from tests.support.task_runs import Ended, Run

WAIT: dict[str, Any] = {"wait_for_completion": True, "deferrable": True, "poll_interval": 0.01}
LITE, FAST, QUALITY = "veo-3.1-lite-generate-001", "veo-3.1-fast-generate-001", "veo-3.1-generate-001"
_numbers = itertools.count()


def start(conf: dict[str, Any] | None = None, **options: Any) -> Run:
    from airflow.sdk import DAG

    from tests.support.task_runs import Run

    options = {"prompt": "A fox", "retries": 3, "retry_delay": timedelta(days=1), **options}
    with DAG(f"max_credits_{next(_numbers)}") as dag:
        operators()[0](task_id="make", **options)
    return Run(dag, conf)


def make(**options: Any) -> Ended:
    return start(**options).attempt("make")


def asked_for_prices(emulator: Emulator) -> int:
    return sum(emulator.ledger()["requests"].get("models", {}).values())


def accepted(emulator: Emulator) -> int:
    number: int = emulator.ledger()["totals"]["accepted"]
    return number


@pytest.mark.parametrize(
    ("options", "price"),
    [
        ({}, 190),
        ({"sample_count": 2}, 380),
        ({"generate_audio": False}, 120),
        ({"model": LITE}, 65),
        ({"model": LITE, "generate_audio": "false", "sample_count": "2"}, 70),
        ({"model": QUALITY, "duration_seconds": 5, "sample_count": 2}, 1000),
    ],
)
def test_the_limit_is_what_the_generation_may_cost(
    emulator: Emulator, options: dict[str, Any], price: int
) -> None:
    refused = make(max_credits=price - 1, **options)
    assert (refused.error_name, refused.state) == ("Veo3CreditLimitError", "failed"), "no retry mends it"
    assert (refused.error.estimate, refused.error.limit) == (price, price - 1)  # type: ignore[union-attr]
    assert f"costs {price} credits" in str(refused.error)
    assert f"max_credits={price - 1}" in str(refused.error)
    assert "Nothing was submitted or spent" in str(refused.error)
    assert refused.manifest is None
    assert (accepted(emulator), asked_for_prices(emulator)) == (0, 1)
    allowed = make(max_credits=price, **options)
    assert allowed.state == "success", allowed.error
    assert allowed.manifest["credits_used"] == price
    assert (accepted(emulator), asked_for_prices(emulator)) == (1, 2)


def test_every_operator_has_it(emulator: Emulator, pictures: dict[str, str]) -> None:
    from airflow.sdk import DAG, task

    from tests.support.task_runs import Run

    images = (
        {},
        {"image": pictures["first"]},
        {"first_frame": pictures["first"], "last_frame": pictures["last"]},
    )
    with DAG("max_credits_everywhere", default_args={"max_credits": 189, "prompt": "A fox"}) as dag:
        for operator, pictured in zip(operators(), images, strict=True):
            operator(task_id=operator.__name__, **pictured)
        operators()[1].partial(task_id="mapped", **images[1]).expand(max_credits=[1, "2"])

        @task.veo3_text_to_video
        def decorated() -> str:
            return "A fox"

        decorated()
    ended = Run(dag).finish()
    assert len(ended) == 6
    assert {end.error_name for end in ended.values()} == {"Veo3CreditLimitError"}
    assert accepted(emulator) == 0


def test_it_is_a_template(emulator: Emulator) -> None:
    run = start({"limit": 100}, max_credits="{{ dag_run.conf['limit'] }}")
    ended = run.attempt("make")
    assert ended.error_name == "Veo3CreditLimitError"
    assert "max_credits=100" in str(ended.error)


def test_without_a_limit_nobody_asks_for_prices(emulator: Emulator) -> None:
    assert make().state == "success"
    assert asked_for_prices(emulator) == 0


@needs_task_state
def test_what_was_paid_for_is_taken_up_whatever_it_cost(
    emulator: Emulator,
) -> None:
    from airflow.sdk import DAG

    emulator.configure(processing_seconds=3600)
    run = start(**WAIT, timeout=0.05)
    assert run.attempt("make").error_name == "Veo3GenerationTimeoutError"
    (made,) = emulator.ledger()["tasks"]
    emulator.force(made["id"], "complete")
    # deployed meanwhile: a limit below what it cost
    with DAG(run.dag.dag_id) as run.dag:
        operators()[0](task_id="make", prompt="A fox", max_credits=1, **WAIT)
    ended = run.attempt("make")
    assert (ended.state, ended.value) == ("success", made["id"])
    assert (accepted(emulator), asked_for_prices(emulator)) == (1, 0)


@pytest.mark.usefixtures("_soon")
def test_a_lost_generation_is_adopted_regardless_of_its_cost(emulator: Emulator) -> None:
    emulator.inject({"kind": "accept_then_disconnect"})
    ended = make(max_credits=190)
    assert ended.state == "success"
    assert (accepted(emulator), asked_for_prices(emulator)) == (1, 1)


@needs_task_state
def test_one_that_failed_and_was_refunded_is_paid_for_again_only_within_the_limit(emulator: Emulator) -> None:
    from airflow.sdk import DAG

    emulator.inject({"kind": "fail_generation"})
    run = start(**WAIT)
    assert run.attempt("make").error_name == "Veo3GenerationFailedError"
    with DAG(run.dag.dag_id) as run.dag:
        operators()[0](task_id="make", prompt="A fox", max_credits=1, **WAIT)
    assert run.attempt("make").error_name == "Veo3CreditLimitError"
    assert accepted(emulator) == 1


def test_what_has_no_price_is_refused(emulator: Emulator) -> None:
    ended = make(model="veo-9-generate-001", max_credits=10_000)
    assert (ended.error_name, ended.state) == ("Veo3CreditLimitError", "failed")
    assert (ended.error.estimate, ended.error.limit) == (None, 10_000)  # type: ignore[union-attr]
    assert "no price for model 'veo-9-generate-001' with sound" in str(ended.error)
    assert FAST in str(ended.error)
    assert "Nothing was submitted or spent" in str(ended.error)
    assert accepted(emulator) == 0


def test_a_price_that_rises_between_the_question_and_the_acceptance_is_told(
    emulator: Emulator, caplog: pytest.LogCaptureFixture
) -> None:
    old = {"success": True, "models": [{"id": FAST, "pricing": {"creditsPerVideo": 100}}]}
    emulator.inject({"kind": "status", "status": 200, "endpoint": "models", "body": old})
    assert make(max_credits=100).state == "success"
    (warning,) = [
        r.getMessage() for r in caplog.records if r.name == "airflow_provider_veo3.submission.budget"
    ]
    assert "took 190 credits, although max_credits=100" in warning


@pytest.mark.parametrize("value", [-1, True, False, 1.5, "", " ", "-1", "1e3", "many", "None", [190], {}])
def test_what_is_no_limit_is_refused_before_anything_is_asked(emulator: Emulator, value: Any) -> None:
    ended = make(max_credits=value)
    assert (ended.error_name, ended.state) == ("Veo3ValidationError", "failed")
    assert str(ended.error).startswith(f"max_credits={value!r} is not acceptable")
    assert "a whole number from 0 to" in str(ended.error)
    assert emulator.ledger()["totals"]["requests"] == 0


def test_a_task_that_returns_no_limit_lifts_none(emulator: Emulator) -> None:
    from airflow.sdk import DAG, task

    from tests.support.task_runs import Run

    with DAG("max_credits_from_a_task") as dag:

        @task
        def budget() -> int | None:
            return None

        operators()[0](task_id="make", prompt="A fox", max_credits=budget())
    ended = Run(dag).finish()["make"]
    assert (ended.error_name, ended.state) == ("Veo3ValidationError", "failed")
    assert str(ended.error).startswith("max_credits=None is not acceptable")
    assert emulator.ledger()["totals"]["requests"] == 0


@pytest.mark.parametrize("from_a_task", [False, True])
def test_a_row_without_a_limit_is_among_those_with_one(emulator: Emulator, *, from_a_task: bool) -> None:
    from airflow.sdk import DAG, task

    from tests.support.task_runs import Run

    rows = [{"prompt": "A fox", "max_credits": None}, {"prompt": "An owl", "max_credits": 1}]
    with DAG(f"max_credits_of_rows_{from_a_task}") as dag:
        given: Any = task(task_id="rows")(lambda: rows)() if from_a_task else rows
        operators()[0].partial(task_id="make").expand_kwargs(given)
        operators()[0].partial(task_id="listed", prompt="A boat").expand(max_credits=[None, 1])
        operators()[0].partial(task_id="all", max_credits=None).expand(prompt=["A kettle"])
    ended = [end for end in Run(dag).finish().values() if end.task_id != "rows"]
    assert [end.error_name for end in ended if end.error_name] == ["Veo3CreditLimitError"] * 2
    assert accepted(emulator) == 3


def test_a_native_template_that_gives_none_lifts_no_limit(emulator: Emulator) -> None:
    from airflow.sdk import DAG

    from tests.support.task_runs import Run

    with DAG("max_credits_native", render_template_as_native_obj=True, params={"limit": None}) as dag:
        operators()[0](task_id="make", prompt="A fox", max_credits="{{ params.limit }}")
    ended = Run(dag).attempt("make")
    assert (ended.error_name, ended.state) == ("Veo3ValidationError", "failed")
    assert emulator.ledger()["totals"]["requests"] == 0


@pytest.mark.parametrize(("limit", "state"), [(0, "failed"), (" 190 ", "success"), ("190", "success")])
def test_limits_at_the_edge(emulator: Emulator, limit: Any, state: str) -> None:
    assert make(max_credits=limit).state == state
    assert accepted(emulator) == (state == "success")


def test_prices_that_cannot_be_had_for_now_defer_the_task(
    emulator: Emulator,
) -> None:
    minute = {"X-RateLimit-Retry-After": "60"}
    emulator.inject({"kind": "status", "status": 429, "endpoint": "models", "headers": minute})
    run = start(max_credits=190, deferrable=True)
    assert run.start("make").state == "deferred"
    assert accepted(emulator) == 0
    ended = run.resume("make", run.trigger("make").event)
    assert ended.state == "success", ended.error
    assert (accepted(emulator), asked_for_prices(emulator)) == (1, 2)


@needs_task_state
def test_prices_that_cannot_be_had_fail_the_attempt_and_the_next_one_need_not_search(
    emulator: Emulator,
) -> None:
    emulator.inject({"kind": "status", "status": 400, "endpoint": "models", "times": 1})
    run = start(max_credits=190)
    assert run.attempt("make").error_name == "Veo3BadRequestError"
    emulator.inject({"kind": "status", "status": 400, "endpoint": "history", "times": None})
    ended = run.attempt("make")
    assert ended.state == "success", "no intent was left behind that the history would have to settle"
    assert accepted(emulator) == 1
