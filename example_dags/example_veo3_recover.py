"""
### Recovery of videos that are paid for and not stored

The vendor's links to a finished video live 24 hours. Every six hours this DAG lists what the account has
completed, in Airflow or outside, and stores what is not stored yet: the video of a run that failed after it
had paid, of a task that a person ended, or of a script outside Airflow.

**list** asks for what was submitted in the last 23 hours, so that no link expires during a download.
**places** finds the videos that a review, as in `example_veo3_review`, keeps or has moved in one of
`FOLDERS`. **store** stores each generation where it has a video already, else in the destination, and skips
each file that is already stored whole; with nothing to store, it succeeds. Each video has three or four
runs in which it can be stored, so a failed run matters little. **store** is not retried: because of one
generation without a file, a retry would request the links of all of them again.

**Costs** no credits: the DAG submits nothing. Each run sends one request for each listed video, which takes
about four of the vendor's 1000 requests a day for each video. With a run every eleven hours, it takes two,
and each video still has two runs.

**To run it**, give Airflow your key (`export VEO3_API_KEY=veo3_...`, or a connection `veo3_default`) and
switch the DAG on; it is paused at first.

**To make it yours**, set the destination of your other DAGs (`VEO3_DESTINATION` in Airflow's environment),
and their `filename` if they set one, here and in **places**: files that are already stored under these names
are skipped. Name in `FOLDERS` every folder into which your DAGs move videos.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, ObjectStoragePath, Param, task

from airflow_provider_veo3.operators.download import Veo3DownloadOperator
from airflow_provider_veo3.operators.history import Veo3ListGenerationsOperator

DESTINATION = os.environ.get("VEO3_DESTINATION", f"file://{Path.home()}/veo3-videos")

FOLDERS = ("review", "published", "rejected")
"""Folders below the destination in which other DAGs keep videos."""


@task
def places(generation_ids: list[str], destination: str) -> list[dict[str, Any]]:
    """Return the folders to store in, each with its generations."""
    found: dict[str, list[str]] = {destination: []}
    for generation_id in generation_ids:
        folders = [f"{destination.rstrip('/')}/{folder}" for folder in FOLDERS]
        kept = [each for each in folders if ObjectStoragePath(f"{each}/{generation_id}_0.mp4").exists()]
        found.setdefault(kept[0] if kept else destination, []).append(generation_id)
    return [{"destination": folder, "generation_id": ids} for folder, ids in found.items()]


with DAG(
    dag_id="example_veo3_recover",
    schedule="0 */6 * * *",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    is_paused_upon_creation=True,
    params={"destination": Param(DESTINATION, type="string", description="Folder or bucket for the videos.")},
    default_args={"retries": 2, "retry_delay": timedelta(minutes=5)},
    tags=["veo3", "example"],
    doc_md=__doc__,
) as dag:
    listed = Veo3ListGenerationsOperator(task_id="list", since=timedelta(hours=23))
    ids: Any = listed.output
    Veo3DownloadOperator.partial(
        task_id="store", map_index_template="{{ ti.task.destination }}", retries=0
    ).expand_kwargs(places(ids, "{{ params.destination }}"))
