"""Sensors that the scheduler hands to a triggerer, run to their end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.support.task_runs import Ended, Run


def sensor(generation_id: Any, **options: Any) -> Any:
    from airflow_provider_veo3.sensors.generation import Veo3GenerationSensor

    options = {"task_id": "wait", "poke_interval": 0.02, "start_from_trigger": True, **options}
    return Veo3GenerationSensor(generation_id=generation_id, **options)


def run_of(name: str, generation_id: Any, **options: Any) -> Run:
    from airflow.models.dag import DagModel
    from airflow.sdk import DAG
    from airflow.utils.session import create_session
    from sqlalchemy import update

    from tests.support.task_runs import Run

    with DAG(f"from_trigger_{name}") as dag:
        sensor(generation_id, **options)
    run = Run(dag)
    with create_session() as session:  # where callbacks would be looked for
        session.execute(update(DagModel).where(DagModel.dag_id == dag.dag_id).values(relative_fileloc="x.py"))
    return run


@dataclass
class Rendered:
    """A trigger as a triggerer makes and runs it: its template fields rendered before it runs."""

    trigger: Any
    context: Any

    async def run(self) -> Any:
        self.trigger.render_template_fields(context=self.context())
        async for event in self.trigger.run():
            yield event


def hand_over(run: Run) -> tuple[int, Rendered, Any]:
    """Do what the scheduler does, and then what a triggerer does to make the trigger; may be made again."""
    from airflow.models.trigger import Trigger
    from airflow.utils.session import create_session

    with create_session() as session:
        ti = run._ti(session, "wait", -1)
        ti.task = run.scheduler_dag.get_task("wait")
        assert ti.defer_task(session=session), "the scheduler would start a worker"
        trigger_id = ti.trigger_id
    with create_session() as session:
        return trigger_id, *made(run, session.get(Trigger, trigger_id))


def made(run: Run, row: Any) -> tuple[Rendered, Any]:
    from airflow.executors.workloads.task import TaskInstanceDTO
    from airflow.jobs.triggerer_job_runner import TriggerRunner
    from airflow.sdk._shared.module_loading import import_string
    from airflow.serialization.decoders import smart_decode_trigger_kwargs
    from airflow.serialization.serialized_objects import DagSerialization

    ti = row.task_instance
    trigger = import_string(row.classpath)(
        **{name: smart_decode_trigger_kwargs(value) for name, value in row.kwargs.items()}
    )
    trigger.timeout_after = ti.trigger_timeout
    dto = TaskInstanceDTO.model_validate(ti, from_attributes=True)
    dag_run = ti.dag_run.dag_run_data.model_dump(exclude_unset=True)
    trigger.task_instance = TriggerRunner.create_runtime_ti(dto, DagSerialization.to_dict(run.dag), dag_run)
    return Rendered(trigger, trigger.task_instance.get_template_context), dto


def finish(run: Run) -> tuple[str | None, Any, Ended | None]:
    """Let it run to its end: the state it has then, the event, and the worker's part if there was one."""
    from airflow.models.trigger import Trigger
    from airflow.sdk.execution_time.supervisor import InProcessTestSupervisor

    trigger_id, rendered, ti = hand_over(run)
    event = InProcessTestSupervisor.run_trigger_in_process(trigger=rendered, ti=ti)
    Trigger.submit_event(trigger_id, event)
    state = run.state("wait")
    if state != "scheduled":
        return state, event, None
    ended = run._resumed("wait")
    return ended.state, event, ended
