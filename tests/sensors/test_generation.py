"""Sensors in every mode: skips, poke intervals, timeouts, and events that no trigger sends."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.clock import FakeClock
from tests.support.connections import use_connection
from tests.support.task_runs import operators
from tests.support.waits import HOUR, outcome, submit

if TYPE_CHECKING:
    from airflow.sdk import DAG

    from airflow_provider_veo3.emulator import Emulator
    from tests.support.task_runs import Ended, Run

MODES = ("poke", "reschedule", "deferrable")
TRIES = {"retries": 1, "retry_delay": timedelta(days=1)}


def sensor(mode: str, generation_id: str, **options: Any) -> Any:
    from airflow_provider_veo3.sensors.generation import Veo3GenerationSensor

    options = {"task_id": f"sense_{mode}", "poke_interval": 0.02, **options}
    return Veo3GenerationSensor(
        generation_id=generation_id,
        deferrable=mode == "deferrable",
        mode="poke" if mode == "deferrable" else mode,
        **options,
    )


@pytest.mark.parametrize("name", ["failed", "timeout", "unknown_id", "key_refused"])
@pytest.mark.parametrize("late", [False, True], ids=["at the first poll", "later"])
def test_soft_fail_and_never_fail_skip_in_every_mode(
    emulator: Emulator, capsys: pytest.CaptureFixture[str], name: str, *, late: bool
) -> None:
    """With ``late``, a transient error comes first, so that the trigger or a later poke meets the end."""
    from airflow.sdk import DAG

    from tests.support.task_runs import Run

    generation_id, options = outcome(name, emulator)
    with DAG(f"soft_{name}_{late}", default_args={**TRIES, **options}) as dag:
        for mode in MODES:
            for choice in ("soft_fail", "never_fail"):
                sensor(mode, generation_id, task_id=f"{mode}_{choice}", **{choice: True})
    run = Run(dag)
    for task in dag.tasks:
        emulator.clear_faults()
        if late:
            emulator.inject({"kind": "garbage", "endpoint": "status"})
        if name == "key_refused":
            emulator.inject({"kind": "status", "status": 401, "endpoint": "status"})
        capsys.readouterr()
        ended = run.attempt(task.task_id)
        assert ended.state == "skipped", (task.task_id, ended.error)
        assert ended.value is None
        assert (ended.manifest or {}).get("status") == ("failed" if name == "failed" else None)
        if name != "timeout":  # which may have passed at the first poll, on a busy machine
            assert len(ended.triggers) == (late and task.task_id.startswith("deferrable"))
        if not (name == "timeout" and task.task_id == "reschedule_soft_fail"):  # Airflow's own sentence
            assert generation_id in capsys.readouterr().out, "the log says why"


@pytest.mark.parametrize("mode", MODES)
def test_a_sensor_submits_nothing_and_may_be_retried(emulator: Emulator, mode: str) -> None:
    from airflow.sdk import DAG

    from tests.support.task_runs import Run

    generation_id = submit()
    with DAG(f"again_{mode}", default_args=TRIES) as dag:
        sensor(mode, generation_id)
    run = Run(dag)
    assert [run.attempt(f"sense_{mode}").value for _ in range(3)] == [generation_id] * 3
    assert emulator.ledger()["totals"]["accepted"] == 1


def poked_on(clock: FakeClock, dag: DAG, monkeypatch: pytest.MonkeyPatch) -> Ended:
    """Run the poking sensor of a DAG, whose pauses and Airflow's pass on a clock in no time."""
    from airflow.sdk.bases import sensor as airflow_module

    from tests.support.task_runs import Run

    dag.task_dict["sense_poke"].clock = clock
    run = Run(dag)
    with monkeypatch.context() as patch:
        patch.setattr(airflow_module, "time", clock)
        return run.start("sense_poke")


@pytest.mark.parametrize("mode", MODES)
def test_the_poke_interval_may_come_from_the_connection(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    from airflow.sdk import DAG

    from tests.support.task_runs import Run

    emulator.configure(processing_seconds=HOUR)
    use_connection(monkeypatch, emulator, extra={"poll_interval": 600})
    with DAG(f"interval_{mode}") as dag:
        sensor(mode, submit(), poke_interval=None, timeout=1000)
    match mode:
        case "poke":
            clock = FakeClock()
            ended = poked_on(clock, dag, monkeypatch)
            assert ended.error_name == "Veo3SensorTimeoutError", ended.error
            assert clock.slept == [600, 400]
            assert emulator.ledger()["requests"]["status"] == {"200": 3}, "now, later, and at its timeout"
        case "reschedule":
            run = Run(dag)
            assert run.start("sense_reschedule").state == "up_for_reschedule"
            assert 500 < (run.until("sense_reschedule") - datetime.now(UTC)).total_seconds() <= 600
        case _:
            run = Run(dag)
            assert run.start("sense_deferrable").state == "deferred"
            _, kwargs = run.trigger("sense_deferrable").serialize()
            assert kwargs["poll_interval"] == 600


def hint(status: int) -> dict[str, Any]:
    """A response that asks the client to stay away for 300 seconds."""
    return {"kind": "status", "status": status, "endpoint": "status", "headers": {"Retry-After": "300"}}


@pytest.mark.parametrize("exponential_backoff", [False, True])
@pytest.mark.parametrize("status", [429, 503])
def test_a_rescheduled_sensor_stays_away_as_long_as_the_api_asks(
    emulator: Emulator, status: int, *, exponential_backoff: bool
) -> None:
    from airflow.sdk import DAG

    from tests.support.task_runs import Run

    emulator.inject(hint(status))
    with DAG(f"hint_{status}_{exponential_backoff}") as dag:
        sensor("reschedule", submit(), exponential_backoff=exponential_backoff)
    run = Run(dag)
    assert run.start("sense_reschedule").state == "up_for_reschedule"
    assert 280 < (run.until("sense_reschedule") - datetime.now(UTC)).total_seconds() <= 300


@pytest.mark.parametrize("exponential_backoff", [False, True])
@pytest.mark.parametrize("status", [429, 503])
def test_a_poking_sensor_stays_away_as_long_as_the_api_asks(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch, status: int, *, exponential_backoff: bool
) -> None:
    from airflow.sdk import DAG

    emulator.inject(hint(status))
    with DAG(f"poked_hint_{status}_{exponential_backoff}") as dag:
        sensor("poke", submit(), exponential_backoff=exponential_backoff)
    clock = FakeClock()
    began = clock.now
    assert poked_on(clock, dag, monkeypatch).state == "success"
    assert clock.now - began == pytest.approx(300)
    assert emulator.ledger()["requests"]["status"] == {str(status): 1, "200": 1}


def test_no_poke_comes_later_than_the_timeout(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow.sdk import DAG

    emulator.inject(hint(429))
    emulator.configure(processing_seconds=HOUR)
    with DAG("poked_until_timeout") as dag:
        sensor("poke", submit(), timeout=100)
    clock = FakeClock()
    began = clock.now
    assert poked_on(clock, dag, monkeypatch).error_name == "Veo3SensorTimeoutError"
    assert clock.now - began == pytest.approx(100)


def deferred_run(dag_id: str, generation_id: str, timeout: float) -> Run:
    """Start a run with an operator and a sensor that have deferred."""
    from airflow.sdk import DAG

    from tests.support.task_runs import Run

    with DAG(dag_id, default_args={**TRIES, "timeout": timeout, "deferrable": True}) as dag:
        operators()[0](
            task_id="operator", prompt="A lighthouse", wait_for_completion=True, poll_interval=0.01
        )
        sensor("deferrable", generation_id, task_id="sensor")
    run = Run(dag)
    for task_id in ("operator", "sensor"):
        assert run.start(task_id).state == "deferred"
    return run


def test_airflows_timeout_of_a_deferral_comes_after_ours(emulator: Emulator) -> None:
    """Our message is seen first; should Airflow's fire after all, the sensor still times out as one."""
    emulator.configure(processing_seconds=HOUR)
    before = time.time()
    run = deferred_run("backstop", submit(), 500)
    for task_id in ("operator", "sensor"):
        deadline = run.trigger(task_id).deadline
        assert before + 500 <= deadline <= time.time() + 500
        assert 60 <= run.until(task_id).timestamp() - deadline <= 300
    operator, sense = run.time_out("operator"), run.time_out("sensor")
    assert (operator.error_name, operator.state) == ("TaskDeferralTimeout", "up_for_retry")
    assert (sense.error_name, sense.state) == ("AirflowSensorTimeout", "failed")


@pytest.mark.parametrize("task_id", ["operator", "sensor"])
@pytest.mark.parametrize(
    "event",
    [
        None,
        "completed",
        {},
        {"status": "success"},
        {"version": 1, "generation_id": "veo_1_other", "ending": "completed", "message": "", "manifest": {}},
        {"version": 2, "generation_id": "MINE", "ending": "completed", "message": "", "manifest": {}},
        {"version": 1, "generation_id": "MINE", "ending": "done", "message": "", "manifest": {}},
        {"version": 1, "generation_id": "MINE", "ending": "completed", "message": "", "manifest": None},
        {
            "version": 1,
            "generation_id": "MINE",
            "ending": "completed",
            "message": "",
            "manifest": {"id": "x"},
        },
        {"version": 1, "generation_id": "../MINE", "ending": "completed", "message": "", "manifest": {}},
    ],
)
def test_an_event_of_no_trigger_fails_the_task(emulator: Emulator, task_id: str, event: Any) -> None:
    emulator.configure(processing_seconds=HOUR)
    run = deferred_run("events", submit(), 500)
    mine = run.trigger(task_id).generation_id
    if isinstance(event, dict) and "generation_id" in event:
        event = {**event, "generation_id": event["generation_id"].replace("MINE", mine)}
    ended = run.resume(task_id, event)
    assert ended.error_name == "Veo3GenerationError"
    assert ended.state == "up_for_retry"
    assert ended.value is None
    assert "cannot be used" in str(ended.error)
    assert (ended.manifest or {}).get("status") != "completed"
