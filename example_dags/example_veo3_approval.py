"""
### Approval of the credits by a person

**estimate** requests the API's prices and calculates the cost of each line of a CSV file. **approve** shows
the sum to a person, under *Required actions* in the UI, and waits for up to a day without a worker. Only
then does **video.generate** make the videos, each for no more than was approved (`max_credits`). If a price
has risen in the meantime, that video is not submitted. After *Reject* nothing is submitted and the rest is
skipped. If nobody decides, **approve** fails.

**Costs** the approved sum: 6 x 65 = 390 credits for the list that comes with this DAG and the model
`veo-3.1-lite-generate-001`. A retry reuses the video that was paid for and does not pay again.

**To run it**, create the pool (`airflow pools set veo3 5 "VEO3 videos in flight" --include-deferred`), give
Airflow your key (`export VEO3_API_KEY=veo3_...`, or a connection `veo3_default`) and trigger the DAG.

The DAG needs Airflow 3.1 or later, which can ask a person. On Airflow 3.0 **approve** fails with an error
that says so, and nothing is submitted.

**To make it yours**, name your own list: a CSV file, as Excel or another program writes it, with a column
`prompt`, and any of `model`, `sample_count`, `generate_audio`, `aspect_ratio`, `duration_seconds`,
`negative_prompt` and `seed`. An empty cell means the default.
"""

from __future__ import annotations

import os
from datetime import timedelta
from functools import cache
from inspect import signature
from pathlib import Path
from typing import Any

from airflow.exceptions import AirflowOptionalProviderFeatureException
from airflow.sdk import DAG, Param, task, task_group

from airflow_provider_veo3.operators.download import Veo3DownloadOperator
from airflow_provider_veo3.operators.generate import Veo3TextToVideoOperator

try:
    from airflow.providers.standard.operators.hitl import ApprovalOperator, HITLOperator
except (ImportError, AirflowOptionalProviderFeatureException):  # Airflow 3.0 has no such operators
    ApprovalOperator = None  # type: ignore[assignment, misc]
else:
    # the name of the parameter since version 1.13 of the standard provider, and its name before
    NEW, OLD = "response_timeout", "execution_timeout"
    TIMEOUT = NEW if NEW in signature(HITLOperator.__init__).parameters else OLD

INPUTS = Path(__file__).resolve().parent / "inputs"
DESTINATION = os.environ.get("VEO3_DESTINATION", f"file://{Path.home()}/veo3-videos")

CREDITS = {
    "veo-3.1-generate-001": 500,
    "veo-3.1-fast-generate-001": 190,
    "veo-3.1-lite-generate-001": 65,
    "veo-3.0-generate-001": 500,
    "veo-3.0-fast-generate-001": 190,
}
"""Models, and the credits for one video with sound."""

SUBJECT = "Spend {{ ti.xcom_pull('estimate') | sum(attribute='max_credits') }} credits on videos?"
BODY = """
{% for video in ti.xcom_pull('estimate') %}
- {{ video.max_credits }} credits: {{ video.prompt }}
{% endfor %}
"""


DEFAULTS = {
    "model": "",
    "sample_count": "1",
    "generate_audio": "true",
    "aspect_ratio": "16:9",
    "duration_seconds": "8",
    "negative_prompt": "",
    "seed": "",
}


@task
def estimate(uri: str, model: str) -> list[dict[str, Any]]:
    """Read the list, and set the price of each video as its limit."""
    from airflow_provider_veo3.hooks.veo3 import Veo3Hook
    from airflow_provider_veo3.storage.prompts_file import read_prompts

    price = cache(Veo3Hook().estimate_credits)
    videos = []
    for row in read_prompts(uri, DEFAULTS):
        video = row | {"model": row["model"] or model}
        samples, audio = video["sample_count"], video["generate_audio"]
        limit = price(video["model"], sample_count=samples, generate_audio=audio)
        videos.append({**video, "max_credits": limit})
    return videos


def ask_a_person() -> Any:
    """Return the task that asks a person; on Airflow 3.0, a task that fails."""
    if ApprovalOperator is not None:
        within: dict[str, Any] = {TIMEOUT: timedelta(days=1)}
        return ApprovalOperator(task_id="approve", subject=SUBJECT, body=BODY, retries=0, **within)

    @task(task_id="approve", retries=0)
    def cannot_ask() -> None:
        raise RuntimeError("Asking a person needs Airflow 3.1 or later. Nothing was submitted or spent.")

    return cannot_ask()


@task_group
def video(
    *,
    prompt: str,
    model: str,
    sample_count: str,
    generate_audio: str,
    aspect_ratio: str,
    duration_seconds: str,
    negative_prompt: str,
    seed: str,
    max_credits: int,
) -> None:
    """Make one video as it was approved, and store it.

    Airflow does not render the arguments of a task group, so a template in the list stays text.
    """
    generate = Veo3TextToVideoOperator(
        task_id="generate",
        map_index_template="{{ ti.task.prompt[:60] }}",  # the name of the instance in the UI
        prompt=prompt,
        model=model,
        sample_count=sample_count,
        generate_audio=generate_audio,
        aspect_ratio=aspect_ratio,
        duration_seconds=duration_seconds,
        negative_prompt=negative_prompt,
        seed=seed,
        max_credits=max_credits,
        wait_for_completion=True,
        deferrable=True,
        pool="veo3",
    )
    Veo3DownloadOperator(
        task_id="download",
        map_index_template="{{ ti.task.generation_id }}",
        generation_id=generate.output,
        destination="{{ params.destination }}",
    )


with DAG(
    dag_id="example_veo3_approval",
    schedule=None,
    catchup=False,
    params={
        "prompts": Param(
            str(INPUTS / "prompts.csv"), type="string", description="Path or address of the CSV file."
        ),
        "model": Param(
            "veo-3.1-lite-generate-001",
            type="string",
            enum=list(CREDITS),
            description="Decides the price. Credits for one video with sound: "
            + ", ".join(f"{model} {price}" for model, price in CREDITS.items()),
        ),
        "destination": Param(DESTINATION, type="string", description="Folder or bucket for the videos."),
    },
    default_args={"retries": 2, "retry_delay": timedelta(minutes=1)},
    tags=["veo3", "example"],
    doc_md=__doc__,
) as dag:
    videos = estimate("{{ params.prompts }}", "{{ params.model }}")
    videos >> ask_a_person() >> video.expand_kwargs(videos)
