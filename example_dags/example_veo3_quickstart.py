"""
### From one prompt to one video file

Three tasks: **submit** sends the prompt, **wait** waits until the video is ready, **download** stores it.
The triggerer does the waiting, so **wait** holds no worker.

**Costs** one video, charged when the API accepts the prompt: 190 credits for `veo-3.1-fast-generate-001`,
or 65 for `veo-3.1-lite-generate-001`, which the free credits of a new account cover. A failed generation is
refunded. A video that would cost more than `max_credits` in the form is not submitted.

**To run it**, give Airflow your key (`export VEO3_API_KEY=veo3_...`, or a connection `veo3_default`) and
trigger the DAG; the form asks for the prompt.

**To make it yours**, set the destination to a folder or a bucket (`s3://my_aws_connection@bucket/videos/`),
here or with `VEO3_DESTINATION` in Airflow's environment.
"""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

from airflow.sdk import DAG, Param

from airflow_provider_veo3.operators.download import Veo3DownloadOperator
from airflow_provider_veo3.operators.generate import Veo3TextToVideoOperator
from airflow_provider_veo3.sensors.generation import Veo3GenerationSensor

DESTINATION = os.environ.get("VEO3_DESTINATION", f"file://{Path.home()}/veo3-videos")

CREDITS = {
    "veo-3.1-generate-001": 500,
    "veo-3.1-fast-generate-001": 190,
    "veo-3.1-lite-generate-001": 65,
    "veo-3.0-generate-001": 500,
    "veo-3.0-fast-generate-001": 190,
}
"""Models, and the credits for one video with sound."""

with DAG(
    dag_id="example_veo3_quickstart",
    schedule=None,
    catchup=False,
    params={
        "prompt": Param(
            "A red fox trots through fresh snow at dawn, its breath a small cloud in the cold. "
            "Low tracking shot, soft light, quiet footsteps.",
            type="string",
            format="multiline",
            minLength=1,
            maxLength=1000,
            description="What happens, how the camera sees it, and what is heard.",
        ),
        "model": Param(
            "veo-3.1-fast-generate-001",
            type="string",
            enum=list(CREDITS),
            description="Decides the price. Credits for one video with sound: "
            + ", ".join(f"{model} {price}" for model, price in CREDITS.items()),
        ),
        "max_credits": Param(
            500, type="integer", minimum=0, description="A video that would cost more is not submitted."
        ),
        "destination": Param(DESTINATION, type="string", description="Folder or bucket for the video."),
    },
    default_args={"retries": 2, "retry_delay": timedelta(minutes=1)},
    tags=["veo3", "example"],
    doc_md=__doc__,
) as dag:
    submit = Veo3TextToVideoOperator(
        task_id="submit",
        prompt="{{ params.prompt }}",
        model="{{ params.model }}",
        max_credits="{{ params.max_credits }}",
        deferrable=True,
    )
    wait = Veo3GenerationSensor(task_id="wait", generation_id=submit.output, deferrable=True)
    Veo3DownloadOperator(
        task_id="download", generation_id=wait.output, destination="{{ params.destination }}"
    )
