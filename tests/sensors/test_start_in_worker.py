"""Sensors with ``start_from_trigger`` before Airflow 3.3, which start in a worker."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.waits import submit

if TYPE_CHECKING:
    from airflow_provider_veo3.emulator import Emulator


@pytest.mark.parametrize("retries", [0, 1])
def test_a_worker_starts_the_wait_and_the_dag_author_is_warned(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch, retries: int
) -> None:
    from airflow.sdk import DAG
    from airflow.triggers.base import BaseTrigger

    from airflow_provider_veo3.sensors.generation import Veo3GenerationSensor
    from tests.support.task_runs import Run

    monkeypatch.delattr(BaseTrigger, "render_template_fields", raising=False)  # new in 3.3
    emulator.configure(processing_seconds=3600)
    generation_id = submit()
    warned = pytest.warns(UserWarning, match=r"wait'.*Airflow 3\.3.* A worker starts the wait, and defers")
    with DAG(f"in_worker_{retries}") as dag, warned:
        Veo3GenerationSensor(
            task_id="wait",
            generation_id="{{ params.wanted }}",
            params={"wanted": generation_id},
            poke_interval=0.02,
            start_from_trigger=True,
            retries=retries,
        )
    run = Run(dag)
    assert run.start("wait").state == "deferred"
    assert type(run.trigger("wait")).__name__ == "Veo3GenerationTrigger"
    event = {"version": 1, "generation_id": generation_id, "ending": "completed", "message": "done"}
    ended = run.resume("wait", {**event, "reason": None, "manifest": {"status": "completed"}})
    assert (ended.error, ended.state, ended.value) == (None, "success", generation_id)
    assert ended.manifest["status"] == "completed"
