"""Costs of a video for Airflow: calls of its API, worker starts, seconds until it is stored."""

from __future__ import annotations

import json
import re
import tempfile
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from benchmarks import peers
from benchmarks.harness import REPOSITORY, markdown_table, median, percentile, show_progress

if TYPE_CHECKING:
    from collections.abc import Iterable

    from testbed.emulator import EmulatorProcess
    from testbed.local_airflow import LocalAirflow

TITLE: Final = "What a video costs Airflow"

WAYS: Final = {
    "three_tasks": "submit, sensor, download",
    "two_tasks": "submit and wait, download",
    "http_tasks": "http provider: submit, deferred wait, download",
}
"""Shapes by the id of their DAG."""

VIDEOS: Final = 20
"""Videos of each shape."""

EVERY: Final = 12.0
"""Seconds between the starts of two runs: with three videos on their way, no shape meets the rate limit."""

PROCESSING: Final = "30-40"
"""Seconds that a generation takes, uniformly distributed, so that completions fall anywhere between polls.

At least half of what the vendor publishes: before anything is learned, the first poll comes after that time.
"""

TIMEOUT: Final = 600.0
"""Seconds in which the runs of a shape must end after the last start."""

DEFAULTS: Final = {
    "SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "1",
    "WORKERS__MIN_HEARTBEAT_INTERVAL": "5",
}
"""Airflow's defaults, instead of what the testbed sets for short generations."""


STEPS: Final = (
    "until the waiting task is queued again: poll, event, scheduler",
    "until it has ended: worker start, results",
    "until the storing task is queued: scheduler",
    "until it has started: worker start",
    "until its file is there",
)
"""Steps from the completion of a generation to its whole file."""

AIRFLOWS: Final = frozenset({"PATCH run", "PATCH state", "PUT heartbeat", "PUT rtif"})
"""Calls that Airflow makes around each task, beside those for the links in its UI."""


@dataclass
class Measured:
    """Measurements of one shape.

    :param calls: calls of each task instance by name of its task.
    :param kinds: calls by name of the task and kind, over all videos.
    :param starts: worker starts of all videos.
    :param seconds: from each completion until the whole file is there.
    :param steps: the same, by step.
    """

    calls: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    kinds: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    starts: int = 0
    seconds: list[float] = field(default_factory=list)
    steps: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))


def run() -> str:
    """Run each shape on an Airflow on this machine, against the emulator."""
    from testbed.emulator import EmulatorProcess
    from testbed.local_airflow import LocalAirflow

    options: dict[str, str | float] = {"processing_seconds": PROCESSING, "credits": 10**6}
    with (
        tempfile.TemporaryDirectory(prefix="veo3-cost-") as folder,
        EmulatorProcess(**options, requests_per_day="off") as emulator,
    ):
        calls, videos = Path(folder) / "calls", Path(folder) / "videos"
        videos.mkdir()
        env = {
            **{f"AIRFLOW__{name}": value for name, value in DEFAULTS.items()},
            "AIRFLOW__CORE__PLUGINS_FOLDER": str(Path(__file__).parent / "dags" / "plugins"),
            "AIRFLOW_CONN_VEO3_DEFAULT": emulator.connection(),
            "AIRFLOW_CONN_HTTP_VEO3": json.dumps(
                {"conn_type": "http", "host": emulator.base_url, "extra": {"X-API-Key": emulator.api_key}}
            ),
            "PYTHONPATH": str(REPOSITORY),
            "VEO3_CALLS_FILE": str(calls),
            "VEO3_COST_FOLDER": f"file://{videos}",
        }
        dags = Path(__file__).parent / "dags" / "cost"
        with LocalAirflow(env, dags_folder=dags, python=peers.python()) as airflow:
            airflow.wait_for_dags(WAYS)
            measured = {way: _measure(way, airflow, emulator, calls, videos) for way in WAYS}
    return _report(measured)


def _measure(
    way: str, airflow: LocalAirflow, emulator: EmulatorProcess, calls: Path, videos: Path
) -> Measured:
    """Run the DAG of a shape again and again, and return what that cost."""
    show_progress(f"airflow: {VIDEOS} videos by {way}, which takes {VIDEOS * EVERY / 60 + 1:.0f} minutes")
    earlier = {entry["id"] for entry in emulator.ledger()["tasks"]}
    runs = []
    for _ in range(VIDEOS):
        runs.append(airflow.api.trigger(way))
        time.sleep(EVERY)
    tasks: dict[str, str] = {}
    times: dict[str, dict[str, dict[str, Any]]] = {}
    for run_id in runs:
        if airflow.wait_for_runs({way: run_id}, timeout=TIMEOUT) != {way: "success"}:
            raise RuntimeError(f"run {run_id} of {way} did not succeed")
        times[run_id] = {task["task_id"]: task for task in airflow.api.task_instances(way, run_id)}
        tasks |= {task["id"]: task["task_id"] for task in times[run_id].values()}

    measured = Measured()
    by_task: dict[str, Counter[str]] = {task: Counter() for task in tasks}
    for line in calls.read_text(encoding="utf-8").splitlines():
        task, method, path = json.loads(line)
        if task in by_task:
            by_task[task][_kind(method, path)] += 1
    for task, counted in by_task.items():
        measured.calls[tasks[task]].append(counted.total())
        measured.kinds[tasks[task]] += counted
        measured.starts += counted["PATCH run"]
    for entry in emulator.ledger()["tasks"]:
        if entry["id"] not in earlier:
            (file,) = videos.glob(f"*{entry['id']}*.mp4")
            # its last change is the last byte, or the name under which it became visible
            done = max(file.stat().st_mtime, file.stat().st_ctime)
            completed = datetime.fromisoformat(entry["finished"]).timestamp()
            measured.seconds.append(done - completed)
            (ran,) = (found for run_id, found in times.items() if run_id in entry["prompt"])
            waiting = ran.get("wait", ran["generate"])
            moments = [
                completed,
                _seconds(waiting["queued_when"]),  # again, once its trigger had fired
                _seconds(waiting["end_date"]),
                _seconds(ran["download"]["queued_when"]),
                _seconds(ran["download"]["start_date"]),
                done,
            ]
            for step, (begin, end) in zip(STEPS, pairwise(moments), strict=True):
                measured.steps[step].append(end - begin)
    return measured


def _seconds(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()


def _kind(method: str, path: str) -> str:
    """Return a call without ids: ``POST xcoms generation``, ``PATCH run``."""
    parts = path.removeprefix("/execution/").split("/")
    if parts[0] == "task-instances":
        return f"{method} {parts[-1]}"
    if parts[0] == "xcoms":
        return f"{method} XCom {parts[-1]}"
    return f"{method} {re.sub(r'[0-9a-f]{8}-[0-9a-f-]{27}', '', ' '.join(parts)).replace('  ', ' ')}"


def _report(measured: dict[str, Measured]) -> str:
    rows: list[list[object]] = [
        ["calls of the generating task", *(_calls(each, "generate") for each in measured.values())],
        ["calls of the waiting task", *(_calls(each, "wait") for each in measured.values())],
        ["calls of the storing task", *(_calls(each, "download") for each in measured.values())],
        [
            "calls per video without Airflow's own",
            *(f"{_by_the_task(each):.1f}" for each in measured.values()),
        ],
        ["calls per video", *(f"{_per_video(each):.1f}" for each in measured.values())],
        ["worker starts per video", *(f"{each.starts / VIDEOS:.2f}" for each in measured.values())],
        ["completion to file, s: p50", *(f"{median(each.seconds):.1f}" for each in measured.values())],
        ["p95", *(f"{percentile(each.seconds, 0.95):.1f}" for each in measured.values())],
    ]
    rows += [
        [
            step,
            *(f"{median(each.steps[step]):.1f}, {max(each.steps[step]):.1f}" for each in measured.values()),
        ]
        for step in STEPS
    ]
    kinds = "\n".join(
        f"* {WAYS[way]}, `{task}`: {_listed(counted)}."
        for way, each in measured.items()
        for task, counted in each.kinds.items()
    )
    http = peers.versions("apache-airflow-providers-http")
    table = markdown_table(["quantity, median", *WAYS.values()], rows)
    return (
        f"{VIDEOS} videos by each way, a run every {EVERY:.0f} s, generations of {PROCESSING} s, polls"
        " every 5 s, files to a local folder. Scheduler, DAG processor, API server, triggerer and"
        " LocalExecutor share the machine and have Airflow's default intervals, and four workers. Calls are"
        " those that the API server gets at its execution API with the token of the task, heartbeats"
        " included; the triggerer calls it within its own process, which is not counted. Seconds are"
        " from the completion by the emulator's clock, which is the machine's, to the last change of"
        f" the whole file; below them, the steps that they consist of, each with its median and its maximum."
        f" With {http}."
        f"\n\n{table}\n\nCalls per task, on average:\n\n{kinds}"
    )


def _calls(measured: Measured, task: str) -> str:
    found = measured.calls.get(task)
    return f"{median(found):.0f} ({min(found)}-{max(found)})" if found else "-"


def _per_video(measured: Measured) -> float:
    return sum(_flat(measured.calls.values())) / VIDEOS


def _by_the_task(measured: Measured) -> float:
    """Return the calls per video that the code of the tasks makes: XComs, task state, connections."""
    return (
        sum(
            number
            for counted in measured.kinds.values()
            for kind, number in counted.items()
            if kind not in AIRFLOWS and "_link_" not in kind
        )
        / VIDEOS
    )


def _flat(counts: Iterable[list[int]]) -> list[int]:
    return [number for found in counts for number in found]


def _listed(counted: Counter[str]) -> str:
    return ", ".join(f"`{kind}` {number / VIDEOS:.1f}" for kind, number in sorted(counted.items()))
