"""
### Bring a picture to life

A JPEG or PNG file of up to 20 MB becomes the first frame, and the prompt describes what moves. One task
submits and waits, and holds no worker while it waits. The next task stores the video.

**Costs** one video of the default model `veo-3.1-fast-generate-001` with sound: 190 credits.

**To run it**, give Airflow your key (`export VEO3_API_KEY=veo3_...`, or a connection `veo3_default`) and
trigger the DAG.

**To make it yours**, name your own image: a path that the workers can read, or an address in object storage
such as `s3://my_aws_connection@bucket/pictures/product.jpg`.
"""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

from airflow.sdk import DAG, Param

from airflow_provider_veo3.operators.download import Veo3DownloadOperator
from airflow_provider_veo3.operators.generate import Veo3ImageToVideoOperator

INPUTS = Path(__file__).resolve().parent / "inputs"
DESTINATION = os.environ.get("VEO3_DESTINATION", f"file://{Path.home()}/veo3-videos")

with DAG(
    dag_id="example_veo3_image_to_video",
    schedule=None,
    catchup=False,
    params={
        "image": Param(
            str(INPUTS / "balloons.jpg"), type="string", description="Path or address of a JPEG or PNG."
        ),
        "prompt": Param(
            "The striped balloon rises slowly and drifts to the left over the dunes while its burner flares. "
            "The camera follows gently. Wind, and the soft roar of the flame.",
            type="string",
            format="multiline",
            minLength=1,
            maxLength=1000,
            description="What moves in the picture.",
        ),
        "destination": Param(DESTINATION, type="string", description="Folder or bucket for the video."),
    },
    default_args={"retries": 2, "retry_delay": timedelta(minutes=1)},
    tags=["veo3", "example"],
    doc_md=__doc__,
) as dag:
    animate = Veo3ImageToVideoOperator(
        task_id="animate",
        image="{{ params.image }}",
        prompt="{{ params.prompt }}",
        wait_for_completion=True,
        deferrable=True,
    )
    Veo3DownloadOperator(
        task_id="download", generation_id=animate.output, destination="{{ params.destination }}"
    )
