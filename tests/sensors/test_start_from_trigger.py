"""Sensors that start in the triggerer: start, end, and where a worker is needed."""

from __future__ import annotations

import asyncio
import json
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest

from tests.support.airflow_versions import needs_sensor_in_triggerer
from tests.support.sensor_runs import create_trigger, finish, run_of, run_trigger, sensor, start_trigger
from tests.support.waits import HOUR, outcome, submit

if TYPE_CHECKING:
    from airflow_provider_veo3.emulator import Emulator
    from tests.support.task_runs import Run

pytestmark = needs_sensor_in_triggerer
UNKNOWN = "veo_1703123456789_abc123def"


def xcoms(run: Run) -> dict[str, Any]:
    """Return the stored XComs by key, as a worker reads them."""
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session
    from sqlalchemy import select

    stored = select(XComModel.key, XComModel.value)
    with create_session() as session:
        rows = session.execute(
            stored.where(XComModel.dag_id == run.dag.dag_id, XComModel.run_id == run.run_id)
        )
        return {row.key: row.value for row in rows}


def test_it_ends_with_the_xcoms_of_a_sensor_in_a_worker(emulator: Emulator) -> None:
    generation_id = submit()
    run = run_of("success", generation_id)
    state, _, worker = finish(run)
    assert (state, worker) == ("success", None)
    pushed = xcoms(run)
    assert pushed["return_value"] == pushed["generation"]["id"] == generation_id
    assert pushed["generation"]["status"] == "completed"
    ordinary = run_of("ordinary", generation_id)
    assert ordinary.attempt("wait").state == "success"
    by_worker = xcoms(ordinary)
    links = [of.pop("_link_Veo3VideosLink") for of in (pushed, by_worker)]
    assert by_worker == pushed
    for link, of in zip(links, (run, ordinary), strict=True):
        assert link.partition("?")[2] == urlencode(
            {"dag_id": of.dag.dag_id, "run_id": of.run_id, "task_id": "wait"}
        )
    assert emulator.ledger()["totals"]["accepted"] == 1


def test_do_xcom_push_decides_on_the_return_value(emulator: Emulator) -> None:
    run = run_of("quiet", submit(), do_xcom_push=False)
    assert finish(run)[0] == "success"
    assert sorted(xcoms(run)) == ["_link_Veo3VideosLink", "generation"]


@pytest.mark.parametrize("name", ["failed", "timeout", "unknown_id"])
@pytest.mark.parametrize("choice", [None, "soft_fail", "never_fail"])
@pytest.mark.parametrize("retries", [0, 1])
def test_failures_fail_or_skip_the_task(
    emulator: Emulator, capsys: pytest.CaptureFixture[str], name: str, choice: str | None, retries: int
) -> None:
    """Nothing is retried: where the task has retries, a worker raises an error without a retry."""
    generation_id, options = outcome(name, emulator)
    choices = {choice: True} if choice else {}
    run = run_of(f"{name}_{choice}_{retries}", generation_id, retries=retries, **options, **choices)
    state, _, worker = finish(run)
    assert state == ("skipped" if choice else "failed")
    assert (worker is not None) == (retries == 1 and choice is None)
    assert generation_id in capsys.readouterr().out, "the log says why"
    left = xcoms(run)
    assert left.pop("generation", {}).get("status") == ("failed" if name == "failed" else None)
    assert sorted(left) == ["_link_Veo3VideosLink"]
    errors = {"failed": "Veo3SensorFailedError", "timeout": "Veo3SensorTimeoutError"}
    assert worker is None or worker.error_name == errors.get(name, "Veo3GenerationNotFoundError")


@pytest.mark.parametrize("retries", [0, 1])
def test_a_value_that_cannot_be_an_id_fails_without_a_request(
    emulator: Emulator, capsys: pytest.CaptureFixture[str], retries: int
) -> None:
    run = run_of(
        f"nonsense_{retries}", "{{ params.nothing or 'no\\tid' }}", params={"nothing": ""}, retries=retries
    )
    state, _, worker = finish(run)
    assert state == "failed"
    assert (worker.error_name if worker else None) == ("Veo3ValidationError" if retries else None)
    assert "generation_id='no\\tid'" in capsys.readouterr().out
    assert emulator.ledger()["totals"]["requests"] == 0


def test_a_template_that_fails_in_the_triggerer_goes_to_a_worker(emulator: Emulator) -> None:
    generation_id = submit()
    run = run_of("template_fails", "{{ params.wanted | no_filter }}", params={"wanted": generation_id})
    event = run_trigger(start_trigger(run)[1])
    assert "no_filter" in event.payload["go_on_in_worker"]
    run.dag.task_dict["wait"].generation_id = "{{ params.wanted }}"
    ended = run.resume("wait", event.payload)
    assert (ended.state, ended.value) == ("success", generation_id)


def test_the_deadline_survives_a_restarted_triggerer(emulator: Emulator) -> None:
    """It follows from the end that Airflow has stored for the deferral, and comes before that."""
    emulator.configure(processing_seconds=HOUR)
    for name, options in (("plain", {}), ("bounded", {"execution_timeout": timedelta(seconds=550)})):
        run = run_of(f"deadline_{name}", submit(), timeout=500, **options)
        before = time.time()
        trigger_id, first = start_trigger(run)
        after = time.time()
        triggers = (first, create_trigger(run, trigger_id))
        deadlines = [each.trigger.deadline_of_deferral() for each in triggers]
        assert deadlines[0] == pytest.approx(deadlines[1], abs=1e-3)
        assert before + 500 - 0.1 <= deadlines[0] <= after + 500 + 0.1
        assert run.until("wait").timestamp() - deadlines[0] == pytest.approx(50 if options else 120, abs=1)


def test_a_deadline_that_passed_while_no_triggerer_ran(emulator: Emulator) -> None:
    emulator.configure(processing_seconds=HOUR)
    run = run_of("late", submit(), timeout=500)
    _, rendered = start_trigger(run)
    rendered.trigger.timeout_after = datetime.now(UTC)
    began = time.monotonic()
    event = run_trigger(rendered)
    assert event.task_instance_state == "failed"
    assert time.monotonic() - began < 300, "it waits as if the wait had begun now"
    assert emulator.ledger()["requests"]["status"] == {"200": 1}


def test_round_trip(emulator: Emulator) -> None:
    run = run_of("round", UNKNOWN, poke_interval=None, retries=2, soft_fail=True)
    _, rendered = start_trigger(run)
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
        "generated_by": None,
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
def test_the_dag_author_is_warned_where_a_worker_is_needed(
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

    warned = pytest.warns(UserWarning, match=f"wait'.*{says}.* A worker starts the wait, and defers")
    with DAG(f"why_{why.replace(' ', '_')}", user_defined_macros=macros), warned:
        make()
    (one,) = found
    assert one.start_from_trigger is False
    assert one.start_trigger_args is None
    assert one.deferrable is True


def test_mapped_sensors_start_in_a_worker_with_a_warning(
    emulator: Emulator, capsys: pytest.CaptureFixture[str]
) -> None:
    from airflow.sdk import DAG
    from airflow.utils.session import create_session

    from airflow_provider_veo3.sensors.generation import Veo3GenerationSensor
    from tests.support.task_runs import Run

    ids = [submit(), submit()]
    with DAG("mapped_from_trigger") as dag:
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


def test_a_worker_ends_the_task_where_the_triggerer_cannot_push_xcoms(
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
    assert sorted(xcoms(run)) == sorted(("return_value", "generation", "_link_Veo3VideosLink"))
