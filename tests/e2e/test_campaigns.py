"""Campaigns at the vendor's limits, and waits without a worker, in a real Airflow."""

from __future__ import annotations

from collections import Counter
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import pytest

from testbed.emulator import EmulatorProcess
from tests.support.airflow_versions import AIRFLOW, needs_sensor_in_triggerer
from tests.support.until import WAIT, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from testbed.local_airflow import LocalAirflow

pytestmark = pytest.mark.timeout(3600)  # with the start of Airflow; a busy machine is no failure

QUEUE = 5  # the vendor's, for a key
IN_TRIGGERER = AIRFLOW >= (3, 3)
"""True if this Airflow can start a sensor in the triggerer, without a worker."""
WAITING = ("wait", "template", "late", "mapped0")


@pytest.fixture(scope="module")
def two_triggerers(airflow: LocalAirflow, triggerer: tuple[str, ...]) -> Iterator[LocalAirflow]:
    """Airflow with a second triggerer beside the first."""
    airflow.components["triggerer-2"] = (*triggerer, "--skip-serve-logs")
    airflow.start_component("triggerer-2")
    running = {"job_type": "TriggererJob", "job_state": "running", "is_alive": True}
    until(
        "the second triggerer runs",
        lambda: len(airflow.api.call("GET", "jobs", params=running)["jobs"]) >= 2 or None,
    )
    yield airflow
    airflow.kill_component("triggerer-2")


@pytest.fixture(scope="module")
def campaigns(
    two_triggerers: LocalAirflow,
) -> Iterator[tuple[LocalAirflow, dict[str, str], dict[str, dict[str, Any]]]]:
    """Run all DAGs at once; return Airflow, the run ids, and the accounts' ledgers."""
    airflow = two_triggerers
    with (
        EmulatorProcess(processing_seconds=3) as pooled,
        EmulatorProcess(processing_seconds=60) as unpooled,  # until the queue has been full
        EmulatorProcess(processing_seconds=36000) as alone,  # until the sensors wait
    ):
        emulators = {"veo3_pooled": pooled, "veo3_unpooled": unpooled, "veo3_alone": alone}
        for name, emulator in emulators.items():
            account = {"host": emulator.base_url, "password": emulator.api_key, "extra": {"poll_interval": 2}}
            airflow.api.create_connection(name, "veo3", **account)
        airflow.api.create_pool("queue", QUEUE, include_deferred=True)
        runs = {"unpooled": airflow.api.trigger("unpooled")}
        wait_for_full_queue(unpooled)
        until("both triggerers are needed", lambda: len(triggerers_of(airflow, runs)) == 2 or None)
        unpooled.configure(processing_seconds=1)
        runs |= {dag_id: airflow.api.trigger(dag_id) for dag_id in ("pooled", "from_trigger")}
        until("sensors wait in the triggerers", lambda: all_wait(airflow, runs["from_trigger"]) or None)
        ((generation_id,),) = [[entry["id"] for entry in alone.ledger()["tasks"]]]
        alone.complete(generation_id)
        states = airflow.wait_for_runs(runs, timeout=WAIT)
        assert states == {"pooled": "success", "unpooled": "success", "from_trigger": "failed"}
        yield airflow, runs, {name: emulator.ledger() for name, emulator in emulators.items()}


def wait_for_full_queue(emulator: EmulatorProcess) -> None:
    """Wait until a submission was rate limited, before the first generation completes."""

    def rate_limited() -> bool | None:
        ledger = emulator.ledger()
        assert not ledger["totals"]["completed"], "too slow to fill the queue"
        return "429" in ledger["requests"].get("text-to-video", {}) or None

    until("the queue is full", rate_limited)


def triggerers_of(airflow: LocalAirflow, runs: dict[str, str]) -> set[int]:
    """Return the triggerers in which tasks of the DAG without a pool wait now."""
    triggers = [task["trigger"] or {} for task in tasks_of(airflow, runs, "unpooled").values()]
    return {trigger["triggerer_id"] for trigger in triggers if trigger.get("triggerer_id")}


def all_wait(airflow: LocalAirflow, run_id: str) -> bool:
    tasks = tasks_of(airflow, {"from_trigger": run_id}, "from_trigger")
    return {tasks[name]["state"] for name in WAITING if name in tasks} == {"deferred"} and "mapped0" in tasks


def tasks_of(airflow: LocalAirflow, runs: dict[str, str], dag_id: str) -> dict[str, dict[str, Any]]:
    tasks = airflow.api.task_instances(dag_id, runs[dag_id])
    return {f"{task['task_id']}{task['map_index']}".removesuffix("-1"): task for task in tasks}


def logs_of(airflow: LocalAirflow, dag_id: str, task_id: str = "*") -> list[Path]:
    return sorted((airflow.home / "logs" / f"dag_id={dag_id}").glob(f"*/task_id={task_id}/**/attempt=*"))


def assert_each_paid_once(ledger: dict[str, Any], count: int) -> None:
    assert set(Counter(entry["prompt"] for entry in ledger["tasks"]).values()) == {1}
    assert ledger["totals"]["accepted"] == ledger["totals"]["completed"] == count
    assert (ledger["totals"]["charged"], ledger["totals"]["refunded"]) == (190 * count, 0)


def test_a_pool_as_large_as_the_vendors_queue_never_meets_a_429(campaigns: Any) -> None:
    airflow, runs, ledgers = campaigns
    ledger = ledgers["veo3_pooled"]
    tasks = tasks_of(airflow, runs, "pooled")
    assert_each_paid_once(ledger, len(tasks))
    assert {status for counts in ledger["requests"].values() for status in counts} <= {"200", "202"}
    assert {task["try_number"] for task in tasks.values()} == {1}


def test_without_a_pool_rate_limited_tasks_wait_and_use_no_retry(campaigns: Any) -> None:
    airflow, runs, ledgers = campaigns
    ledger = ledgers["veo3_unpooled"]
    tasks = tasks_of(airflow, runs, "unpooled")
    assert_each_paid_once(ledger, len(tasks))
    assert ledger["requests"]["text-to-video"]["429"] >= 1
    moments = [
        moment for entry in ledger["tasks"] for moment in ((entry["created"], 1), (entry["finished"], -1))
    ]
    assert max(accumulate(change for _, change in sorted(moments))) == QUEUE
    assert {task["state"] for task in tasks.values()} == {"success"}
    assert {task["try_number"] for task in tasks.values()} == {1}
    logs = "\n".join(path.read_text() for path in logs_of(airflow, "unpooled"))
    assert "without a worker until then" in logs


@needs_sensor_in_triggerer
def test_a_sensor_that_starts_in_the_triggerer_needs_no_worker(campaigns: Any) -> None:
    airflow, runs, _ = campaigns
    tasks = tasks_of(airflow, runs, "from_trigger")
    for task_id in ("wait", "template"):
        # with two logs when Airflow has moved the trigger to the other triggerer
        assert {".trigger." in path.name for path in logs_of(airflow, "from_trigger", task_id)} == {True}
        assert tasks[task_id]["pid"] is None


@pytest.mark.skipif(IN_TRIGGERER, reason="a sensor can start in the triggerer")
def test_before_airflow_3_3_a_worker_starts_the_sensor(campaigns: Any) -> None:
    airflow, _, _ = campaigns
    for task_id in ("wait", "template", "mapped"):
        logs = logs_of(airflow, "from_trigger", task_id)
        assert {".trigger." in path.name for path in logs} == {True, False}, (
            "it did not wait in the triggerer"
        )


def test_a_sensor_in_the_triggerer_publishes_id_manifest_and_link(campaigns: Any) -> None:
    airflow, runs, ledgers = campaigns
    ((generation_id,),) = [[entry["id"] for entry in ledgers["veo3_alone"]["tasks"]]]
    tasks = tasks_of(airflow, runs, "from_trigger")
    for task_id in ("wait", "template"):
        assert tasks[task_id]["state"] == "success"
        xcoms = {
            key: airflow.api.xcom("from_trigger", runs["from_trigger"], task_id, key)
            for key in ("return_value", "generation", "_link_Veo3VideosLink")
        }
        assert xcoms["return_value"] == xcoms["generation"]["id"] == generation_id
        assert xcoms["generation"]["status"] == "completed"
        link = xcoms["_link_Veo3VideosLink"]
        assert f"task_id={task_id}" in link if AIRFLOW >= (3, 1) else link == ""  # 3.0 has no Videos page
    assert airflow.api.xcom("from_trigger", runs["from_trigger"], "received") == generation_id


def test_failures_and_skips_of_sensors_in_the_triggerer(campaigns: Any) -> None:
    airflow, runs, _ = campaigns
    tasks = tasks_of(airflow, runs, "from_trigger")
    states = {
        name: tasks[name]["state"]
        for name in ("unknown", "unknown_with_retries", "unknown_skipped", "nothing")
    }
    assert states == {
        "unknown": "failed",
        "unknown_with_retries": "failed",
        "unknown_skipped": "skipped",
        "nothing": "failed",
    }
    for name in states:
        assert tasks[name]["try_number"] == 1, f"{name} was retried"
        in_worker = [path for path in logs_of(airflow, "from_trigger", name) if ".trigger." not in path.name]
        if IN_TRIGGERER:
            # only a worker can fail a task that has retries without retrying it
            assert len(in_worker) == (name == "unknown_with_retries")
        log = airflow.task_log("from_trigger", runs["from_trigger"], tasks[name])
        assert ("its task has returned nothing" if name == "nothing" else "TASK_NOT_FOUND") in log


def test_a_sensor_that_cannot_start_in_the_triggerer_starts_in_a_worker(campaigns: Any) -> None:
    airflow, runs, _ = campaigns
    tasks = tasks_of(airflow, runs, "from_trigger")
    for name, reason in (("mapped0", "does not work in mapped tasks"), ("late", "start_date")):
        assert tasks[name]["state"] == "success"
        log = airflow.task_log("from_trigger", runs["from_trigger"], tasks[name], lines=200)
        assert reason in log or not IN_TRIGGERER
        logs = logs_of(airflow, "from_trigger", tasks[name]["task_id"])
        assert {".trigger." in path.name for path in logs} == {True, False}, (
            "it did not wait in the triggerer"
        )
    assert tasks["broken"]["state"] == "failed"
    log = airflow.task_log("from_trigger", runs["from_trigger"], tasks["broken"])
    assert "ZeroDivisionError" in log
