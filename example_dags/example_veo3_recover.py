"""
### No video is lost

The vendor's links to a finished video live 24 hours. Every six hours this DAG lists what the account has
completed, whoever asked for it, and stores what is not stored yet: of a run that failed after it had paid, of
a task that was ended by hand, of a script outside Airflow.

**list** asks for what was submitted in the last 23 hours, so that no link ends while it is fetched. **store**
passes over each file that lies whole in the destination; with nothing to store it succeeds. Each video has
three or four runs to be stored in, so that a failed one matters little, and **store** is not retried: a
generation without a file would have it ask for all of them again.

**Costs** no credits: it submits nothing. Each run asks once for each listed video, which makes about four of
the vendor's 1000 requests a day for each video. Every eleven hours are two, and still two runs for each.

**To run it**, give Airflow your key (`export VEO3_API_KEY=veo3_...`, or a connection `veo3_default`) and
switch it on; it comes paused.

**To make it yours**, set the destination that your other DAGs store in (`VEO3_DESTINATION` in Airflow's
environment), and a `filename` if they have one: what they have stored under its usual name is passed over.
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
):
    listed = Veo3ListGenerationsOperator(task_id="list", since=timedelta(hours=23))
    Veo3DownloadOperator(
        task_id="store",
        generation_id=listed.output,
        destination="{{ params.destination }}",
        retries=0,
    )
