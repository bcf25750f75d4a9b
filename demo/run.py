"""`make demo`: videos from the example DAGs, on a real local Airflow.

Without a key, the emulator answers for VEO3, and nothing is paid. With ``VEO3_API_KEY`` set, the quickstart
makes one real video; ``VEO3_BASE_URL`` names another address for the API. ``VEO3_DESTINATION`` names another
place for the videos than ``videos/``.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

from demo.videos import decode, human_size, table
from testbed.airflow_api import AirflowApiError, RunTimeoutError
from testbed.emulator import EmulatorDidNotStartError, EmulatorProcess
from testbed.local_airflow import CHECKOUT, AirflowDidNotStartError, LocalAirflow
from testbed.watch import SAYINGS, Clock, follow, task_log, task_name

QUICKSTART: Final = "example_veo3_quickstart"
PAYING_TASK: Final = {
    QUICKSTART: "submit",
    "example_veo3_image_to_video": "animate",
    "example_veo3_first_last_frame": "film",
}
LITE: Final = "veo-3.1-lite-generate-001"
TIMEOUT: Final = 15 * 60


class DemoFailedError(Exception):
    """The DAGs did not do what they are there to show."""


FAILURES: Final = (
    DemoFailedError,
    EmulatorDidNotStartError,
    AirflowDidNotStartError,
    AirflowApiError,
    RunTimeoutError,
)


def main() -> None:
    """Run the demo."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is ended
    clock = Clock()
    target = destination()
    key = os.environ.get("VEO3_API_KEY")
    with ExitStack() as stack:
        if key:
            _announce_real_api()
            env = {"VEO3_API_KEY": key} | given("VEO3_BASE_URL")
            conf, dags = {"model": LITE}, [QUICKSTART]
        else:
            clock.say("Starting the VEO3 emulator; no key is set, so nothing is paid")
            emulator = stack.enter_context(EmulatorProcess(processing_seconds=6))
            env = {"AIRFLOW_CONN_VEO3_DEFAULT": emulator.connection(poll_interval=2)}
            conf, dags = {}, list(PAYING_TASK)
        clock.say("Starting Airflow: API server, DAG processor, scheduler, triggerer")
        airflow = stack.enter_context(LocalAirflow(env | {"VEO3_DESTINATION": target}))
        _make_videos(clock, airflow, dags, conf)


def _make_videos(clock: Clock, airflow: LocalAirflow, dags: list[str], conf: dict[str, str]) -> None:
    airflow.wait_for_dags(dags)
    clock.say(f"Airflow is healthy; starting {', '.join(dags)}")
    runs = {dag_id: airflow.api.trigger(dag_id, conf) for dag_id in dags}
    failed: list[tuple[str, dict[str, Any]]] = []

    def changed(dag_id: str, task: dict[str, Any]) -> None:
        if task["state"] in SAYINGS:
            clock.say(f"{task_name(dag_id, task):34} {SAYINGS[task['state']]}")
        if task["state"] == "failed":
            failed.append((dag_id, task))

    states = follow(airflow.api, runs, timeout=TIMEOUT, changed=changed, alive=airflow.alive)
    if any(state != "success" for state in states.values()):
        for dag_id, task in failed:
            print(f"\nThe end of the log of {task_name(dag_id, task)}:", file=sys.stderr)
            print(task_log(airflow.home, dag_id, runs[dag_id], task), file=sys.stderr)
        raise DemoFailedError("a DAG run failed, see above")
    _show(clock, airflow, runs)


def _show(clock: Clock, airflow: LocalAirflow, runs: dict[str, str]) -> None:
    """Decode what was stored, and print what it is, what it cost and where it lies."""
    rows = [("File", "Picture", "Seconds", "Size", "Credits", "Made by")]
    total = 0
    for dag_id, run_id in runs.items():
        credits_used = airflow.api.xcom(dag_id, run_id, PAYING_TASK[dag_id], "generation")["credits_used"]
        total += credits_used or 0
        for stored in airflow.api.xcom(dag_id, run_id, "download"):
            made_by = dag_id.removeprefix("example_veo3_")
            rows.append((*_describe(stored), str(credits_used or "?"), made_by))
    print(f"\n{table(rows, right=(2, 3, 4))}\n")
    made = len(rows) - 1
    count = f"{made} {'video' if made == 1 else 'videos'}"
    where = airflow.env["VEO3_DESTINATION"].removeprefix("file://")
    clock.say(f"{count}, every frame decoded; {total} credits. In {where}")


def _describe(stored: dict[str, Any]) -> tuple[str, str, str, str]:
    name = stored["uri"].rsplit("/", 1)[-1]
    if not stored["uri"].startswith("file://"):
        return name, "(in the bucket)", "", human_size(stored["size"])
    video = decode(Path(stored["uri"].removeprefix("file://")))
    sound = ", sound" if video.audio else ""
    picture = f"{video.width}x{video.height} {video.codec.upper()}{sound}"
    return name, picture, f"{video.seconds:.1f}", human_size(video.size)


def _announce_real_api() -> None:
    where = os.environ.get("VEO3_BASE_URL", "https://api.veo3gen.co")
    print(f"VEO3_API_KEY is set: the quickstart DAG will make one video at {where}")
    print(f"with {LITE}, for 65 credits of your account (a failed one is refunded).", flush=True)
    if sys.stdout.isatty():
        print("Ctrl-C within 5 seconds, and nothing is spent.", flush=True)
        time.sleep(5)


def destination() -> str:
    """Where the videos go, as an address that means the same in every process."""
    given = os.environ.get("VEO3_DESTINATION") or str(CHECKOUT / "videos")
    return given if "://" in given else f"file://{Path(given).expanduser().resolve()}"


def given(name: str) -> dict[str, str]:
    """Give a variable of the environment, if it is set and not empty."""
    return {name: os.environ[name]} if os.environ.get(name) else {}


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
    except FAILURES as error:
        sys.exit(f"The demo failed: {error}")
