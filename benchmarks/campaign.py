"""What Airflow itself adds to a campaign: wall time, worker starts, requests, refusals."""

from __future__ import annotations

import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from benchmarks.measuring import median, say, table

if TYPE_CHECKING:
    from testbed.local_airflow import LocalAirflow

TITLE: Final = "A campaign on a real Airflow"

VIDEOS: Final = 100
QUEUE: Final = 5
"""Generations that the vendor takes for a key at once, and slots of the pool."""

SPEED: Final = 4.0
"""How many times as fast as the vendor's the emulator's clock runs; Airflow's runs as ever."""

PROCESSING: Final = "60-120"
"""Vendor seconds that generations take, uniformly."""

STARTED: Final = "DAG bundles loaded"
"""What each worker process writes into the task's log when it starts."""

LONGEST: Final = 3600.0
"""Seconds after which the campaign is given up."""


def run() -> str:
    """Run one campaign on a scheduler, a triggerer and a LocalExecutor of this machine."""
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
        folder = Path(__file__).parent / "dags"
        with LocalAirflow(env, dags_folder=folder, pool_slots=QUEUE) as airflow:
            airflow.wait_for_dags(["campaign"])
            say(f"campaign: {VIDEOS} videos at {SPEED:.0f} x, some minutes")
            begun = time.monotonic()
            run_id = airflow.api.trigger("campaign")
            states = airflow.wait_for_runs({"campaign": run_id}, timeout=LONGEST)
            wall = time.monotonic() - begun
            starts = _worker_starts(airflow)
        ledger = emulator.ledger()
    if states != {"campaign": "success"}:
        raise RuntimeError(f"the campaign ended {states}")
    return _told(ledger, wall, starts)


def _worker_starts(airflow: LocalAirflow) -> int:
    logs = (airflow.home / "logs" / "dag_id=campaign").rglob("attempt=*.log")
    return sum(log.read_text().count(STARTED) for log in logs if ".trigger." not in log.name)


def _told(ledger: dict[str, Any], wall: float, starts: int) -> str:
    spans = [_seconds(entry["finished"]) - _seconds(entry["created"]) for entry in ledger["tasks"]]
    bound = sum(spans) / QUEUE
    per_turn = (wall - bound) * QUEUE / VIDEOS
    at_vendor = (bound * SPEED + per_turn * VIDEOS / QUEUE) / (bound * SPEED)
    answers = [(status, n) for counts in ledger["requests"].values() for status, n in counts.items()]
    rows: list[list[object]] = [
        ["generations, all completed", len(spans)],
        ["median generation, s", f"{median(spans):.1f}"],
        ["queue-limited bound, s: all generations, five at a time", f"{bound:.0f}"],
        ["wall time, s", f"{wall:.0f}"],
        ["wall time to bound", f"{wall / bound:.2f}"],
        ["what Airflow adds to each turn of a slot, s", f"{per_turn:.1f}"],
        [f"wall time to bound with that at the vendor's {PROCESSING} s", f"{at_vendor:.2f}"],
        ["worker starts per video", f"{starts / len(spans):.2f}"],
        ["API requests per video", f"{sum(n for _, n in answers) / len(spans):.2f}"],
        ["answers 429", sum(n for status, n in answers if status == "429")],
    ]
    return (
        f"`example_dags/example_veo3_campaign.py` without the downloads: {VIDEOS} mapped generations that"
        f" wait deferred, in a pool of {QUEUE} slots that includes deferred tasks. Scheduler, DAG processor,"
        " API server, triggerer and LocalExecutor share the machine; the emulator keeps the vendor's queue"
        f" and rate limit and finishes {SPEED:.0f} x as fast. A slot is taken for the generation, until its"
        " end is seen, and until Airflow has resumed the task, freed the slot and started the next one.\n\n"
        f"{table(['what', 'measured'], rows)}"
    )


def _seconds(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()
