"""Assets that are watched: what completes in an account starts DAGs, across the death of the triggerer."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx
import psutil
import pytest

from tests.support.airflow_versions import AIRFLOW
from tests.support.until import until

if TYPE_CHECKING:
    from pathlib import Path

    from testbed.emulator import EmulatorProcess
    from testbed.local_airflow import LocalAirflow

pytestmark = pytest.mark.timeout(3600)  # with the start of Airflow; a busy machine is no failure

NAMES = ("often", "equally", "seldom")
INTERVAL = 2  # of the first two; the third's own is hours
TRIGGERS = 2  # equal ones are one to Airflow
REMEMBERS = AIRFLOW >= (3, 3)  # asset state store


@dataclass
class Watched:
    """What became of an account's generations, in the order of their completion.

    :param alone: those that were told before the next one completed; the last after the triggerer was killed.
    :param missed: those that completed while no triggerer ran.
    :param others: those that failed, or still run.
    :param events: ids in the events of each asset.
    :param runs: of the DAG scheduled on each asset, the ids in the events that started each run.
    :param looks: how often the history was asked for, and the seconds in which it was.
    """

    alone: list[str]
    missed: list[str]
    others: list[str]
    events: dict[str, list[str]] = field(default_factory=dict)
    runs: dict[str, list[list[str]]] = field(default_factory=dict)
    looks: tuple[int, float] = (0, 0.0)
    requests: dict[str, dict[str, int]] = field(default_factory=dict)


@pytest.fixture(scope="module")
def told(airflow: LocalAirflow, watched: EmulatorProcess) -> Watched:
    until("the watchers have begun", lambda: starts(airflow) == TRIGGERS or None)
    until("and have looked", lambda: looks(watched) or None)
    seen = Watched([], [], [submit(watched), submit(watched)])
    control(watched, seen.others[0], "fail")
    began, asked = time.monotonic(), looks(watched)
    for _ in range(2):
        seen.alone.append(completed_and_told(airflow, watched))
    if REMEMBERS:
        until("Airflow knows how far it has told", lambda: kept(airflow, seen.alone[-1]) or None)
    seen.looks = (looks(watched) - asked, time.monotonic() - began)

    kill_triggerer(airflow)
    for _ in range(2):
        seen.missed.append(submit(watched))
        watched.complete(seen.missed[-1])
    airflow.start_component("triggerer")
    until("they have begun again", lambda: starts(airflow) == 2 * TRIGGERS or None)
    for missed in seen.missed if REMEMBERS else ():
        until(f"{missed} is told later", lambda missed=missed: everyone_has_run_for(airflow, missed) or None)
    seen.alone.append(completed_and_told(airflow, watched))  # whatever is told twice comes before this

    until("all runs have ended", lambda: {state for state, _ in all_runs(airflow)} == {"success"} or None)
    seen.events = {name: event_ids(airflow, name) for name in NAMES}
    seen.runs = {name: [ids for _, ids in runs(airflow, name)] for name in NAMES}
    seen.requests = watched.ledger()["requests"]
    return seen


def submit(emulator: EmulatorProcess) -> str:
    """Ask for a video as a script would that knows nothing of Airflow."""
    answer = httpx.post(
        f"{emulator.base_url}/api/veo/text-to-video",
        headers={"X-API-Key": emulator.api_key},
        json={"prompt": "A lighthouse"},
        trust_env=False,
        timeout=120,
    )
    return str(answer.raise_for_status().json()["taskId"])


def control(emulator: EmulatorProcess, generation_id: str, outcome: str) -> None:
    url = f"{emulator.base_url}/__emulator__/tasks/{generation_id}"
    httpx.post(url, json={"outcome": outcome}, trust_env=False, timeout=120).raise_for_status()


def completed_and_told(airflow: LocalAirflow, emulator: EmulatorProcess) -> str:
    generation_id = submit(emulator)
    emulator.complete(generation_id)
    until(f"{generation_id} is told", lambda: everyone_has_run_for(airflow, generation_id) or None)
    return generation_id


def starts(airflow: LocalAirflow) -> int:
    """How many triggers have been started so far."""
    return len(re.findall(r"trigger ID \d+ starting", airflow.log_file("triggerer").read_text()))


def looks(emulator: EmulatorProcess) -> int:
    return sum(emulator.ledger()["requests"].get("history", {}).values())


def kill_triggerer(airflow: LocalAirflow) -> None:
    triggerer = airflow.processes["triggerer"]
    family = [*triggerer.children(recursive=True), triggerer]
    for process in family:
        process.kill()
    psutil.wait_procs(family)


def asset_id(airflow: LocalAirflow, name: str) -> int:
    assets = airflow.api.call("GET", "assets", params={"name_pattern": f"veo3_completed_{name}"})["assets"]
    return int(assets[0]["id"])


def kept(airflow: LocalAirflow, generation_id: str) -> bool:
    """Whether every asset's state says that this has been told."""
    paths = [f"assets/{asset_id(airflow, name)}/state-store" for name in NAMES]
    states = [airflow.api.call("GET", path)["asset_state_store"] for path in paths]
    return all(generation_id in entry["value"]["told"] for entries in states for entry in entries)


def ids_in(events: list[dict[str, Any]]) -> list[str]:
    return [event["extra"]["payload"]["id"] for event in events]


def event_ids(airflow: LocalAirflow, name: str) -> list[str]:
    params = {"asset_id": asset_id(airflow, name), "order_by": "timestamp"}
    return ids_in(airflow.api.call("GET", "assets/events", params=params)["asset_events"])


def runs(airflow: LocalAirflow, name: str) -> list[tuple[str, list[str]]]:
    """The state of each run, and the ids that started it, which Airflow cannot tell before it has begun."""
    path = f"dags/watched_{name}/dagRuns"
    found = []
    for run in airflow.api.call("GET", path, params={"order_by": "run_after"})["dag_runs"]:
        events = f"{path}/{run['dag_run_id']}/upstreamAssetEvents"
        begun = run["start_date"] is not None
        found.append((run["state"], ids_in(airflow.api.call("GET", events)["asset_events"]) if begun else []))
    return found


def all_runs(airflow: LocalAirflow) -> list[tuple[str, list[str]]]:
    return [run for name in NAMES for run in runs(airflow, name)]


def everyone_has_run_for(airflow: LocalAirflow, generation_id: str) -> bool:
    return all(any(generation_id in ids for _, ids in runs(airflow, name)) for name in NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_whatever_completes_is_told_once_though_the_triggerer_was_killed(told: Watched, name: str) -> None:
    first, second, last = told.alone
    later = told.missed if REMEMBERS else []
    assert told.events[name] == [first, second, *later, last]
    assert not set(told.others) & set(told.events[name])


@pytest.mark.parametrize("name", NAMES)
def test_each_event_starts_a_run_or_comes_with_one_that_starts_it(told: Watched, name: str) -> None:
    started = told.runs[name]
    assert sorted(generation_id for ids in started for generation_id in ids) == sorted(told.events[name])
    assert all([generation_id] in started for generation_id in told.alone)


def test_all_watchers_share_a_look(told: Watched) -> None:
    """The one that would look in ten hours has been told with the others, for no more requests."""
    asked, seconds = told.looks
    assert asked <= seconds / INTERVAL + 1
    stored = len(told.events["often"])
    assert {kind: set(counts) for kind, counts in told.requests.items()} == {
        "text-to-video": {"202"},
        "history": {"200"},
        "download": {"200"},
        "file": {"200"},
    }
    assert told.requests["download"] == told.requests["file"] == {"200": stored}


def test_the_run_stores_what_it_was_started_for(told: Watched, destination: Path) -> None:
    stored = {path.name for path in destination.iterdir()}
    assert {f"{each}_0.mp4" for each in told.events["often"]} <= stored
    assert not {f"{each}_0.mp4" for each in told.others} & stored


def test_nothing_secret_is_left(airflow: LocalAirflow, watched: EmulatorProcess, told: Watched) -> None:
    said = airflow.log_file("triggerer").read_text()
    assert told.alone[-1] in said
    assert watched.api_key not in said
    assert "Signature" not in said
