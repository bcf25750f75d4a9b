"""DAGs of ``benchmarks.airflow``: a video by this provider's tasks, and in the shape of the http provider."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import requests
from airflow.providers.http.hooks.http import HttpHook
from airflow.providers.http.operators.http import HttpOperator
from airflow.providers.http.triggers.http import HttpEventTrigger
from airflow.sdk import DAG, BaseOperator, ObjectStoragePath, task

from airflow_provider_veo3.operators.download import Veo3DownloadOperator
from airflow_provider_veo3.operators.generate import Veo3TextToVideoOperator
from airflow_provider_veo3.sensors.generation import Veo3GenerationSensor

if TYPE_CHECKING:
    from airflow.sdk import Context

PROMPT = "A paper boat sails down a gutter after rain, take {{ dag_run.run_id }}"
FOLDER = os.environ.get("VEO3_COST_FOLDER", "file:///tmp/videos")

with DAG("three_tasks", schedule=None):
    submit = Veo3TextToVideoOperator(task_id="generate", prompt=PROMPT)
    wait = Veo3GenerationSensor(task_id="wait", generation_id=submit.output, deferrable=True, poke_interval=5)
    Veo3DownloadOperator(task_id="download", generation_id=wait.output, destination=FOLDER)

with DAG("two_tasks", schedule=None):
    generate = Veo3TextToVideoOperator(
        task_id="generate", prompt=PROMPT, wait_for_completion=True, deferrable=True, poll_interval=5
    )
    Veo3DownloadOperator(task_id="download", generation_id=generate.output, destination=FOLDER)


class HttpWait(BaseOperator):
    """Deferred wait by a trigger of the http provider."""

    template_fields = ("generation_id",)

    def __init__(self, *, generation_id: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.generation_id = generation_id

    def execute(self, context: Context) -> None:  # noqa: ARG002
        trigger = HttpEventTrigger(
            response_check_path="benchmarks.http_check.is_completed",
            http_conn_id="http_veo3",
            method="GET",
            endpoint=f"api/veo/status/{self.generation_id}",
            poll_interval=5,
        )
        self.defer(trigger=trigger, method_name="execute_complete")

    def execute_complete(self, context: Context, event: Any = None) -> str:  # noqa: ARG002
        return str(self.generation_id)


with DAG("http_tasks", schedule=None):

    @task
    def download(generation_id: str) -> str:
        hook = HttpHook(method="GET", http_conn_id="http_veo3")
        (video,) = hook.run(f"api/veo/status/{generation_id}").json()["videos"]
        path = ObjectStoragePath(FOLDER) / f"{generation_id}_0.mp4"
        with requests.get(video["url"], stream=True, timeout=60) as response, path.open("wb") as file:
            response.raise_for_status()
            for part in response.iter_content(2**20):
                file.write(part)
        return str(path)

    submitted = HttpOperator(
        task_id="generate",
        http_conn_id="http_veo3",
        endpoint="api/veo/text-to-video",
        data=json.dumps({"prompt": PROMPT}),
        headers={"Content-Type": "application/json"},
        response_filter=lambda response: response.json()["taskId"],
    )
    waited = HttpWait(task_id="wait", generation_id=submitted.output)
    download(waited.output)  # type: ignore[arg-type]
