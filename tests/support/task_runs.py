"""Run operators the way Airflow does: its database, scheduler decisions, task runner and trigger handling.

Only the processes are missing: the task runner and the triggers run in this one, as in ``dag.test()``, which
is not used itself since it reads every DAG file again and again, sleeps, and keeps the errors to itself.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.models.serialized_dag import SerializedDagModel
from airflow.models.taskinstance import TaskInstance
from airflow.models.taskreschedule import TaskReschedule
from airflow.models.trigger import TRIGGER_FAIL_REPR, Trigger
from airflow.utils.session import create_session
from airflow.utils.state import DagRunState, TaskInstanceState
from airflow.utils.types import DagRunTriggeredByType, DagRunType
from sqlalchemy import select

from tests.support.airflow_versions import (
    dag_serialization,
    import_string,
    last_xcom,
    next_try,
    register,
    run_task,
    run_trigger,
    sdk_task_instance,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow.models.dagrun import DagRun
    from airflow.sdk import DAG
    from airflow.triggers.base import BaseTrigger

BUNDLE = "dags-folder"
# long ago: a run must not begin in the future, however many there are
_logical_dates = (datetime(2016, 1, 1, tzinfo=UTC) + timedelta(days=number) for number in itertools.count())


@dataclass
class Ended:
    """What became of one task instance.

    :param state: as the database has it.
    :param error: what ended the attempt, ``None`` when it succeeded.
    :param triggers: class path and decoded kwargs of each deferral, as the database had them.
    :param events: the payload of each event that came back.
    :param rounds: how often the task was started in a worker.
    :param task: the operator as it was run: unmapped, its templates rendered.
    """

    task_id: str
    map_index: int
    state: str | None
    error: BaseException | None
    xcom: Callable[..., Any] = field(repr=False)
    triggers: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    events: list[Any] = field(default_factory=list)
    rounds: int = 0
    task: Any = field(default=None, repr=False)

    @property
    def value(self) -> Any:
        return self.xcom("return_value")

    @property
    def manifest(self) -> Any:
        return self.xcom("generation")

    @property
    def error_name(self) -> str | None:
        return type(self.error).__name__ if self.error is not None else None


class Run:
    """One run of a DAG.

    :param dag: written to the database as a DAG processor would.
    """

    def __init__(self, dag: DAG, conf: dict[str, Any] | None = None) -> None:
        self.dag = dag
        register(dag, BUNDLE)
        serialization = dag_serialization()
        self.scheduler_dag = serialization.deserialize_dag(serialization.serialize_dag(dag))
        if getattr(dag, "deadline", None):  # kept in a table of its own, under ids
            self.scheduler_dag = SerializedDagModel.get(dag.dag_id).dag
        date = next(_logical_dates)
        if dag.start_date:  # Airflow starts no task of an earlier run
            date += max(timedelta(), dag.start_date - datetime(2016, 1, 1, tzinfo=UTC))
        with create_session() as session:
            self.run_id = self.scheduler_dag.create_dagrun(
                run_id=f"test__{date.isoformat()}",
                logical_date=date,
                data_interval=(date, date),
                run_after=date,
                conf=conf,
                run_type=DagRunType.MANUAL,
                triggered_by=DagRunTriggeredByType.TEST,
                state=DagRunState.RUNNING,
                start_date=date,
                session=session,
            ).run_id

    def finish(self) -> dict[str, Ended]:
        """Run whatever the scheduler would start, until it would start nothing more.

        A failed attempt is not repeated: its state tells whether Airflow would.
        """
        ended: dict[str, Ended] = {}
        while due := self._due():
            for task_id, map_index in due:
                name = task_id if map_index < 0 else f"{task_id}[{map_index}]"
                assert name not in ended, f"{name} is scheduled again"
                ended[name] = self.attempt(task_id, map_index)
        return ended

    def attempt(self, task_id: str, map_index: int = -1) -> Ended:
        """Run one attempt of a task instance, with its deferrals and reschedules, to its end."""
        ended = Ended(task_id, map_index, None, None, self._xcom_of(task_id, map_index))
        self._change(task_id, map_index, try_number=next_try)
        while True:
            ended.rounds += 1
            what = self._queue(task_id, map_index)
            result = run_task(what, self.dag.task_dict[task_id])
            ended.error = result.error
            ended.task = result.ti.task
            ended.state = self.state(task_id, map_index)
            if ended.state == TaskInstanceState.DEFERRED:
                trigger_id, trigger = self._trigger(task_id, map_index, ended)
                event = run_trigger(trigger, what)
                ended.events.append(event.payload)
                Trigger.submit_event(trigger_id, event)
            elif ended.state != TaskInstanceState.UP_FOR_RESCHEDULE:
                return ended

    def start(self, task_id: str) -> Ended:
        """Start an attempt, and leave it where the task first ends, defers or is rescheduled."""
        ended = Ended(task_id, -1, None, None, self._xcom_of(task_id, -1))
        self._change(task_id, -1, try_number=next_try)
        ended.error = run_task(self._queue(task_id, -1), self.dag.task_dict[task_id]).error
        ended.state = self.state(task_id)
        return ended

    def until(self, task_id: str) -> datetime:
        """When Airflow itself would end a deferral, or end the pause of a rescheduled task."""
        with create_session() as session:
            ti = self._ti(session, task_id, -1)
            if ti.state == TaskInstanceState.DEFERRED:
                return ti.trigger_timeout
            row = select(TaskReschedule.reschedule_date).where(TaskReschedule.ti_id == ti.id)
            return session.scalars(row.order_by(TaskReschedule.id.desc()).limit(1)).one()

    def resume(self, task_id: str, payload: Any) -> Ended:
        """Resume a deferred task with what a trigger is said to have sent."""
        from airflow.triggers.base import TriggerEvent

        with create_session() as session:
            trigger_id = self._ti(session, task_id, -1).trigger_id
        Trigger.submit_event(trigger_id, TriggerEvent(payload))
        return self._resumed(task_id)

    def time_out(self, task_id: str) -> Ended:
        """Resume a deferred task as the scheduler does when Airflow's own timeout is over."""
        self._change(
            task_id,
            -1,
            trigger_id=lambda _: None,
            next_method=lambda _: TRIGGER_FAIL_REPR,
            next_kwargs=lambda _: {"error": "Trigger timeout"},
        )
        return self._resumed(task_id)

    def _resumed(self, task_id: str) -> Ended:
        result = run_task(self._queue(task_id, -1), self.dag.task_dict[task_id])
        return Ended(task_id, -1, self.state(task_id), result.error, self._xcom_of(task_id, -1))

    def state(self, task_id: str, map_index: int = -1) -> str | None:
        with create_session() as session:
            return self._ti(session, task_id, map_index).state

    def run_state(self) -> str:
        with create_session() as session:
            return str(self._dag_run(session).state)

    def xcom(self, task_id: str, key: str = "return_value", map_index: int = -1) -> Any:
        with create_session() as session:
            ti = self._ti(session, task_id, map_index)
            return last_xcom(session, ti, key)

    def _xcom_of(self, task_id: str, map_index: int) -> Callable[..., Any]:
        return lambda key: self.xcom(task_id, key, map_index)

    def _due(self) -> list[tuple[str, int]]:
        with create_session() as session:
            run = self._dag_run(session)
            run.dag = self.scheduler_dag
            due, _ = run.update_state(session=session)
            return [(ti.task_id, ti.map_index) for ti in due if ti.try_number == 0]

    def _dag_run(self, session: Any) -> DagRun:
        from airflow.models.dagrun import DagRun

        return session.scalars(
            select(DagRun).where(DagRun.dag_id == self.dag.dag_id, DagRun.run_id == self.run_id)
        ).one()

    def _ti(self, session: Any, task_id: str, map_index: int) -> TaskInstance:
        return session.scalars(
            select(TaskInstance).where(
                TaskInstance.dag_id == self.dag.dag_id,
                TaskInstance.run_id == self.run_id,
                TaskInstance.task_id == task_id,
                TaskInstance.map_index == map_index,
            )
        ).one()

    def _change(self, task_id: str, map_index: int, **changes: Callable[[TaskInstance], Any]) -> None:
        with create_session() as session:
            ti = self._ti(session, task_id, map_index)
            for name, change in changes.items():
                setattr(ti, name, change(ti))

    def _queue(self, task_id: str, map_index: int) -> Any:
        self._change(task_id, map_index, state=lambda _: TaskInstanceState.QUEUED)
        with create_session() as session:
            ti = self._ti(session, task_id, map_index)
            return sdk_task_instance(ti)

    def trigger(self, task_id: str) -> BaseTrigger:
        """Make the trigger of a deferred task."""
        return self._trigger(task_id, -1, Ended(task_id, -1, None, None, self._xcom_of(task_id, -1)))[1]

    def _trigger(self, task_id: str, map_index: int, ended: Ended) -> tuple[int, BaseTrigger]:
        """Make the trigger again from its row, as a triggerer does."""
        with create_session() as session:
            row = session.get(Trigger, self._ti(session, task_id, map_index).trigger_id)
            ended.triggers.append((row.classpath, row.kwargs))
            return row.id, import_string(row.classpath)(**row.kwargs)


def run_to_success(dag: DAG, conf: dict[str, Any] | None = None) -> dict[str, Any]:
    """Run a DAG; every task must succeed."""
    ended = Run(dag, conf).finish()
    assert {end.state for end in ended.values()} == {"success"}, {
        name: end.error for name, end in ended.items() if end.error
    }
    return ended


def operators() -> list[Any]:
    """Return the three generating operators."""
    from airflow_provider_veo3.operators import generate

    return [
        generate.Veo3TextToVideoOperator,
        generate.Veo3ImageToVideoOperator,
        generate.Veo3FirstLastFrameOperator,
    ]
