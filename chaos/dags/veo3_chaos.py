"""DAG of a chaos campaign: mapped groups of tasks that generate and download videos."""

from __future__ import annotations

import json
import os
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from airflow.sdk import DAG, task, task_group

from airflow_provider_veo3.operators.download import Veo3DownloadOperator
from airflow_provider_veo3.operators.generate import Veo3TextToVideoOperator
from airflow_provider_veo3.sensors.generation import Veo3GenerationSensor

if TYPE_CHECKING:
    from airflow_provider_veo3.submission.decisions import OnAmbiguous

DESTINATION = os.environ["CHAOS_DESTINATION"]
DURABLE = os.environ["CHAOS_DURABLE"] == "true"


# Duplicates request equal videos: if the responses to both submissions are lost, either generation will do.
POLICY: Final[dict[str, OnAmbiguous]] = {"": "fail", "duplicate_": "adopt_newest"}


@task
def read_requests(group: str) -> list[dict[str, Any]]:
    """Return the requests of one group."""
    rows = json.loads(Path(os.environ["CHAOS_REQUESTS"]).read_text(encoding="utf-8"))
    return [{name: row[name] for name in row if name != "group"} for row in rows if row["group"] == group]


def combined(prefix: str, prompt: str, duration_seconds: int) -> None:
    """Submit and wait in one task, download in another."""
    generate = Veo3TextToVideoOperator(
        task_id="generate",
        prompt=prompt,
        duration_seconds=duration_seconds,
        on_ambiguous_submission=POLICY[prefix],
        wait_for_completion=True,
        deferrable=True,
        durable=DURABLE,
        pool="veo3",
    )
    Veo3DownloadOperator(task_id="download", generation_id=generate.output, destination=DESTINATION)


def chain(prefix: str, prompt: str, duration_seconds: int) -> None:
    """Submit, wait and download in three tasks."""
    submit = Veo3TextToVideoOperator(
        task_id="submit",
        prompt=prompt,
        duration_seconds=duration_seconds,
        on_ambiguous_submission=POLICY[prefix],
        durable=DURABLE,
    )
    wait = Veo3GenerationSensor(task_id="wait", generation_id=submit.output, deferrable=True)
    Veo3DownloadOperator(task_id="download", generation_id=wait.output, destination=DESTINATION)


with DAG(
    dag_id="veo3_chaos",
    schedule=None,
    catchup=False,
    # More retries than kills: a campaign tests what retries cost, not whether Airflow retries.
    default_args={"retries": 100, "retry_delay": timedelta(seconds=1)},
    max_active_tasks=64,
):
    for prefix in POLICY:
        for shape in (combined, chain):
            group = f"{prefix}{shape.__name__}"
            videos = task_group(group_id=group)(shape).partial(prefix=prefix)
            videos.expand_kwargs(read_requests.override(task_id=f"read_{group}")(group))
