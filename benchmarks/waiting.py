"""What waiting costs: requests, the delay until a finish is seen, and the triggerer's time."""

from __future__ import annotations

import json
from typing import Any, Final

from benchmarks import peers
from benchmarks.measuring import json_of, median, say, table

TITLE: Final = "What waiting costs"

PROCESSING: Final = "60-120"
"""Vendor seconds that generations take, uniformly."""

INTERVALS: Final = (5, 10, 60)
"""Vendor seconds between two looks of a task that polls for itself."""

CROWDS: Final = {2: 20.0, 10: 20.0, 100: 8.0, 1000: 2.0}
"""So many waits at once, by how many times as fast as the vendor's the clocks run: the rest is real."""

CAMPAIGN: Final = (100, 5, 40.0)
"""Generations in all, in flight, and the speed of the clocks."""

REPEAT: Final = 3
"""Runs of each, but for those of a hundred and more tasks, which say enough in one."""

MANY: Final = 100
"""Tasks from which one run does."""


def run() -> str:
    """Run each way of waiting in a process of its own, one after the other, against the emulator."""
    tasks, in_flight, speed = CAMPAIGN
    ways: list[tuple[str, float]] = [("shared", 5), ("shared", 10), *(("per task", i) for i in INTERVALS)]
    campaign = [_row(how, interval, tasks, in_flight, speed) for how, interval in ways]
    crowds = []
    for number, pace in CROWDS.items():
        crowds += [
            [number, *_row(how, interval, number, number, pace)]
            for how, interval in ways
            if (how, interval) != ("shared", 10)
        ]
    columns = [
        "requests per video",
        "finish seen after, s: p50",
        "p95",
        "CPU of a core, %",
        "longest block, ms",
    ]
    return (
        f"Generations take {PROCESSING} s, uniformly. The clocks of emulator and waiters run faster (campaign"
        f" {speed:.0f} x; "
        + ", ".join(f"{n} waits {s:.0f} x" for n, s in CROWDS.items())
        + "), all times are"
        " told in the vendor's seconds; processor time is that of the waiting process and per vendor second,"
        " the longest block of the event loop is real. Requests include the submission. `per task` polls as"
        " the http provider's deferrable sensor does, with a session for each request"
        f" ({peers.versions('apache-airflow-providers-http')}). Medians of {REPEAT} runs; of {MANY} and more"
        " tasks one.\n\n"
        f"A campaign of {tasks}, {in_flight} in flight:\n\n{table(['way, interval', *columns], campaign)}\n\n"
        f"All submitted at once:\n\n{table(['waits', 'way, interval', *columns], crowds)}"
    )


def _row(how: str, interval: float, tasks: int, in_flight: int, speed: float) -> list[object]:
    runs = []
    for turn in range(1 if tasks >= MANY else REPEAT):
        say(f"waiting: {tasks} tasks, {in_flight} at once, {how} every {interval} s, run {turn + 1}")
        runs.append(_measure(how, interval, tasks, in_flight, speed))
    name = f"shared poll, {interval} s" if how == "shared" else f"per task, {interval} s"
    return [
        name,
        f"{median(each['requests'] / tasks for each in runs):.2f}",
        f"{median(_share(each['delays'], 0.50) for each in runs) * speed:.1f}",
        f"{median(_share(each['delays'], 0.95) for each in runs) * speed:.1f}",
        f"{median(each['cpu'] / (each['took'] * speed) for each in runs) * 100:.2f}",
        f"{median(each['blocked'] for each in runs) * 1000:.0f}",
    ]


def _measure(how: str, interval: float, tasks: int, in_flight: int, speed: float) -> dict[str, Any]:
    from testbed.emulator import EmulatorProcess

    off = "off"
    limits = dict.fromkeys(
        ("requests_per_minute", "requests_per_day", "concurrent_requests", "queue_limit"), off
    )
    with EmulatorProcess(
        time_scale=speed, processing_seconds=PROCESSING, credits=10**8, seed=tasks, **limits
    ) as emulator:
        emulator.configure(processing_seconds=PROCESSING)
        plan = {
            "how": how,
            "interval": interval / speed,
            "tasks": tasks,
            "in_flight": in_flight,
            "base_url": emulator.base_url,
            "key": emulator.api_key,
        }
        http = {
            "conn_type": "http",
            "host": emulator.base_url,
            "extra": {"X-API-Key": emulator.api_key},
        }
        env = {
            "AIRFLOW_CONN_VEO3_DEFAULT": emulator.connection(requests_per_minute=60 * speed),
            "AIRFLOW_CONN_VEO3_OVER_HTTP": json.dumps(http),
        }
        told: dict[str, Any] = json_of([peers.python(), "-m", "benchmarks.waits", json.dumps(plan)], env)
        return told


def _share(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]
