"""Links of tasks in the UI, found as Airflow finds them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.support.task_runs import operators
from tests.support.waits import HOUR

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_provider_veo3.emulator import Emulator


def links(run: Any, task_id: str, map_index: int = -1) -> dict[str, str | None]:
    """Return the links of a task from the serialized DAG, as the API server does."""
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session
    from sqlalchemy import select

    task = run.scheduler_dag.get_task(task_id)
    wanted = {"dag_id": run.dag.dag_id, "run_id": run.run_id, "task_id": task_id, "map_index": map_index}
    with create_session() as session:
        ti = session.scalars(select(TaskInstance).filter_by(**wanted)).one()
        return {name: task.get_extra_links(ti, name) for name in task.extra_links}


def test_links_of_tasks_in_every_state(emulator: Emulator, tmp_path: Path) -> None:
    from airflow.sdk import DAG

    from airflow_provider_veo3.operators.download import Veo3DownloadOperator
    from airflow_provider_veo3.sensors.generation import Veo3GenerationSensor
    from tests.support.task_runs import Run

    text = operators()[0]
    emulator.inject({"kind": "fail_generation", "prompt_contains": "<fails>"})
    waiting = {"wait_for_completion": True, "deferrable": True, "poll_interval": 0.01}
    with DAG("links") as dag:
        done = text(task_id="done", prompt="done")
        text(task_id="fails", prompt="<fails>", **waiting)
        text(task_id="defers", prompt="defers", **waiting)
        text(task_id="refused", prompt="")
        text.partial(task_id="mapped").expand(prompt=["one", "two"])
        Veo3GenerationSensor(task_id="sense", generation_id=done.output)
        Veo3GenerationSensor(task_id="sense_unknown", generation_id="veo_1_unknown")
        Veo3DownloadOperator(task_id="store", generation_id=done.output, destination=str(tmp_path))
        Veo3DownloadOperator(
            task_id="store_unknown", generation_id="veo_1_unknown", destination=str(tmp_path)
        )
    run = Run(dag)
    assert run.start("defers").state == "deferred"
    ended = run.finish()
    states = {name: end.state for name, end in ended.items()}
    assert [states[name] for name in ("done", "fails", "refused", "store_unknown")] == [
        "success",
        "failed",
        "failed",
        "failed",
    ]

    ids = {task["prompt"]: task["id"] for task in emulator.ledger()["tasks"]}
    status = f"{emulator.base_url}/api/veo/status"
    for task_id, prompt in {"done": "done", "fails": "<fails>", "defers": "defers", "sense": "done"}.items():
        assert links(run, task_id) == {"VEO3 status": f"{status}/{ids[prompt]}"}
    for index, prompt in enumerate(("one", "two")):
        assert links(run, "mapped", index) == {"VEO3 status": f"{status}/{ids[prompt]}"}
    assert links(run, "sense_unknown") == {"VEO3 status": f"{status}/veo_1_unknown"}
    assert links(run, "store") == {"Stored video": ended["store"].value[0]["uri"]}
    for task_id in ("refused", "store_unknown"):
        assert not any(links(run, task_id).values()), "no link before there is something to show"


def test_a_link_of_a_deferred_task_outlives_the_deferral(emulator: Emulator) -> None:
    from airflow.sdk import DAG

    from tests.support.task_runs import Run

    emulator.configure(processing_seconds=HOUR)
    with DAG("links_deferred") as dag:
        operators()[0](task_id="task", prompt="x", wait_for_completion=True, deferrable=True)
    run = Run(dag)
    run.start("task")
    first = links(run, "task")
    assert first["VEO3 status"]
    trigger = run.trigger("task")
    event = {"version": 1, "generation_id": trigger.generation_id, "ending": "timeout", "message": "late"}
    ended = run.resume("task", {**event, "reason": None, "manifest": {}})
    assert ended.error_name == "Veo3GenerationTimeoutError"
    assert links(run, "task") == first


def test_links_belong_to_classes_and_are_registered() -> None:
    from airflow_provider_veo3 import get_provider_info
    from airflow_provider_veo3.operators.download import Veo3DownloadOperator
    from airflow_provider_veo3.sensors.generation import Veo3GenerationSensor

    registered = set(get_provider_info()["extra-links"])
    used = set()
    for operator in (*operators(), Veo3GenerationSensor, Veo3DownloadOperator):
        assert operator.operator_extra_links, f"{operator.__name__} has links at class level"
        used |= {f"{type(link).__module__}.{type(link).__name__}" for link in operator.operator_extra_links}
    assert used == registered
