"""Links of tasks in the UI, found as Airflow finds them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest

from tests.support.airflow_calls import record_xcom_reads
from tests.support.airflow_versions import AIRFLOW
from tests.support.task_runs import operators
from tests.support.waits import HOUR, submit

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

    for task_id in ended:
        name, _, index = task_id.partition("[")
        found = links(run, name, int(index[:-1]) if index else -1)
        shown = {"dag_id": "links", "run_id": run.run_id, "task_id": name}
        where = shown | ({"map_index": index[:-1]} if index else {})
        assert found.pop("Videos") == page(where), task_id
        stored = ended[task_id].value[0]["uri"] if task_id == "store" else ""
        assert found == ({"Stored video": stored} if name.startswith("store") else {})


@pytest.mark.parametrize("mapped", [False, True])
def test_the_link_to_a_stored_video_reads_no_xcom(
    emulator: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, mapped: bool
) -> None:
    """Airflow's client logs an XCom that is missing as an error, behind the error of the task."""
    from airflow.sdk import DAG

    from airflow_provider_veo3.operators.download import Veo3DownloadOperator
    from tests.support.task_runs import Run

    reads = record_xcom_reads(monkeypatch)
    ids = {"store": submit(), "fail": "veo_1_unknown"}
    with DAG(f"links_read_nothing_{mapped}") as dag:
        for name, generation_id in ids.items():
            if mapped:
                several = Veo3DownloadOperator.partial(task_id=name, destination=str(tmp_path))
                several.expand(generation_id=[generation_id])
            else:
                Veo3DownloadOperator(task_id=name, destination=str(tmp_path), generation_id=generation_id)
    run = Run(dag)
    ended = {end.task_id: end for end in run.finish().values()}
    assert (ended["store"].state, ended["fail"].state) == ("success", "failed")
    assert "stored_video_uris" not in reads
    index = 0 if mapped else -1
    assert links(run, "store", index)["Stored video"] == ended["store"].value[0]["uri"]
    assert links(run, "fail", index)["Stored video"] == ""


def page(shown: dict[str, str]) -> str:
    """Return the address of the Videos page in the UI of the tests' Airflow."""
    if AIRFLOW < (3, 1):
        return ""
    frame = "/plugin/veo3-videos" if AIRFLOW >= (3, 3) else ""
    return f"{frame}/veo3/videos?{urlencode(shown)}"


@pytest.mark.skipif(AIRFLOW < (3, 1), reason="Airflow 3.0 has no Videos page")
@pytest.mark.parametrize(
    ("base_url", "before", "below"),
    [
        ("", "", ""),
        ("http://localhost:8080", "http://localhost:8080", ""),
        ("https://airflow.example.com/team/", "https://airflow.example.com", "/team"),
        ("/team", "", "/team"),
    ],
)
def test_the_link_to_the_videos_below_any_base_url(
    monkeypatch: pytest.MonkeyPatch, base_url: str, before: str, below: str
) -> None:
    from airflow_provider_veo3.links import videos_url

    monkeypatch.setenv("AIRFLOW__API__BASE_URL", base_url)
    ti = SimpleNamespace(
        dag_id="my dag", run_id="manual__2026-01-01T00:00:00+00:00", task_id="a.b", map_index=3
    )
    query = "dag_id=my+dag&run_id=manual__2026-01-01T00%3A00%3A00%2B00%3A00&task_id=a.b&map_index=3"
    frame = f"{below}/plugin/veo3-videos" if AIRFLOW >= (3, 3) else ""
    assert videos_url(ti) == f"{before}{frame}{below}/veo3/videos?{query}"


def test_the_link_to_the_videos_outlives_a_deferral(emulator: Emulator) -> None:
    from airflow.sdk import DAG

    from tests.support.task_runs import Run

    emulator.configure(processing_seconds=HOUR)
    with DAG("links_deferred") as dag:
        operators()[0](task_id="task", prompt="x", wait_for_completion=True, deferrable=True)
    run = Run(dag)
    run.start("task")
    first = links(run, "task")
    assert first == {"Videos": page({"dag_id": "links_deferred", "run_id": run.run_id, "task_id": "task"})}
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
