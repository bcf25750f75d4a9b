"""Airflow plugin that writes the tasks' calls of the execution API to a file.

It runs in the API server, for ``benchmarks.airflow``. The triggerer and the DAG processor call the same API
within their own process, which is not counted.
"""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path
from typing import Any

from airflow_provider_veo3.airflow_names import AirflowPlugin

CALLS = os.environ.get("VEO3_CALLS_FILE", os.devnull)


class CountCalls:
    """ASGI middleware that records calls below ``/execution/``.

    :param app: application that gets the calls.
    """

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Record a call and pass it on."""
        if scope["type"] == "http" and scope["path"].startswith("/execution/"):
            token = dict(scope["headers"]).get(b"authorization", b"").decode().partition(" ")[2]
            _record(_task_instance(token), scope["method"], scope["path"])
        await self.app(scope, receive, send)


def _record(*call: str | None) -> None:
    with Path(CALLS).open("a", encoding="utf-8") as file:
        file.write(json.dumps(call) + "\n")


def _task_instance(token: str) -> str | None:
    """Return the id of the task instance that a token was made for."""
    _, _, payload = token.rpartition(".")[0].partition(".")
    subject = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)) or b"{}").get("sub")
    return None if subject is None else str(subject)


class CountCallsPlugin(AirflowPlugin):
    """Plugin that adds the middleware."""

    name = "count_calls"
    fastapi_root_middlewares: list[Any] = [  # noqa: RUF012 - as Airflow declares it
        {"middleware": CountCalls, "args": [], "kwargs": {}, "name": "count_calls"}
    ]
