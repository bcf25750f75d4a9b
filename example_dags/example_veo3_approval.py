"""
### A person approves the credits first

**estimate** asks the API for its prices and says what each line of a CSV file will cost. **approve** shows
the sum to a person, under *Required actions* in the UI, and waits for up to a day without a worker. Only then
**generate** makes the videos, each for no more than was approved (`max_credits`): had a price risen
meanwhile, that video would not be submitted. After *Reject* nothing is submitted and the rest is skipped;
without an answer **approve** fails.

**Costs** what was approved: 6 x 65 = 390 credits for the list that comes with this DAG and the model
`veo-3.1-lite-generate-001`. A retry takes up the video that was paid for; it does not buy another.

**To run it**, create the pool (`airflow pools set veo3 5 "VEO3 videos in flight" --include-deferred`), give
Airflow your key (`export VEO3_API_KEY=veo3_...`, or a connection `veo3_default`) and trigger it.

It needs Airflow 3.1 or later, which can ask a person. On Airflow 3.0 **approve** fails and says so, and
nothing is submitted.

**To make it yours**, name your own list: a CSV file with a column `prompt`, and one for each other parameter
of `Veo3TextToVideoOperator` that you want to set.
"""

from __future__ import annotations

import csv
import os
from datetime import timedelta
from functools import cache
from io import StringIO
from pathlib import Path
from typing import Any

from airflow.providers.common.compat.sdk import AirflowException
from airflow.sdk import DAG, ObjectStoragePath, Param, task

from airflow_provider_veo3.operators.download import Veo3DownloadOperator
from airflow_provider_veo3.operators.generate import Veo3TextToVideoOperator

try:
    from airflow.providers.standard.operators.hitl import ApprovalOperator
except (ImportError, AirflowException):  # Airflow 3.0: no such module, or one that needs a later Airflow
    ApprovalOperator = None  # type: ignore[assignment, misc]

INPUTS = Path(__file__).resolve().parent / "inputs"
DESTINATION = os.environ.get("VEO3_DESTINATION", f"file://{Path.home()}/veo3-videos")

SUBJECT = "Spend {{ ti.xcom_pull('estimate') | sum(attribute='max_credits') }} credits on videos?"
BODY = """
{% for video in ti.xcom_pull('estimate') %}
- {{ video.max_credits }} credits: {{ video.prompt }}
{% endfor %}
"""


@task
def estimate(uri: str, model: str) -> list[dict[str, Any]]:
    """Read the list, and set for each video what it will cost as the most that it may."""
    from airflow_provider_veo3.hooks.veo3 import Veo3Hook

    # at once, since an open ObjectStoragePath gives no lines on Airflow 3.0
    text = StringIO(ObjectStoragePath(uri).read_text(encoding="utf-8"))
    # an empty cell means the default
    lines = [{name: cell for name, cell in line.items() if cell} for line in csv.DictReader(text)]
    price = cache(Veo3Hook().estimate_credits)
    videos = []
    for line in lines:
        video: dict[str, Any] = {"model": model, **line}
        samples, audio = video.get("sample_count", 1), video.get("generate_audio", True)
        limit = price(video["model"], sample_count=samples, generate_audio=audio)
        videos.append({**video, "max_credits": limit})
    return videos


def ask_a_person() -> Any:
    """Return the task that asks; on Airflow 3.0, which cannot, one that fails."""
    if ApprovalOperator is not None:
        return ApprovalOperator(
            task_id="approve", subject=SUBJECT, body=BODY, response_timeout=timedelta(days=1), retries=0
        )

    @task(task_id="approve", retries=0)
    def cannot_ask() -> None:
        raise RuntimeError("Asking a person needs Airflow 3.1 or later. Nothing was submitted or spent.")

    return cannot_ask()


with DAG(
    dag_id="example_veo3_approval",
    schedule=None,
    catchup=False,
    params={
        "prompts": Param(
            str(INPUTS / "prompts.csv"), type="string", description="Path or address of the CSV file."
        ),
        "model": Param("veo-3.1-lite-generate-001", type="string", description="It decides the price."),
        "destination": Param(DESTINATION, type="string", description="Folder or bucket for the videos."),
    },
    default_args={"retries": 2, "retry_delay": timedelta(minutes=1)},
    tags=["veo3", "example"],
    doc_md=__doc__,
):
    videos = estimate("{{ params.prompts }}", "{{ params.model }}")
    generate = Veo3TextToVideoOperator.partial(
        task_id="generate", wait_for_completion=True, deferrable=True, pool="veo3"
    ).expand_kwargs(videos)
    Veo3DownloadOperator.partial(task_id="download", destination="{{ params.destination }}").expand(
        generation_id=generate.output
    )
    videos >> ask_a_person() >> generate
