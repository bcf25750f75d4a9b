"""
### A video from one picture to another

Two pictures of the same scene become the first and the last frame, and the model fills in what happens
between them: here a lake from sunrise into the night, as a silent 6-second shot.

**Costs** one video without sound of the default model `veo-3.1-fast-generate-001`: 120 credits. Only the
models `veo-3.1-generate-001` and `veo-3.1-fast-generate-001` support this.

**To run it**, give Airflow your key (`export VEO3_API_KEY=veo3_...`, or a connection `veo3_default`) and
trigger the DAG.

**To make it yours**, name your own two images: paths that the workers can read, or addresses in object
storage.
"""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

from airflow.sdk import DAG, Param

from airflow_provider_veo3.operators.download import Veo3DownloadOperator
from airflow_provider_veo3.operators.generate import Veo3FirstLastFrameOperator

INPUTS = Path(__file__).resolve().parent / "inputs"
DESTINATION = os.environ.get("VEO3_DESTINATION", f"file://{Path.home()}/veo3-videos")

with DAG(
    dag_id="example_veo3_first_last_frame",
    schedule=None,
    catchup=False,
    params={
        "first_frame": Param(
            str(INPUTS / "lake_at_sunrise.png"),
            type="string",
            description="Path or address of the first frame.",
        ),
        "last_frame": Param(
            str(INPUTS / "lake_at_night.png"), type="string", description="Path or address of the last frame."
        ),
        "prompt": Param(
            "Time lapse: the day passes over the lake, the light turns golden and blue, the moon comes up, "
            "and a lamp is lit in the cabin. Locked-off camera.",
            type="string",
            format="multiline",
            minLength=1,
            maxLength=1000,
            description="What happens between the two pictures.",
        ),
        "destination": Param(DESTINATION, type="string", description="Folder or bucket for the video."),
    },
    default_args={"retries": 2, "retry_delay": timedelta(minutes=1)},
    tags=["veo3", "example"],
    doc_md=__doc__,
) as dag:
    film = Veo3FirstLastFrameOperator(
        task_id="film",
        first_frame="{{ params.first_frame }}",
        last_frame="{{ params.last_frame }}",
        prompt="{{ params.prompt }}",
        duration_seconds=6,
        generate_audio=False,
        wait_for_completion=True,
        deferrable=True,
    )
    Veo3DownloadOperator(
        task_id="download", generation_id=film.output, destination="{{ params.destination }}"
    )
