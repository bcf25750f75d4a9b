"""The example DAGs with a real scheduler, real workers and a real triggerer."""

from __future__ import annotations

import csv
import json
from collections import Counter
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from testbed.local_airflow import EXAMPLE_DAGS, POOL
from testbed.video_file import decode_video
from tests.support.until import WAIT, until

if TYPE_CHECKING:
    from testbed.emulator import EmulatorProcess
    from testbed.local_airflow import LocalAirflow

pytestmark = pytest.mark.timeout(3600)  # with the start of Airflow; a busy machine is no failure

QUICKSTART = "example_veo3_quickstart"
CAMPAIGN = "example_veo3_campaign"


def running_tasks(airflow: LocalAirflow) -> list[psutil.Process]:
    """Return the processes that run tasks, which the LocalExecutor's workers have forked."""
    scheduler = psutil.Process(airflow.processes["scheduler"].pid)
    found = []
    for worker in scheduler.children():
        try:
            if worker.name().startswith("gunicorn"):
                continue  # the log server, before Airflow 3.1
            found += [child for child in worker.children() if child.status() != psutil.STATUS_ZOMBIE]
        except psutil.NoSuchProcess:
            continue
    return found


def stored_files(
    airflow: LocalAirflow, run_id: str, dag_id: str, task_id: str, map_index: int = -1
) -> list[Path]:
    stored = airflow.api.xcom(dag_id, run_id, task_id, map_index=map_index)
    return [Path(entry["uri"].removeprefix("file://")) for entry in stored]


def submitted(airflow: LocalAirflow, run_id: str) -> str | None:
    """Return the generation id of a quickstart run; ``None`` before the submission."""
    (task,) = [t for t in airflow.api.task_instances(QUICKSTART, run_id) if t["task_id"] == "submit"]
    assert task["state"] != "failed"
    return airflow.api.xcom(QUICKSTART, run_id, "submit") if task["state"] == "success" else None


def test_waiting_holds_no_worker(airflow: LocalAirflow, emulator: EmulatorProcess, destination: Path) -> None:
    emulator.configure(processing_seconds=3600)  # until the test completes it
    prompt = "A hummingbird in front of a red flower, wings in slow motion"
    run_id = airflow.api.trigger(QUICKSTART, {"prompt": prompt})

    def waiting() -> dict[str, Any] | None:
        (task,) = [t for t in airflow.api.task_instances(QUICKSTART, run_id) if t["task_id"] == "wait"]
        return task if task["state"] == "deferred" and (task["trigger"] or {}).get("triggerer_id") else None

    def no_task_runs() -> bool | None:
        return running_tasks(airflow) == [] or None

    task = until("the sensor waits in the triggerer", waiting)
    assert task["trigger"]["classpath"].endswith("Veo3GenerationTrigger")
    assert emulator.api_key not in json.dumps(task)
    until("no task process is left", no_task_runs)
    task = until("and the sensor still waits", waiting)
    first_pid = task["pid"]

    generation_id = airflow.api.xcom(QUICKSTART, run_id, "submit")
    emulator.complete(generation_id)
    assert airflow.wait_for_runs({QUICKSTART: run_id}, timeout=WAIT) == {QUICKSTART: "success"}
    tasks = {task["task_id"]: task for task in airflow.api.task_instances(QUICKSTART, run_id)}
    assert tasks["wait"]["pid"] != first_pid, "the task resumed in the process that it started in"
    assert tasks["wait"]["try_number"] == 1
    folder = airflow.home / "logs" / f"dag_id={QUICKSTART}" / f"run_id={run_id}" / "task_id=wait"
    (triggerer_log,) = folder.glob("*.trigger.*")
    assert generation_id in triggerer_log.read_text()

    accepted = [entry for entry in emulator.ledger()["tasks"] if entry["prompt"] == prompt]
    assert [entry["id"] for entry in accepted] == [generation_id]
    (path,) = stored_files(airflow, run_id, QUICKSTART, "download")
    assert path == destination / f"{generation_id}_0.mp4"
    assert decode_video(path).seconds == 8


def test_campaign_fills_its_pool_and_pays_once_for_each_line(
    airflow: LocalAirflow, emulator: EmulatorProcess, destination: Path, pool_slots: int
) -> None:
    with (EXAMPLE_DAGS / "inputs" / "prompts.csv").open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    emulator.configure(processing_seconds=3600)  # until the test completes it
    before = emulator.ledger()
    known = {entry["id"] for entry in before["tasks"]}
    run_id = airflow.api.trigger(CAMPAIGN)

    def generating(*states: str) -> list[dict[str, Any]]:
        tasks = airflow.api.task_instances(CAMPAIGN, run_id)
        return [task for task in tasks if task["task_id"] == "video.generate" and task["state"] in states]

    def pool_is_full() -> bool | None:
        return len(generating("deferred")) >= pool_slots or None

    until("all slots of the pool wait in the triggerer", pool_is_full)
    # If a slot were left, the scheduler would fill it before it starts a later run.
    later_run = airflow.api.trigger(QUICKSTART)
    until("a later task outside the pool has succeeded", lambda: submitted(airflow, later_run))
    assert len(generating("deferred", "running", "queued")) == pool_slots
    # up_for_retry: the API server was too slow to respond to the worker, and Airflow starts the task again
    assert len(generating("scheduled", "up_for_retry")) == len(lines) - pool_slots
    assert airflow.api.call("GET", f"pools/{POOL}")["open_slots"] == 0
    later_id = submitted(airflow, later_run)
    prompts = {line["prompt"] for line in lines}
    started = [entry for entry in emulator.ledger()["tasks"] if entry["id"] not in known]
    in_flight = [entry["id"] for entry in started if entry["prompt"] in prompts]
    assert len(in_flight) == pool_slots

    emulator.configure(processing_seconds=5)
    for generation_id in (*in_flight, later_id):
        emulator.complete(generation_id)
    runs = {CAMPAIGN: run_id, QUICKSTART: later_run}
    assert set(airflow.wait_for_runs(runs, timeout=600).values()) == {"success"}

    after = emulator.ledger()
    accepted = [entry for entry in after["tasks"] if entry["id"] not in known and entry["prompt"] in prompts]
    assert Counter(entry["prompt"] for entry in accepted) == Counter(line["prompt"] for line in lines)
    assert sum(entry["charged"] for entry in accepted) == 190 * len(lines)
    assert sum(entry["refunded"] for entry in accepted) == 0
    moments = [moment for entry in accepted for moment in ((entry["created"], 1), (entry["finished"], -1))]
    assert max(accumulate(change for _, change in sorted(moments))) == pool_slots
    assert set(after["requests"]["text-to-video"]) == {"202"}, "a submission was rate limited"

    for index, line in enumerate(lines):
        generation_id = airflow.api.xcom(CAMPAIGN, run_id, "video.generate", map_index=index)
        (path,) = stored_files(airflow, run_id, CAMPAIGN, "video.download", index)
        assert path == destination / f"{generation_id}_0.mp4"
        video = decode_video(path)
        assert video.codec == "h264"
        assert video.seconds == int(line["duration_seconds"])


def test_the_log_of_a_failed_run_has_the_reason(airflow: LocalAirflow, emulator: EmulatorProcess) -> None:
    before = emulator.ledger()["totals"]["accepted"]
    error = {"code": "INVALID_MODEL", "message": "Unknown model"}
    emulator.inject({"endpoint": "text-to-video", "kind": "status", "status": 400, "body": {"error": error}})
    run_id = airflow.api.trigger(QUICKSTART)
    assert airflow.wait_for_runs({QUICKSTART: run_id}, timeout=WAIT) == {QUICKSTART: "failed"}
    states = {task["task_id"]: task for task in airflow.api.task_instances(QUICKSTART, run_id)}
    assert {name: task["state"] for name, task in states.items()} == {
        "submit": "failed",
        "wait": "upstream_failed",
        "download": "upstream_failed",
    }
    log = airflow.task_log(QUICKSTART, run_id, states["submit"])
    assert "INVALID_MODEL" in log
    assert "No credits were spent" in log
    assert emulator.api_key not in log
    assert emulator.ledger()["totals"]["accepted"] == before
