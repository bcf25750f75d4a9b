"""A sensor that the scheduler hands to a triggerer: how it is started, how it ends, where it cannot be."""

from __future__ import annotations

import asyncio
import json
import time
import warnings
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.airflow_versions import needs_sensor_in_triggerer
from tests.support.sensor_runs import finish, hand_over, made, run_of, sensor
from tests.support.waits import HOUR, outcome, submit

if TYPE_CHECKING:
    from airflow_provider_veo3.emulator import Emulator
    from tests.support.task_runs import Run

pytestmark = needs_sensor_in_triggerer
UNKNOWN = "veo_1703123456789_abc123def"


@pytest.fixture(autouse=True)
def _comms(monkeypatch: pytest.MonkeyPatch) -> None:
    """A triggerer's way to Airflow, which Airflow's stand-in lacks; the e2e test has the real one."""
    from airflow.sdk.execution_time.supervisor import InProcessSupervisorComms

    async def asend(comms: InProcessSupervisorComms, message: Any) -> Any:
        return comms.send(message)

    monkeypatch.setattr(InProcessSupervisorComms, "asend", asend, raising=False)


def xcoms(run: Run) -> dict[str, Any]:
    """What is stored, as a worker reads it."""
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session
    from sqlalchemy import select

    stored = select(XComModel.key, XComModel.value)
    with create_session() as session:
        rows = session.execute(
            stored.where(XComModel.dag_id == run.dag.dag_id, XComModel.run_id == run.run_id)
        )
        return {row.key: row.value for row in rows}


def test_it_ends_with_the_xcoms_that_a_worker_would_leave(emulator: Emulator) -> None:
    generation_id = submit()
    run = run_of("success", generation_id)
    state, _, worker = finish(run)
    assert (state, worker) == ("success", None)
    told = xcoms(run)
    assert told["return_value"] == told["generation"]["id"] == generation_id
    assert told["generation"]["status"] == "completed"
    assert told["_link_Veo3GenerationLink"] == told["generation_status_url"]
    ordinary = run_of("ordinary", generation_id)
    assert ordinary.attempt("wait").state == "success"
    assert xcoms(ordinary) == told
    assert emulator.ledger()["totals"]["accepted"] == 1


def test_without_a_return_value_where_none_is_wanted(emulator: Emulator) -> None:
    run = run_of("quiet", submit(), do_xcom_push=False)
    assert finish(run)[0] == "success"
    assert sorted(xcoms(run)) == ["_link_Veo3GenerationLink", "generation", "generation_status_url"]


@pytest.mark.parametrize("name", ["failed", "timeout", "unknown_id"])
@pytest.mark.parametrize("choice", [None, "soft_fail", "never_fail"])
@pytest.mark.parametrize("retries", [0, 1])
def test_ends_that_are_no_success(
    emulator: Emulator, capsys: pytest.CaptureFixture[str], name: str, choice: str | None, retries: int
) -> None:
    """With retries too, nothing is repeated: a worker says so, which costs one only where it goes wrong."""
    generation_id, options = outcome(name, emulator)
    choices = {choice: True} if choice else {}
    run = run_of(f"{name}_{choice}_{retries}", generation_id, retries=retries, **options, **choices)
    state, _, worker = finish(run)
    assert state == ("skipped" if choice else "failed")
    assert (worker is not None) == (retries == 1 and choice is None)
    assert generation_id in capsys.readouterr().out, "the log says why"
    assert sorted(xcoms(run)) == ["_link_Veo3GenerationLink", "generation_status_url"]
    errors = {"failed": "Veo3SensorFailedError", "timeout": "Veo3SensorTimeoutError"}
    assert worker is None or worker.error_name == errors.get(name, "Veo3GenerationNotFoundError")


@pytest.mark.parametrize("retries", [0, 1])
def test_what_cannot_be_an_id_is_told_and_not_asked_for(
    emulator: Emulator, capsys: pytest.CaptureFixture[str], retries: int
) -> None:
    run = run_of(
        f"nonsense_{retries}", "{{ params.nothing or 'no id' }}", params={"nothing": ""}, retries=retries
    )
    state, _, worker = finish(run)
    assert state == "failed"
    assert (worker.error_name if worker else None) == ("Veo3ValidationError" if retries else None)
    assert "generation_id='no id'" in capsys.readouterr().out
    assert emulator.ledger()["totals"]["requests"] == 0


def test_a_template_that_fails_in_the_triggerer_goes_to_a_worker(emulator: Emulator) -> None:
    run = run_of("template_fails", "{{ params.wanted | nobodys_filter }}", params={"wanted": submit()})
    with pytest.MonkeyPatch.context() as patch:
        _, rendered, ti = hand_over(run)
        from airflow.sdk.execution_time.supervisor import InProcessTestSupervisor

        event = InProcessTestSupervisor.run_trigger_in_process(trigger=rendered, ti=ti)
        assert "nobodys_filter" in event.payload["go_on_in_worker"]
        run.dag.task_dict["wait"].generation_id = "{{ params.wanted }}"
        patch.setattr(type(run.dag.task_dict["wait"]), "start_from_trigger", True)
        ended = run.resume("wait", event.payload)
    assert ended.state in ("success", "deferred")


def test_the_deadline_survives_a_restarted_triggerer(emulator: Emulator) -> None:
    """It comes from what Airflow has noted of the deferral, and lies before Airflow's own end of it."""
    from airflow.models.trigger import Trigger
    from airflow.utils.session import create_session

    emulator.configure(processing_seconds=HOUR)
    for name, options in (("plain", {}), ("bounded", {"execution_timeout": timedelta(seconds=550)})):
        run = run_of(f"deadline_{name}", submit(), timeout=500, **options)
        before = time.time()
        trigger_id, first, _ = hand_over(run)
        after = time.time()
        deadlines = [first.trigger._from_start()]
        with create_session() as session:
            again, _ = made(run, session.get(Trigger, trigger_id))
        deadlines.append(again.trigger._from_start())
        assert deadlines[0] == pytest.approx(deadlines[1], abs=1e-3)
        assert before + 500 - 0.1 <= deadlines[0] <= after + 500 + 0.1
        assert run.until("wait").timestamp() - deadlines[0] == pytest.approx(50 if options else 120, abs=1)


def test_a_deadline_that_passed_while_no_triggerer_ran(emulator: Emulator) -> None:
    emulator.configure(processing_seconds=HOUR)
    run = run_of("late", submit(), timeout=500)
    _, rendered, ti = hand_over(run)
    rendered.trigger.timeout_after = datetime.now(UTC)
    from airflow.sdk.execution_time.supervisor import InProcessTestSupervisor

    began = time.monotonic()
    event = InProcessTestSupervisor.run_trigger_in_process(trigger=rendered, ti=ti)
    assert event.task_instance_state == "failed"
    assert time.monotonic() - began < 300, "it waits for the end of the timeout that it was made with"
    assert emulator.ledger()["requests"]["status"] == {"200": 1}


def test_round_trip(emulator: Emulator) -> None:
    run = run_of("round", UNKNOWN, poke_interval=None, retries=2, soft_fail=True)
    _, rendered, _ = hand_over(run)
    path, kwargs = rendered.trigger.serialize()
    assert path == "airflow_provider_veo3.triggers.sensor.Veo3SensorTrigger"
    assert json.loads(json.dumps(kwargs)) == kwargs
    assert kwargs == {
        "generation_id": UNKNOWN,
        "veo3_conn_id": "veo3_default",
        "poll_interval": None,
        "timeout": 1800.0,
        "backstop": 1920.0,
        "skips": True,
        "retries": True,
        "returns": True,
    }
    assert type(rendered.trigger)(**kwargs).serialize() == (path, kwargs)
    asyncio.run(rendered.trigger.on_kill())


def test_the_output_of_a_task_is_pulled_in_the_triggerer() -> None:
    from airflow.sdk import DAG, task

    @task
    def submitted() -> str:
        return UNKNOWN

    with DAG("outputs"):
        wait = sensor(submitted())
        other = sensor("{{ ti.xcom_pull('get_prev_events') }}", task_id="other")
    assert wait.upstream_task_ids == {"submitted"}
    for one, template in (
        (wait, "{{ ti.xcom_pull(task_ids='submitted', key='return_value', map_indexes=-1) }}"),
        (other, "{{ ti.xcom_pull('get_prev_events') }}"),
    ):
        assert one.start_from_trigger is True
        assert one.start_trigger_args.trigger_kwargs["generation_id"] == template
    assert type(wait).start_trigger_args is None


@pytest.mark.parametrize(
    ("why", "says"),
    [
        ("old", "Airflow 3.3"),
        ("mapped group", "mapped tasks"),
        ("mapped upstream", "output of a mapped task"),
        ("many outputs", "output of one task"),
        ("prev_ds", "prev_ds"),
        ("macros", "own macros"),
    ],
)
def test_where_it_cannot_be_done_the_author_is_told(
    why: str, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.sdk import DAG, task, task_group
    from airflow.triggers.base import BaseTrigger

    @task
    def submitted(number: int = 0) -> str:
        return UNKNOWN

    if why == "old":
        monkeypatch.delattr(BaseTrigger, "render_template_fields")
    macros = {"mine": str} if why == "macros" else None
    found = []

    @task_group
    def group(generation_id: str) -> None:
        found.append(sensor(generation_id))

    def make() -> None:
        match why:
            case "mapped group":
                group.expand(generation_id=[UNKNOWN])
            case "mapped upstream":
                found.append(sensor(submitted.expand(number=[1])))
            case "many outputs":
                found.append(sensor(submitted().zip(submitted())))
            case "prev_ds":
                found.append(sensor("{{ prev_ds_success }}"))
            case "macros":
                found.append(sensor("{{ mine('veo_1_a') }}"))
            case _:
                found.append(sensor(UNKNOWN))

    told = pytest.warns(UserWarning, match=f"wait'.*{says}.* A worker starts the wait, and defers")
    with DAG(f"why_{why.replace(' ', '_')}", user_defined_macros=macros), told:
        make()
    (one,) = found
    assert one.start_from_trigger is False
    assert one.start_trigger_args is None
    assert one.deferrable is True


def test_mapped_ones_go_to_a_worker_and_say_so(
    emulator: Emulator, capsys: pytest.CaptureFixture[str]
) -> None:
    from airflow.sdk import DAG
    from airflow.utils.session import create_session

    from airflow_provider_veo3.sensors.generation import Veo3GenerationSensor
    from tests.support.task_runs import Run

    ids = [submit(), submit()]
    with warnings.catch_warnings(), DAG("mapped_from_trigger") as dag:
        Veo3GenerationSensor.partial(task_id="wait", poke_interval=0.02, start_from_trigger=True).expand(
            generation_id=ids
        )
    run = Run(dag)
    with create_session() as session:
        ti = run._ti(session, "wait", 0)
        ti.task = run.scheduler_dag.get_task("wait")
        assert not ti.defer_task(session=session), "the scheduler would not know what to start"
    assert [run.attempt("wait", index).value for index in (0, 1)] == ids
    assert "does not work in mapped tasks" in capsys.readouterr().out


def test_where_the_xcoms_cannot_be_pushed_a_worker_ends_it(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.sdk.bases.xcom import BaseXCom

    async def fail(*_: Any, **__: Any) -> None:
        raise OSError("the API server is gone")

    monkeypatch.setattr(BaseXCom, "aset", fail)
    generation_id = submit()
    run = run_of("no_xcoms", generation_id)
    state, _, worker = finish(run)
    assert (state, worker is not None) == ("success", True)
    assert xcoms(run)["return_value"] == generation_id
    assert sorted(xcoms(run)) == sorted(
        ("return_value", "generation", "generation_status_url", "_link_Veo3GenerationLink")
    )
