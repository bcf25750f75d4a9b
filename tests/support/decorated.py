"""Runs of a DAG whose one task is a decorated function, and what came of it."""

from __future__ import annotations

import itertools
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from tests.support.waits import sent

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_veo3.emulator import Emulator
    from tests.support.task_runs import Run

WAIT: dict[str, Any] = {"wait_for_completion": True, "deferrable": True, "poll_interval": 0.01}
RETRIES: dict[str, Any] = {"retries": 3, "retry_delay": timedelta(days=1)}
REFUSED = {
    "kind": "status",
    "status": 429,
    "endpoint": "text-to-video",
    "headers": {"X-RateLimit-Retry-After": "6"},
}
_numbers = itertools.count()


class Writer:
    """Writes another text at each call, as a language model would, and counts the calls."""

    def __init__(self) -> None:
        self.calls = 0

    def write(self, about: str = "a dragon") -> str:
        self.calls += 1
        return f"Text {self.calls} on {about}"


def decorated(function: Callable[..., Any], *args: Any, **options: Any) -> Run:
    """A run of a DAG with this one function as its task."""
    from airflow.sdk import DAG, task

    from tests.support.task_runs import Run

    with DAG(f"decorated_{next(_numbers)}") as dag:
        task.veo3_text_to_video(task_id="make", **{**RETRIES, **options})(function)(*args)
    return Run(dag)


def clear(run: Run) -> None:
    """Clear the task, as a person does in the UI."""
    from airflow.models.taskinstance import clear_task_instances
    from airflow.utils.session import create_session

    with create_session() as session:
        clear_task_instances([run._ti(session, "make", -1)], session)


def prompts(emulator: Emulator) -> list[str]:
    return [options["prompt"] for options in sent(emulator)]
