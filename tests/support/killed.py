"""A worker of its own that stores a generation's videos, until it is killed: ``killed.py ID DESTINATION``."""

from __future__ import annotations

import sys

from airflow_provider_veo3.operators.download import Veo3DownloadOperator


class _NoXComs:
    def xcom_push(self, key: str, value: object) -> None:
        raise AssertionError("it was to be killed before")


if __name__ == "__main__":
    _, generation_id, destination = sys.argv
    operator = Veo3DownloadOperator(task_id="download", generation_id=generation_id, destination=destination)
    operator.execute({"ti": _NoXComs()})  # type: ignore[typeddict-item]
