"""Runs of a DAG with the XComs that generating, waiting and storing tasks leave, at any time."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.models.dagrun import DagRun
from airflow.models.taskinstance import TaskInstance
from airflow.utils.session import create_session
from sqlalchemy import select, update

from airflow_provider_veo3.links import MANIFEST_KEY, STORED_URIS_KEY
from tests.support.airflow_versions import date_xcom, set_xcom
from tests.support.task_runs import Run

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.sdk import DAG

FAST = "veo-3.1-fast-generate-001"
TASKS = ("generate", "wait", "download")


def video_dag(dag_id: str) -> DAG:
    """Return a DAG with a task of each kind, which never runs."""
    from airflow.sdk import DAG

    from airflow_provider_veo3.operators.download import Veo3DownloadOperator
    from airflow_provider_veo3.operators.generate import Veo3TextToVideoOperator
    from airflow_provider_veo3.sensors.generation import Veo3GenerationSensor

    with DAG(dag_id, schedule=None) as dag:
        Veo3TextToVideoOperator(task_id="generate", prompt="a fox")
        Veo3GenerationSensor(task_id="wait", generation_id="veo_1_a")
        Veo3DownloadOperator(task_id="download", generation_id="veo_1_a", destination="/tmp/videos")  # noqa: S108
    return dag


class VideoRun:
    """Run of a DAG whose tasks' XComs are written by the test.

    :param dag_id: the DAG, which is made where there is none.
    :param at: when the run begins.
    """

    def __init__(self, dag_id: str, at: datetime) -> None:
        self.dag_id = dag_id
        self.at = at
        self._run = Run(video_dag(dag_id))
        self.run_id: str = self._run.run_id
        self._change(start_date=at)

    def end(self, at: datetime, state: str = "success") -> VideoRun:
        """End the run."""
        self._change(end_date=at, _state=state)
        return self

    def generate(
        self,
        generation_id: str,
        at: datetime,
        *,
        task_id: str = "generate",
        map_index: int = -1,
        **changes: Any,
    ) -> VideoRun:
        """Leave the manifest of a generation; with ``task_id="wait"``, that of a sensor."""
        manifest = {
            "version": 1,
            "id": generation_id,
            "type": "text-to-video",
            "model": FAST,
            "status": "completed",
            "credits_used": 190,
            "credits_remaining": 5000,
            "created_at": at.isoformat(),
            "completed_at": (at + timedelta(seconds=60)).isoformat(),
            "map_index": map_index,
        }
        if task_id == "generate":
            manifest |= {
                "prompt": f"prompt of {generation_id}",
                "negative_prompt": None,
                "duration_seconds": 8,
                "aspect_ratio": "16:9",
                "generate_audio": True,
                "seed": 7,
                "samples_expected": 1,
                "accepted_at": at.isoformat(),
            }
        if changes.get("status") in ("pending", "failed"):
            manifest["completed_at"] = None
        return self.push(MANIFEST_KEY, manifest | changes, at, task_id, map_index)

    def store(self, files: Sequence[tuple[str, str]], at: datetime, *, map_index: int = -1) -> VideoRun:
        """Leave the result of a download: pairs of generation id and URI."""
        stored = [
            {
                "generation_id": generation_id,
                "index": index,
                "uri": uri,
                "size": 4096,
                "sha256": "0" * 64,
                "mime_type": "video/mp4",
            }
            for index, (generation_id, uri) in enumerate(files)
        ]
        self.push("return_value", stored, at, "download", map_index)
        return self.push(STORED_URIS_KEY, [file["uri"] for file in stored], at, "download", map_index)

    def push(self, key: str, value: Any, at: datetime, task_id: str, map_index: int = -1) -> VideoRun:
        """Leave any XCom."""
        of = {"dag_id": self.dag_id, "run_id": self.run_id, "task_id": task_id, "map_index": map_index}
        with create_session() as session:
            if map_index >= 0:
                self._add_mapped(session, task_id, map_index)
            set_xcom(session, key, value, **of)
            session.flush()
            date_xcom(session, at, key, **of)
        return self

    def task(self, task_id: str, state: str | None, map_index: int = -1) -> VideoRun:
        """Set the state of a task."""
        with create_session() as session:
            session.execute(
                update(TaskInstance)
                .where(
                    TaskInstance.dag_id == self.dag_id,
                    TaskInstance.run_id == self.run_id,
                    TaskInstance.task_id == task_id,
                    TaskInstance.map_index == map_index,
                )
                .values(state=state)
            )
        return self

    def _add_mapped(self, session: Any, task_id: str, map_index: int) -> None:
        of_task = (
            TaskInstance.dag_id == self.dag_id,
            TaskInstance.run_id == self.run_id,
            TaskInstance.task_id == task_id,
        )
        first = session.scalars(select(TaskInstance).where(*of_task).order_by(TaskInstance.map_index)).first()
        if (
            session.scalar(select(TaskInstance.id).where(*of_task, TaskInstance.map_index == map_index))
            is None
        ):
            task = self._run.scheduler_dag.get_task(task_id)
            added = {"run_id": self.run_id, "map_index": map_index}
            if hasattr(first, "dag_version_id"):
                added["dag_version_id"] = first.dag_version_id
            session.add(TaskInstance(task, **added))
            session.flush()

    def _change(self, **values: Any) -> None:
        with create_session() as session:
            of_run = (DagRun.dag_id == self.dag_id, DagRun.run_id == self.run_id)
            run = session.scalars(select(DagRun).where(*of_run)).one()
            for name, value in values.items():
                setattr(run, name, value)
