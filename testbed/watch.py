"""Follow DAG runs: tell what changes, and what went wrong."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any, Final

from testbed.airflow_api import FINISHED, RunTimeoutError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from testbed.airflow_api import AirflowApi

SAYINGS: Final = {
    "running": "runs on a worker",
    "deferred": "waits in the triggerer, no worker is held",
    "success": "done",
    "failed": "FAILED",
    "upstream_failed": "not started, a task before it failed",
    "up_for_retry": "failed, and will be tried again",
}


class Clock:
    """Print lines with the seconds since the start."""

    def __init__(self) -> None:
        self._start = time.monotonic()

    @property
    def seconds(self) -> float:
        """Since the start."""
        return time.monotonic() - self._start

    def say(self, text: str) -> None:
        """Print one line, at once."""
        print(f"[{self.seconds:5.1f} s] {text}", flush=True)


def follow(
    api: AirflowApi,
    runs: Mapping[str, str],
    *,
    timeout: float,
    changed: Callable[[str, dict[str, Any]], None] = lambda _dag, _task: None,
    alive: Callable[[], None] = lambda: None,
) -> dict[str, str]:
    """Wait until every run has ended and give their states.

    :param runs: DAG id to run id.
    :param changed: called with the DAG id and a task instance whenever that task instance's state is another.
    :param alive: called again and again; raises when waiting has become pointless.
    """
    deadline = time.monotonic() + timeout
    seen: dict[tuple[str, str, int], str | None] = {}
    ended: dict[str, str] = {}
    while len(ended) < len(runs):
        alive()
        if time.monotonic() > deadline:
            late = ", ".join(sorted(set(runs) - set(ended)))
            raise RunTimeoutError(f"still running after {timeout:.0f} seconds: {late}")
        for dag_id, run_id in runs.items():
            if dag_id in ended:
                continue
            state = api.run_state(dag_id, run_id)
            for task in api.task_instances(dag_id, run_id):
                key = (dag_id, task["task_id"], task["map_index"])
                if seen.get(key) != task["state"]:
                    seen[key] = task["state"]
                    changed(dag_id, task)
            if state in FINISHED:
                ended[dag_id] = state
        time.sleep(0.5)
    return ended


def task_name(dag_id: str, task: Mapping[str, Any]) -> str:
    """Name a task instance in few words."""
    index = "" if task["map_index"] < 0 else f" {task['map_index']}"
    return f"{dag_id.removeprefix('example_veo3_')}: {task['task_id']}{index}"


def task_log(home: Path, dag_id: str, run_id: str, task: Mapping[str, Any], lines: int = 30) -> str:
    """Give the end of a task's newest log, readable."""
    folder = home / "logs" / f"dag_id={dag_id}" / f"run_id={run_id}" / f"task_id={task['task_id']}"
    if task["map_index"] >= 0:
        folder /= f"map_index={task['map_index']}"
    found = sorted(folder.glob("attempt=*"), key=lambda path: path.stat().st_mtime)
    if not found:
        return f"(no log below {folder})"
    text = [line for path in found for line in path.read_text(errors="replace").splitlines()]
    return "\n".join("    " + _readable(line) for line in text[-lines:])


def _readable(line: str) -> str:
    try:
        entry = json.loads(line)
    except ValueError:
        return line
    if not isinstance(entry, dict):
        return line
    said = f"{entry.get('level', 'info').upper():8} {entry.get('event', '')}"
    if "reason" in entry:  # of a task that is skipped
        said += f" {entry['reason']}"
    for error in entry.get("error_detail") or ():
        said += f"\n             {error.get('exc_type')}: {error.get('exc_value')}"
    return said
