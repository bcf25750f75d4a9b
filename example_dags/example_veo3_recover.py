"""
### Recovery of videos that are paid for and not stored

The vendor's links to a finished video live 24 hours. Every six hours this DAG lists what the account has
completed, in Airflow or outside, and stores what is not stored yet: the video of a run that failed after it
had paid, of a task that a person ended, or of a script outside Airflow.

**list** asks for what was submitted in the last 23 hours, so that no link expires during a download.
**store** skips each file that is already stored whole; with nothing to store, it succeeds. Each video has
three or four runs in which it can be stored, so a failed run matters little. **store** is not retried:
because of one generation without a file, a retry would request the links of all of them again.

**Costs** no credits: the DAG submits nothing. Each run sends one request for each listed video, which takes
about four of the vendor's 1000 requests a day for each video. With a run every eleven hours, it takes two,
and each video still has two runs.

**To run it**, give Airflow your key (`export VEO3_API_KEY=veo3_...`, or a connection `veo3_default`) and
switch the DAG on; it is paused at first.

**To make it yours**, set the destination of your other DAGs (`VEO3_DESTINATION` in Airflow's environment),
and their `filename` if they set one: files that are already stored under these names are skipped.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

from airflow.sdk import DAG, Param

from airflow_provider_veo3.operators.download import Veo3DownloadOperator
from airflow_provider_veo3.operators.history import Veo3ListGenerationsOperator

DESTINATION = os.environ.get("VEO3_DESTINATION", f"file://{Path.home()}/veo3-videos")

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
    Veo3DownloadOperator(
        task_id="store",
        generation_id=listed.output,
        destination="{{ params.destination }}",
        retries=0,
    )
