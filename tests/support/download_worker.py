"""Worker process that stores the videos of a generation: ``download_worker.py ID DESTINATION``."""

from __future__ import annotations

import sys

from airflow.sdk import DAG

from airflow_provider_veo3.operators.download import Veo3DownloadOperator


class _NoXComs:
    map_index = -1

    def xcom_push(self, key: str, value: object) -> None:
        raise AssertionError("the test kills the worker before it publishes anything")


if __name__ == "__main__":
    _, generation_id, destination = sys.argv
    with DAG("killed"):  # nothing is upstream
        operator = Veo3DownloadOperator(
            task_id="download", generation_id=generation_id, destination=destination
        )
    operator.execute({"ti": _NoXComs(), "task": operator})  # type: ignore[typeddict-item]
