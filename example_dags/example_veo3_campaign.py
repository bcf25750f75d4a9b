"""
### A campaign: one video for each line of a list

Each line of a CSV file becomes a video. Every video is a mapped pair of tasks, **generate** and
**download**, so it is stored as soon as it is made, and a failed video does not delay the others.

The pool `veo3` limits how many generations are in flight. A deferred task keeps its slot, because the pool
includes deferred tasks. VEO3 queues at most five videos for a key:

    airflow pools set veo3 5 "VEO3 videos in flight" --include-deferred

**Costs** one video per line: 6 x 190 = 1140 credits for the list that comes with this DAG and the default
model `veo-3.1-fast-generate-001`. A retry reuses the video that was paid for and does not pay again.

**To run it**, create the pool, give Airflow your key (`export VEO3_API_KEY=veo3_...`, or a connection
`veo3_default`) and trigger the DAG.

**To make it yours**, name your own CSV file, on disk or in object storage, as Excel or another program writes
it. It needs a column `prompt`, and may have the columns of `DEFAULTS` below; an empty cell means the default.
If a line is not acceptable, **read_prompts** names it and fails, and nothing is submitted. For another
option, add it to `DEFAULTS` and to the parameters of `video`.
"""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

from airflow.sdk import DAG, Param, task, task_group

from airflow_provider_veo3.operators.download import Veo3DownloadOperator
from airflow_provider_veo3.operators.generate import Veo3TextToVideoOperator

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

DEFAULTS = {"aspect_ratio": "16:9", "duration_seconds": "8", "seed": "", "negative_prompt": ""}


@task
def read_prompts(uri: str) -> list[dict[str, str]]:
    """Read and check the list when the DAG runs, before anything is paid for."""
    from airflow_provider_veo3.storage import prompts_file

    return prompts_file.read_prompts(uri, DEFAULTS)


@task_group
def video(prompt: str, aspect_ratio: str, duration_seconds: str, seed: str, negative_prompt: str) -> None:
    """Make one video and store it."""
    generate = Veo3TextToVideoOperator(
        task_id="generate",
        map_index_template="{{ ti.task.prompt[:60] }}",  # the name of the instance in the UI
        prompt=prompt,
        model="{{ params.model }}",
        aspect_ratio=aspect_ratio,
        duration_seconds=duration_seconds,
        seed=seed,
        negative_prompt=negative_prompt,
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
    dag_id="example_veo3_campaign",
    schedule=None,
    catchup=False,
    params={
        "prompts": Param(
            str(INPUTS / "prompts.csv"), type="string", description="Path or address of the CSV file."
        ),
        "model": Param(
            "veo-3.1-fast-generate-001",
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
    video.expand_kwargs(read_prompts("{{ params.prompts }}"))
