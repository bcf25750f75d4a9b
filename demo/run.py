"""`make demo`: make videos with the example DAGs on a real local Airflow.

Without a key, the DAGs use the VEO3 emulator, and no credits are spent. With ``VEO3_API_KEY`` set, the
quickstart makes one real video, once a person in the terminal has confirmed its price, or the variable
``VEO3_DEMO_CREDITS`` does. ``VEO3_BASE_URL`` sets another base URL of the API. The videos are stored in
``videos/``, or in ``VEO3_DESTINATION``.
"""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from demo.credits import BASE_URL, DEFAULT_BASE_URL, KEY, DemoRefusedError, confirm, price_of
from testbed.airflow_api import AirflowApiError
from testbed.console import Progress, text_table
from testbed.emulator import EmulatorDidNotStartError, EmulatorProcess
from testbed.local_airflow import (
    CHECKOUT,
    ComponentFailedError,
    DagImportError,
    LocalAirflow,
    RunTimeoutError,
)
from testbed.processes import exit_on_sigterm
from testbed.video_file import decode_video

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

QUICKSTART: Final = "example_veo3_quickstart"

GENERATING_TASKS: Final = {
    QUICKSTART: "submit",
    "example_veo3_image_to_video": "animate",
    "example_veo3_first_last_frame": "film",
}
"""The task that generates the video, by DAG."""

CHEAPEST_MODEL: Final = "veo-3.1-lite-generate-001"
TIMEOUT: Final = 15 * 60
MEGABYTE: Final = 1_000_000

STATE_TEXTS: Final = {
    "running": "runs on a worker",
    "deferred": "waits in the triggerer, without a worker",
    "success": "done",
    "failed": "FAILED",
    "upstream_failed": "not started, because an earlier task failed",
    "up_for_retry": "failed, will be retried",
}
"""Progress text for each state of a task."""


class DemoFailedError(Exception):
    """A DAG run that did not succeed."""


FAILURES: Final = (
    DemoFailedError,
    DemoRefusedError,
    EmulatorDidNotStartError,
    ComponentFailedError,
    DagImportError,
    AirflowApiError,
    RunTimeoutError,
)


def main() -> None:
    """Run the demo."""
    exit_on_sigterm()
    progress = Progress()
    destination = destination_url()
    conf: dict[str, str | int]
    with ExitStack() as stack:
        if os.environ.get(KEY):
            conf, dags = paid_conf(os.environ, ask=input if _has_terminal() else None), [QUICKSTART]
            env = environment(KEY) | environment(BASE_URL)
        else:
            progress.show("Starting the VEO3 emulator; no key is set, so no credits are spent")
            emulator = stack.enter_context(EmulatorProcess(processing_seconds=6))
            env = {"AIRFLOW_CONN_VEO3_DEFAULT": emulator.connection(poll_interval=2)}
            conf, dags = {}, list(GENERATING_TASKS)
        progress.show("Starting Airflow: API server, DAG processor, scheduler, triggerer")
        airflow = stack.enter_context(LocalAirflow(env | {"VEO3_DESTINATION": destination}))
        _make_videos(progress, airflow, dags, conf)


def _make_videos(
    progress: Progress, airflow: LocalAirflow, dags: list[str], conf: dict[str, str | int]
) -> None:
    airflow.wait_for_dags(dags)
    progress.show(f"Airflow is healthy; starting {', '.join(dags)}")
    runs = {dag_id: airflow.api.trigger(dag_id, conf) for dag_id in dags}
    failed: list[tuple[str, dict[str, Any]]] = []

    def on_task_change(dag_id: str, task: dict[str, Any]) -> None:
        if task["state"] in STATE_TEXTS:
            progress.show(f"{_task_label(dag_id, task):34} {STATE_TEXTS[task['state']]}")
        if task["state"] == "failed":
            failed.append((dag_id, task))

    states = airflow.wait_for_runs(runs, timeout=TIMEOUT, on_task_change=on_task_change)
    if any(state != "success" for state in states.values()):
        for dag_id, task in failed:
            print(f"\nThe end of the log of {_task_label(dag_id, task)}:", file=sys.stderr)
            print(airflow.task_log(dag_id, runs[dag_id], task), file=sys.stderr)
        raise DemoFailedError("a DAG run failed; the logs of its failed tasks are above")
    _show_videos(progress, airflow, runs)


def _show_videos(progress: Progress, airflow: LocalAirflow, runs: dict[str, str]) -> None:
    """Decode the stored videos, and print a table of them with the credits spent."""
    rows = [("File", "Picture", "Seconds", "Size", "Credits", "DAG")]
    total = 0
    for dag_id, run_id in runs.items():
        manifest = airflow.api.xcom(dag_id, run_id, GENERATING_TASKS[dag_id], "generation")
        credits_used = manifest["credits_used"]
        total += credits_used or 0
        rows += [
            (*_describe(stored), str(credits_used or "?"), _short_name(dag_id))
            for stored in airflow.api.xcom(dag_id, run_id, "download")
        ]
    print(f"\n{text_table(rows, right=(2, 3, 4))}\n")
    count = len(rows) - 1
    videos = f"{count} {'video' if count == 1 else 'videos'}"
    folder = airflow.env["VEO3_DESTINATION"].removeprefix("file://")
    progress.show(f"{videos} stored, every frame decoded; {total} credits. In {folder}")


def _describe(stored: dict[str, Any]) -> tuple[str, str, str, str]:
    name = stored["uri"].rsplit("/", 1)[-1]
    if not stored["uri"].startswith("file://"):
        return name, "(in the bucket)", "", _human_size(stored["size"])
    video = decode_video(Path(stored["uri"].removeprefix("file://")))
    sound = ", sound" if video.audio else ""
    picture = f"{video.width}x{video.height} {video.codec.upper()}{sound}"
    return name, picture, f"{video.seconds:.1f}", _human_size(video.size)


def _human_size(size: int) -> str:
    return f"{size / MEGABYTE:.1f} MB" if size >= MEGABYTE else f"{size / 1000:.0f} kB"


def _short_name(dag_id: str) -> str:
    return dag_id.removeprefix("example_veo3_")


def _task_label(dag_id: str, task: dict[str, Any]) -> str:
    map_index = "" if task["map_index"] < 0 else f" {task['map_index']}"
    return f"{_short_name(dag_id)}: {task['task_id']}{map_index}"


def paid_conf(environment: Mapping[str, str], *, ask: Callable[[str], str] | None) -> dict[str, str | int]:
    """Return the configuration of the DAG run on the real API, whose credits are confirmed.

    :param environment: variables with the key, the base URL, and the confirmation without a terminal.
    :param ask: shows a question in the terminal and returns the typed line; ``None`` without a terminal.
    :raises DemoRefusedError: the key is not accepted, or the credits are not confirmed.
    """
    base_url = environment.get(BASE_URL) or DEFAULT_BASE_URL
    print(f"{KEY} is set; requesting the price of a video from {base_url}", flush=True)
    price = price_of(CHEAPEST_MODEL, environment)
    print(f"The key is accepted. The quickstart DAG will make one video with {CHEAPEST_MODEL},")
    print(f"for {price} credits of your account (refunded if it fails).", flush=True)
    confirm(price, environment, ask=ask)
    return {"model": CHEAPEST_MODEL, "max_credits": price}


def _has_terminal() -> bool:
    return sys.stdin.isatty() and sys.stdout.isatty()


def destination_url() -> str:
    """Return the URL of the folder for the videos, absolute for every process."""
    path = os.environ.get("VEO3_DESTINATION") or str(CHECKOUT / "videos")
    return path if "://" in path else f"file://{Path(path).expanduser().resolve()}"


def environment(name: str) -> dict[str, str]:
    """Return an environment variable as a dictionary, which is empty without a value."""
    return {name: os.environ[name]} if os.environ.get(name) else {}


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
    except FAILURES as error:
        sys.exit(f"The demo failed: {error}")
