"""Ids that the API does not know yet, and failures that it takes back, for sensors and waiting operators."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.support.airflow_versions import needs_sensor_in_triggerer
from tests.support.waits import submit

if TYPE_CHECKING:
    from airflow_provider_veo3.emulator import Emulator

MODES = ("poke", "reschedule", "deferrable")

NOT_YET = {"kind": "refuse", "endpoint": "status", "code": "TASK_NOT_FOUND", "status": 404, "times": 2}
WITHOUT_TIME = {"task_id_template": "job-{id}"}
"""Ids that do not tell when they were accepted; only a manifest does."""


def options_of(mode: str) -> dict[str, Any]:
    deferrable = mode == "deferrable"
    return {"deferrable": deferrable, "mode": "poke" if deferrable else mode, "poke_interval": 0.1}


def generating(**options: Any) -> Any:
    from airflow_provider_veo3.operators.generate import Veo3TextToVideoOperator

    return Veo3TextToVideoOperator(task_id="submit", prompt="A lighthouse", **options)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("ids", [{}, WITHOUT_TIME], ids=["time in the id", "time in the manifest"])
def test_a_sensor_waits_for_an_id_that_is_not_listed_yet(
    emulator: Emulator, mode: str, ids: dict[str, Any]
) -> None:
    from airflow.sdk import DAG

    from airflow_provider_veo3.sensors.generation import Veo3GenerationSensor
    from tests.support.task_runs import Run

    emulator.configure(**ids)
    emulator.inject(NOT_YET)
    with DAG(f"late_id_{mode}_{len(ids)}") as dag:
        Veo3GenerationSensor(task_id="wait", generation_id=generating().output, **options_of(mode))
    ended = Run(dag).finish()
    assert ended["wait"].state == "success", ended["wait"].error
    assert emulator.ledger()["requests"]["status"]["404"] == 2


@needs_sensor_in_triggerer
@pytest.mark.parametrize("ids", [{}, WITHOUT_TIME], ids=["time in the id", "time in the manifest"])
def test_a_sensor_in_the_triggerer_waits_for_an_id_that_is_not_listed_yet(
    emulator: Emulator, ids: dict[str, Any]
) -> None:
    from airflow.sdk import DAG

    from tests.support.sensor_runs import finish, run_of_dag, sensor

    emulator.configure(**ids)
    emulator.inject(NOT_YET)
    with DAG(f"late_id_in_triggerer_{len(ids)}") as dag:
        sensor(generating().output, poke_interval=0.1)
    run = run_of_dag(dag)
    assert run.attempt("submit").state == "success"
    state, _, worker = finish(run)
    assert (state, worker) == ("success", None)
    assert emulator.ledger()["requests"]["status"]["404"] == 2


@pytest.mark.parametrize("deferrable", [False, True], ids=["worker", "triggerer"])
def test_a_waiting_operator_waits_for_an_id_that_is_not_listed_yet(
    emulator: Emulator, *, deferrable: bool
) -> None:
    from airflow.sdk import DAG

    from tests.support.task_runs import Run

    emulator.configure(**WITHOUT_TIME)
    emulator.inject(NOT_YET)
    with DAG(f"late_id_operator_{deferrable}") as dag:
        generating(wait_for_completion=True, deferrable=deferrable, poll_interval=0.1)
    ended = Run(dag).attempt("submit")
    assert ended.state == "success", ended.error
    assert emulator.ledger()["requests"]["status"]["404"] == 2
    assert emulator.ledger()["totals"]["accepted"] == 1


@pytest.mark.parametrize("mode", MODES)
def test_an_id_without_any_time_is_unknown_at_once(emulator: Emulator, mode: str) -> None:
    from airflow.sdk import DAG

    from airflow_provider_veo3.sensors.generation import Veo3GenerationSensor
    from tests.support.task_runs import Run

    with DAG(f"unknown_{mode}") as dag:
        Veo3GenerationSensor(task_id="wait", generation_id="job-1", **options_of(mode))
    ended = Run(dag).attempt("wait")
    assert (ended.state, ended.error_name) == ("failed", "Veo3GenerationNotFoundError")
    assert emulator.ledger()["requests"]["status"] == {"404": 1}


@pytest.mark.parametrize("mode", MODES)
def test_a_failure_that_the_api_takes_back_does_not_fail_a_sensor(emulator: Emulator, mode: str) -> None:
    from airflow.sdk import DAG

    from airflow_provider_veo3.sensors.generation import Veo3GenerationSensor
    from tests.support.task_runs import Run

    generation_id = submit()
    emulator.inject({"kind": "report_failed", "endpoint": "status", "seconds": 0.05})
    with DAG(f"taken_back_{mode}") as dag:
        Veo3GenerationSensor(task_id="wait", generation_id=generation_id, **options_of(mode))
    ended = Run(dag).attempt("wait")
    assert (ended.state, ended.value) == ("success", generation_id), ended.error


@pytest.mark.parametrize("mode", MODES)
def test_a_confirmed_failure_fails_a_sensor(emulator: Emulator, mode: str) -> None:
    from airflow.sdk import DAG

    from airflow_provider_veo3.sensors.generation import Veo3GenerationSensor
    from tests.support.task_runs import Run

    emulator.inject({"kind": "fail_generation", "error": "fell over"})
    with DAG(f"confirmed_{mode}") as dag:
        Veo3GenerationSensor(task_id="wait", generation_id=submit(), **options_of(mode))
    ended = Run(dag).attempt("wait")
    assert (ended.state, ended.error_name) == ("failed", "Veo3SensorFailedError")
    assert emulator.ledger()["requests"]["status"] == {"200": 2}, "the failure, and its confirmation"


@pytest.mark.parametrize("deferrable", [False, True], ids=["worker", "triggerer"])
def test_a_failure_that_the_api_takes_back_is_not_paid_for_again(
    emulator: Emulator, *, deferrable: bool
) -> None:
    from airflow.sdk import DAG

    from tests.support.task_runs import Run

    emulator.inject({"kind": "report_failed", "endpoint": "status", "seconds": 0.05})
    with DAG(f"operator_taken_back_{deferrable}") as dag:
        generating(wait_for_completion=True, deferrable=deferrable, poll_interval=0.1)
    ended = Run(dag).attempt("submit")
    assert ended.state == "success", ended.error
    assert emulator.ledger()["totals"]["accepted"] == 1
