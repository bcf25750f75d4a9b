"""A campaign on a real Airflow: wall time, worker starts, requests, rate-limited responses."""

from __future__ import annotations

import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from benchmarks.harness import markdown_table, median, show_progress

if TYPE_CHECKING:
    from testbed.local_airflow import LocalAirflow

TITLE: Final = "A campaign on a real Airflow"

VIDEOS: Final = 100
QUEUE: Final = 5
"""Size of the vendor's queue for a key, and slots of the pool."""

SPEED: Final = 4.0
"""Speed of the emulator's clock relative to the vendor's; Airflow runs in real time."""

PROCESSING: Final = "60-120"
"""Processing time of generations in vendor seconds, uniformly distributed."""

WORKER_STARTED: Final = "DAG bundles loaded"
"""Log line of each worker process about its start, in the log of its task."""

TIMEOUT: Final = 3600.0
"""Seconds in which the campaign must end."""


def run() -> str:
    """Run one campaign on an Airflow on this machine, against the emulator."""
    from testbed.emulator import EmulatorProcess
    from testbed.local_airflow import LocalAirflow

    options: dict[str, str | float] = {
        "time_scale": SPEED,
        "processing_seconds": PROCESSING,
        "credits": 10**6,
    }
    with EmulatorProcess(**options, requests_per_day="off") as emulator:
        env = {
            "AIRFLOW_CONN_VEO3_DEFAULT": emulator.connection(
                poll_interval=max(1.0, 5 / SPEED), requests_per_minute=60 * SPEED
            ),
            "VEO3_CAMPAIGN_VIDEOS": str(VIDEOS),
        }
        folder = Path(__file__).parent / "dags" / "campaign"
        with LocalAirflow(env, dags_folder=folder, pool_slots=QUEUE) as airflow:
            airflow.wait_for_dags(["campaign"])
            show_progress(f"campaign: {VIDEOS} videos at {SPEED:.0f} x, which takes some minutes")
            start = time.monotonic()
            run_id = airflow.api.trigger("campaign")
            states = airflow.wait_for_runs({"campaign": run_id}, timeout=TIMEOUT)
            wall = time.monotonic() - start
            starts = _count_worker_starts(airflow)
        ledger = emulator.ledger()
    if states != {"campaign": "success"}:
        raise RuntimeError(f"the campaign did not succeed: {states}")
    return _report(ledger, wall, starts)


def _count_worker_starts(airflow: LocalAirflow) -> int:
    logs = (airflow.home / "logs" / "dag_id=campaign").rglob("attempt=*.log")
    return sum(log.read_text().count(WORKER_STARTED) for log in logs if ".trigger." not in log.name)


def _report(ledger: dict[str, Any], wall: float, starts: int) -> str:
    durations = [_seconds(entry["finished"]) - _seconds(entry["created"]) for entry in ledger["tasks"]]
    bound = sum(durations) / QUEUE
    per_use = (wall - bound) * QUEUE / VIDEOS
    at_vendor = (bound * SPEED + per_use * VIDEOS / QUEUE) / (bound * SPEED)
    responses = [(status, n) for counts in ledger["requests"].values() for status, n in counts.items()]
    rows: list[list[object]] = [
        ["generations, all completed", len(durations)],
        ["median generation, s", f"{median(durations):.1f}"],
        [f"queue-limited bound, s: all generations, {QUEUE} at a time", f"{bound:.0f}"],
        ["wall time, s", f"{wall:.0f}"],
        ["wall time to bound", f"{wall / bound:.2f}"],
        ["added by Airflow to each use of a slot, s", f"{per_use:.1f}"],
        [f"wall time to bound with that, at the vendor's {PROCESSING} s", f"{at_vendor:.2f}"],
        ["worker starts per video", f"{starts / len(durations):.2f}"],
        ["API requests per video", f"{sum(n for _, n in responses) / len(durations):.2f}"],
        ["responses with 429", sum(n for status, n in responses if status == "429")],
    ]
    return (
        f"`example_dags/example_veo3_campaign.py` without the downloads: {VIDEOS} mapped generations that"
        f" wait deferred, in a pool of {QUEUE} slots that includes deferred tasks. Scheduler, DAG processor,"
        " API server, triggerer and LocalExecutor share the machine; the emulator has the vendor's queue and"
        f" rate limit, and runs {SPEED:.0f} x as fast. A slot is occupied until the generation is completed,"
        " the completion is noticed, and Airflow has resumed the task, freed the slot and started the next"
        f" task.\n\n{markdown_table(['quantity', 'measured'], rows)}"
    )


def _seconds(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()
