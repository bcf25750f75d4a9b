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

**To make it yours**, name your own CSV file, on disk or in object storage. Its columns are the parameters
of `video` below; an empty cell means the default. For another option, add a column and a parameter with
that name.
"""

from __future__ import annotations

import csv
import os
from datetime import timedelta
from io import StringIO
from pathlib import Path

from airflow.sdk import DAG, ObjectStoragePath, Param, task, task_group

from airflow_provider_veo3.operators.download import Veo3DownloadOperator
from airflow_provider_veo3.operators.generate import Veo3TextToVideoOperator

INPUTS = Path(__file__).resolve().parent / "inputs"
DESTINATION = os.environ.get("VEO3_DESTINATION", f"file://{Path.home()}/veo3-videos")


@task
def read_prompts(uri: str) -> list[dict[str, str | int | None]]:
    """Read the list when the DAG runs, and convert its numbers."""
    text = ObjectStoragePath(uri).read_text(encoding="utf-8")
    return [
        {
            "prompt": line["prompt"],
            "aspect_ratio": line["aspect_ratio"] or "16:9",
            "duration_seconds": int(line["duration_seconds"] or 8),
            "seed": int(line["seed"]) if line["seed"] else None,
            "negative_prompt": line["negative_prompt"] or None,
        }
        for line in csv.DictReader(StringIO(text, newline=""))
    ]


@task_group
def video(
    prompt: str, aspect_ratio: str, duration_seconds: int, seed: int | None, negative_prompt: str | None
) -> None:
    """Make one video and store it."""
    generate = Veo3TextToVideoOperator(
        task_id="generate",
        prompt=prompt,
        aspect_ratio=aspect_ratio,
        duration_seconds=duration_seconds,
        seed=seed,
        negative_prompt=negative_prompt,
        wait_for_completion=True,
        deferrable=True,
        pool="veo3",
    )
    Veo3DownloadOperator(
        task_id="download", generation_id=generate.output, destination="{{ params.destination }}"
    )


with DAG(
    dag_id="example_veo3_campaign",
    schedule=None,
    catchup=False,
    params={
        "prompts": Param(
            str(INPUTS / "prompts.csv"), type="string", description="Path or address of the CSV file."
        ),
        "destination": Param(DESTINATION, type="string", description="Folder or bucket for the videos."),
    },
    default_args={"retries": 2, "retry_delay": timedelta(minutes=1)},
    tags=["veo3", "example"],
    doc_md=__doc__,
):
    video.expand_kwargs(read_prompts("{{ params.prompts }}"))
