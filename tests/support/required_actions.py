"""Decisions of a person that a task of Airflow's human-in-the-loop operators waits for."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.airflow_versions import AIRFLOW, dags_of_the_api

if TYPE_CHECKING:
    from tests.support.task_runs import Ended, Run

asks_a_person = pytest.mark.skipif(AIRFLOW < (3, 1), reason="Airflow 3.0 cannot ask a person")

WAITING = "awaiting_input" if AIRFLOW >= (3, 3) else "deferred"
"""State of a task that waits; before Airflow 3.3 in the triggerer, which reads the decision."""


def required_action(run: Run, task_id: str, choice: str | None = None) -> Any:
    """Return what the UI shows to a person, after sending the choice, if any, as the UI does."""
    from airflow.api_fastapi.core_api.datamodels.hitl import UpdateHITLDetailPayload
    from airflow.api_fastapi.core_api.routes.public import hitl
    from airflow.utils.session import create_session

    where = {"dag_id": run.dag.dag_id, "dag_run_id": run.run_id, "task_id": task_id, "map_index": -1}
    where |= dags_of_the_api()
    with create_session() as session:
        if choice is not None:
            person = SimpleNamespace(
                get_id=lambda: "7", get_name=lambda: "Pat", get_display_name=lambda: "Pat"
            )
            payload = UpdateHITLDetailPayload(chosen_options=[choice], params_input={})
            hitl.update_hitl_detail(**where, update_hitl_detail_payload=payload, user=person, session=session)
        return hitl.get_hitl_detail(**where, session=session)


def decide(run: Run, task_id: str, choice: str) -> Ended:
    """Send a person's decision, and resume the task that waits for it."""
    required_action(run, task_id, choice)
    if AIRFLOW >= (3, 3):
        return run._resumed(task_id)
    event = {
        "chosen_options": [choice],
        "params_input": {},
        "responded_by_user": {"id": "7", "name": "Pat"},
        "responded_at": datetime.now(UTC),
        "timedout": False,
    }
    return run.resume(task_id, event)
