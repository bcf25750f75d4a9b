"""Runs of generating tasks, what Airflow does between their attempts, and what the account paid for."""

from __future__ import annotations

import itertools
import os
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from airflow.models.dagrun import DagRun
from airflow.models.taskinstance import TaskInstance, clear_task_instances
from airflow.sdk import DAG
from airflow.utils.session import create_session
from sqlalchemy import select, update

from airflow_provider_veo3.operators.generate import Veo3ImageToVideoOperator, Veo3TextToVideoOperator
from tests.support.task_runs import Ended, Run

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from airflow_provider_veo3.airflow_names import Context
    from airflow_provider_veo3.emulator import Emulator

SUBMIT_ONLY: dict[str, Any] = {"deferrable": False}
WAIT: dict[str, Any] = {"wait_for_completion": True, "deferrable": False}
DEFER: dict[str, Any] = {"wait_for_completion": True, "deferrable": True}
each_shape = pytest.mark.parametrize("shape", [SUBMIT_ONLY, WAIT, DEFER], ids=["submit", "wait", "defer"])
each_wait = pytest.mark.parametrize("shape", [WAIT, DEFER], ids=["wait", "defer"])
CUT_AFTER = {"kind": "accept_then_disconnect"}
CUT_BEFORE = {"kind": "disconnect_before", "endpoint": "text-to-video"}
NO_HISTORY = {"kind": "status", "status": 503, "endpoint": "history", "times": 4}
TASK = "generate"
DRAGON = "A majestic dragon soaring through clouds above a fantasy castle"
_numbers = itertools.count()


class BeforeTaskState(Veo3TextToVideoOperator):
    """The operator as Airflow 3.0 to 3.2 runs it, which keep no state of a task."""

    def execute(self, context: Context) -> str:
        context.pop("task_state_store", None)
        return super().execute(context)

    def execute_again(self, context: Context, event: Any = None) -> str:
        context.pop("task_state_store", None)
        return super().execute_again(context, event)

    def execute_complete(self, context: Context, event: Any = None) -> str:
        context.pop("task_state_store", None)
        return super().execute_complete(context, event)


OPERATORS = {
    cls.__name__: cls for cls in (Veo3TextToVideoOperator, Veo3ImageToVideoOperator, BeforeTaskState)
}


def generating(
    prompt: str | list[str] = DRAGON,
    *,
    dag_id: str | None = None,
    operator: str = "Veo3TextToVideoOperator",
    retries: int = 2,
    **options: Any,
) -> DAG:
    """A DAG with one generating task, mapped over the prompts where there are several."""
    defaults = {"task_id": TASK, "retries": retries, "retry_delay": timedelta(days=1), "poll_interval": 0.01}
    options = defaults | options
    with DAG(dag_id or f"once_{os.getpid()}_{next(_numbers)}") as dag:
        if isinstance(prompt, list):
            OPERATORS[operator].partial(**options).expand(prompt=prompt)
        else:
            OPERATORS[operator](prompt=prompt, **options)
    return dag


def start(prompt: str | list[str] = DRAGON, **options: Any) -> Run:
    """Start a run of such a DAG; a list of prompts is expanded at once."""
    run = Run(generating(prompt, **options))
    with create_session() as session:
        this = (DagRun.dag_id == run.dag.dag_id, DagRun.run_id == run.run_id)
        session.execute(update(DagRun).where(*this).values(start_date=datetime.now(UTC)))
    return run


def change(run: Run, prompt: str | list[str] = DRAGON, **options: Any) -> None:
    """Deploy another version of the run's DAG, which the next attempt is made with."""
    run.dag = generating(prompt, dag_id=run.dag.dag_id, **options)


def _instance(session: Session, run: Run, map_index: int) -> TaskInstance:
    return session.scalars(
        select(TaskInstance).where(
            TaskInstance.dag_id == run.dag.dag_id,
            TaskInstance.run_id == run.run_id,
            TaskInstance.map_index == map_index,
        )
    ).one()


def lose_worker(run: Run, map_index: int = -1) -> None:
    """Do what the scheduler does about a task whose worker sends no heartbeat any more."""
    with create_session() as session:
        ti = _instance(session, run, map_index)
        assert ti.state == "running"
        ti.task = run.scheduler_dag.get_task(TASK)
        ti.handle_failure("the worker is gone", session=session)
        session.merge(ti)
    assert run.state(TASK, map_index) == "up_for_retry"


def clear(run: Run, map_index: int = -1) -> None:
    """Clear the task, as a person does in the UI."""
    with create_session() as session:
        clear_task_instances([_instance(session, run, map_index)], session)


def start_anew(run: Run) -> None:
    """Do what clearing a task does to a run that had finished: an hour later it has started again."""
    later = datetime.now(UTC) + timedelta(hours=1)
    with create_session() as session:
        this = (DagRun.dag_id == run.dag.dag_id, DagRun.run_id == run.run_id)
        session.execute(update(DagRun).where(*this).values(start_date=later, clear_number=1))


def succeed(ended: Ended) -> str:
    """The id that a successful attempt returned."""
    assert ended.error is None, repr(ended.error)
    assert ended.state == "success"
    assert ended.manifest["id"] == ended.value
    assert isinstance(ended.value, str)
    return ended.value


def accepted(emulator: Emulator) -> list[str]:
    """The ids that the account was charged for, failed ones too, in the order of their acceptance."""
    return [task["id"] for task in emulator.ledger()["tasks"]]


def submissions(emulator: Emulator, endpoint: str = "text-to-video") -> int:
    """The requests that asked for a generation, answered or not."""
    return sum(emulator.ledger()["requests"].get(endpoint, {}).values())


def paid_once(emulator: Emulator, generation_id: str) -> None:
    """Assert that this one generation was accepted and charged, and nothing else."""
    ledger = emulator.ledger()
    assert accepted(emulator) == [generation_id]
    assert (ledger["totals"]["charged"], ledger["totals"]["refunded"]) == (190, 0)


def twice_lost(emulator: Emulator, **options: Any) -> tuple[Any, list[str]]:
    """A task whose answer was lost in an account that somebody else asks for the same."""
    from airflow_provider_veo3.hooks.veo3 import Veo3Hook

    emulator.inject(CUT_AFTER)
    emulator.inject(NO_HISTORY)
    run = start(**options)
    assert run.attempt(TASK).state == "up_for_retry"
    Veo3Hook().text_to_video(DRAGON)
    return run, accepted(emulator)
