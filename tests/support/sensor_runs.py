"""Runs of sensors that start in the triggerer, as Airflow's scheduler and triggerer run them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.support.task_runs import Ended, Run

TASK = "wait"


def sensor(generation_id: Any, **options: Any) -> Any:
    from airflow_provider_veo3.sensors.generation import Veo3GenerationSensor

    options = {"task_id": TASK, "poke_interval": 0.02, "start_from_trigger": True, **options}
    return Veo3GenerationSensor(generation_id=generation_id, **options)


def run_of(name: str, generation_id: Any, **options: Any) -> Run:
    """Start a run of a DAG with one such sensor."""
    from airflow.sdk import DAG

    with DAG(f"from_trigger_{name}") as dag:
        sensor(generation_id, **options)
    return run_of_dag(dag)


def run_of_dag(dag: Any) -> Run:
    """Start a run of a DAG whose sensors end in the triggerer."""
    from airflow.models.dag import DagModel
    from airflow.utils.session import create_session
    from sqlalchemy import update

    from tests.support.task_runs import Run

    run = Run(dag)
    with create_session() as session:  # Airflow looks for callbacks there
        session.execute(update(DagModel).where(DagModel.dag_id == dag.dag_id).values(relative_fileloc="x.py"))
    return run


@dataclass
class RenderedTrigger:
    """Trigger whose template fields are rendered before it runs, as in a triggerer.

    :param ti: the task instance of the trigger.
    """

    trigger: Any
    ti: Any

    async def run(self) -> Any:
        self.trigger.render_template_fields(context=self.trigger.task_instance.get_template_context())
        async for event in self.trigger.run():
            yield event


def start_trigger(run: Run) -> tuple[int, RenderedTrigger]:
    """Defer the task as the scheduler does; return the id of the trigger's row, and the trigger."""
    from airflow.utils.session import create_session

    with create_session() as session:
        ti = run._ti(session, TASK, -1)
        ti.task = run.scheduler_dag.get_task(TASK)
        assert ti.defer_task(session=session), "the scheduler would start a worker"
        trigger_id = ti.trigger_id
    return trigger_id, create_trigger(run, trigger_id)


def create_trigger(run: Run, trigger_id: int) -> RenderedTrigger:
    """Create a trigger from its row, as a triggerer does when it starts and after each restart."""
    from airflow.executors.workloads.task import TaskInstanceDTO
    from airflow.jobs.triggerer_job_runner import TriggerRunner
    from airflow.models.trigger import Trigger
    from airflow.sdk._shared.module_loading import import_string
    from airflow.serialization.decoders import smart_decode_trigger_kwargs
    from airflow.serialization.serialized_objects import DagSerialization
    from airflow.utils.session import create_session

    with create_session() as session:
        row = session.get(Trigger, trigger_id)
        ti = row.task_instance
        trigger = import_string(row.classpath)(
            **{name: smart_decode_trigger_kwargs(value) for name, value in row.kwargs.items()}
        )
        trigger.timeout_after = ti.trigger_timeout
        dto = TaskInstanceDTO.model_validate(ti, from_attributes=True)
        dag_run = ti.dag_run.dag_run_data.model_dump(exclude_unset=True)
    trigger.task_instance = TriggerRunner.create_runtime_ti(dto, DagSerialization.to_dict(run.dag), dag_run)
    return RenderedTrigger(trigger, dto)


def run_trigger(trigger: RenderedTrigger) -> Any:
    """Run a trigger to its event, with asynchronous requests to Airflow, which its stand-in lacks."""
    from airflow.sdk.execution_time.supervisor import InProcessSupervisorComms, InProcessTestSupervisor

    async def asend(comms: InProcessSupervisorComms, message: Any) -> Any:
        return comms.send(message)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(InProcessSupervisorComms, "asend", asend, raising=False)
        return InProcessTestSupervisor.run_trigger_in_process(trigger=trigger, ti=trigger.ti)


def finish(run: Run) -> tuple[str | None, Any, Ended | None]:
    """Run the task to its end; return its state, the event, and the worker's part if there was one."""
    from airflow.models.trigger import Trigger

    trigger_id, trigger = start_trigger(run)
    event = run_trigger(trigger)
    Trigger.submit_event(trigger_id, event)
    state = run.state(TASK)
    if state != "scheduled":
        return state, event, None
    ended = run._resumed(TASK)
    return ended.state, event, ended
