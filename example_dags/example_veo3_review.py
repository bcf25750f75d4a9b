"""
### A person watches the video before it is published

**generate** makes a video, and **store** puts it into the folder `review`. **review** shows its place to a
person, under *Required actions* in the UI, and waits without a worker for as long as it takes. The person
watches the video through the link, and decides. Then **publish** moves the file into the folder `published`,
or **reject** moves it into the folder `rejected`. A rejected video is kept, because its credits are spent.

**Costs** one video of the default model `veo-3.1-fast-generate-001` with sound: 190 credits, whatever the
person decides. To decide before credits are spent, see `example_veo3_approval`.

**To run it**, give Airflow your key (`export VEO3_API_KEY=veo3_...`, or a connection `veo3_default`) and
trigger the DAG.

The DAG needs Airflow 3.1 or later, which can ask a person. On Airflow 3.0 this file defines no DAG.

**To make it yours**, set the destination to a bucket whose files the person can open. **publish** and
**reject** move a file within that bucket, and can be cleared and repeated.
"""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow.exceptions import AirflowOptionalProviderFeatureException
from airflow.sdk import DAG, ObjectStoragePath, Param, task

from airflow_provider_veo3.operators.download import Veo3DownloadOperator
from airflow_provider_veo3.operators.generate import Veo3TextToVideoOperator

try:
    from airflow.providers.standard.operators.hitl import HITLBranchOperator
except (
    ImportError,
    AirflowOptionalProviderFeatureException,
):  # Airflow 3.0: the module is missing, or needs a later Airflow
    HITLBranchOperator = None  # type: ignore[assignment, misc]

DESTINATION = os.environ.get("VEO3_DESTINATION", f"file://{Path.home()}/veo3-videos")
FOLDER = "{{ params.destination.rstrip('/') }}"

BODY = """
[Watch the video]({{ ti.xcom_pull(task_ids='store', key='_link_Veo3StoredVideoLink') }}), or open it with the
button *Stored video* of the task **store**. It is stored as:

{% for video in ti.xcom_pull(task_ids='store') %}
- {{ video.uri }} ({{ '%.1f' % (video.size / 1000000) }} MB)
{% endfor %}

The prompt: {{ params.prompt }}
"""


@task
def move(videos: list[dict[str, Any]], folder: str) -> list[dict[str, Any]]:
    """Move stored videos into another folder of the same storage.

    A repetition finds a video that was moved before, and leaves it there.
    """
    moved = []
    for video in videos:
        source = ObjectStoragePath(video["uri"])
        target = ObjectStoragePath(f"{folder}/{source.name}")
        if source.exists():
            if target.protocol == "file":  # a bucket has no folders to create
                target.parent.mkdir(parents=True, exist_ok=True)
            source.move(target)
        elif not target.exists():
            raise FileNotFoundError(
                f"{source} is gone, and {target} does not exist. No credits were spent. To store the "
                "video again, clear the task 'store'."
            )
        moved.append({**video, "uri": str(target)})
    return moved


if HITLBranchOperator is not None:
    with DAG(
        dag_id="example_veo3_review",
        schedule=None,
        catchup=False,
        params={
            "prompt": Param(
                "A lighthouse sends its beam over a calm sea at dusk. Slow aerial shot, distant gulls.",
                type="string",
                format="multiline",
                minLength=1,
                maxLength=1000,
                description="What happens, how the camera sees it, and what is heard.",
            ),
            "destination": Param(
                DESTINATION, type="string", description="Folder or bucket for the folders of the videos."
            ),
        },
        default_args={"retries": 2, "retry_delay": timedelta(minutes=1)},
        tags=["veo3", "example"],
        doc_md=__doc__,
    ) as dag:
        generate = Veo3TextToVideoOperator(
            task_id="generate", prompt="{{ params.prompt }}", wait_for_completion=True, deferrable=True
        )
        store = Veo3DownloadOperator(
            task_id="store", generation_id=generate.output, destination=f"{FOLDER}/review"
        )
        review = HITLBranchOperator(
            task_id="review",
            subject="Publish this video?",
            body=BODY,
            options=["Publish", "Reject"],
            options_mapping={"Publish": "publish", "Reject": "reject"},
        )
        videos: Any = store.output
        publish = move.override(task_id="publish")(videos, f"{FOLDER}/published")
        reject = move.override(task_id="reject")(videos, f"{FOLDER}/rejected")
        store >> review >> [publish, reject]
