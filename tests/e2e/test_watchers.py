"""Watched assets, whose events start DAG runs, across the death of a triggerer."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.support.airflow_versions import AIRFLOW
from tests.support.until import until

if TYPE_CHECKING:
    from pathlib import Path

    from testbed.emulator import EmulatorProcess
    from testbed.local_airflow import LocalAirflow

pytestmark = pytest.mark.timeout(3600)  # with the start of Airflow; a busy machine is no failure

NAMES = ("often", "also", "seldom")
INTERVAL = 2  # poll interval of the first watcher; the last has hours
TRIGGERS = 3
HAS_STATE_STORE = AIRFLOW >= (3, 3)  # for assets


@dataclass
class Account:
    """An account's generations in the order of completion, their events and runs.

    :param reported: generations that were reported before the next one completed; the last of them after the
        triggerer was killed.
    :param missed: generations that completed while no triggerer ran.
    :param others: generations that failed or are in progress.
    :param events: ids in the events of each asset.
    :param runs: ids in the events that started each run, by asset.
    :param polls: requests of the history, and the seconds in which they were sent.
    :param requests: all requests at the end, by endpoint and status.
    """

    reported: list[str]
    missed: list[str]
    others: list[str]
    events: dict[str, list[str]] = field(default_factory=dict)
    runs: dict[str, list[list[str]]] = field(default_factory=dict)
    polls: tuple[int, float] = (0, 0.0)
    requests: dict[str, dict[str, int]] = field(default_factory=dict)


@pytest.fixture(scope="module")
def account(airflow: LocalAirflow, watched: EmulatorProcess) -> Account:
    until("the watchers have started", lambda: count_starts(airflow) >= TRIGGERS or None)
    polls = count_polls(watched)
    until("the watchers have polled", lambda: count_polls(watched) > polls or None)
    account = Account([], [], [submit(watched), submit(watched)])
    watched.fail(account.others[0])
    start, polls = time.monotonic(), count_polls(watched)
    for _ in range(2):
        account.reported.append(complete_and_wait_for_runs(airflow, watched))
    if HAS_STATE_STORE:
        last = account.reported[-1]
        until(f"Airflow has stored that {last} is reported", lambda: is_stored(airflow, last) or None)
    account.polls = (count_polls(watched) - polls, time.monotonic() - start)

    starts = count_starts(airflow)
    airflow.kill_component("triggerer")
    for _ in range(2):
        account.missed.append(submit(watched))
        watched.complete(account.missed[-1])
    airflow.start_component("triggerer")
    until("the watchers have started again", lambda: count_starts(airflow) >= starts + TRIGGERS or None)
    for missed in account.missed if HAS_STATE_STORE else ():
        until(f"{missed} is reported", lambda missed=missed: has_runs(airflow, missed) or None)
    # a generation that is reported twice is so before this one
    account.reported.append(complete_and_wait_for_runs(airflow, watched))

    until("all runs have ended", lambda: {state for state, _ in all_runs(airflow)} == {"success"} or None)
    account.events = {name: event_ids(airflow, name) for name in NAMES}
    account.runs = {name: [ids for _, ids in runs(airflow, name)] for name in NAMES}
    account.requests = watched.ledger()["requests"]
    return account


def submit(emulator: EmulatorProcess) -> str:
    """Submit a generation as a script without Airflow would."""
    response = httpx.post(
        f"{emulator.base_url}/api/veo/text-to-video",
        headers={"X-API-Key": emulator.api_key},
        json={"prompt": "A lighthouse"},
        trust_env=False,
        timeout=120,
    )
    return str(response.raise_for_status().json()["taskId"])


def complete_and_wait_for_runs(airflow: LocalAirflow, emulator: EmulatorProcess) -> str:
    """Submit and complete a generation, and return its id once its runs have started."""
    generation_id = submit(emulator)
    emulator.complete(generation_id)
    until(f"{generation_id} is reported", lambda: has_runs(airflow, generation_id) or None)
    return generation_id


def count_starts(airflow: LocalAirflow) -> int:
    """Return the number of watchers' triggers that the triggerer has started so far."""
    return len(re.findall(r"trigger ID \d+ starting", airflow.log_file("triggerer").read_text()))


def count_polls(emulator: EmulatorProcess) -> int:
    return sum(emulator.ledger()["requests"].get("history", {}).values())


def asset_id(airflow: LocalAirflow, name: str) -> int:
    assets = airflow.api.call("GET", "assets", params={"name_pattern": f"veo3_completed_{name}"})["assets"]
    return int(assets[0]["id"])


def is_stored(airflow: LocalAirflow, generation_id: str) -> bool:
    """Return whether the state of every asset has the generation as reported."""
    paths = [f"assets/{asset_id(airflow, name)}/state-store" for name in NAMES]
    states = [airflow.api.call("GET", path)["asset_state_store"] for path in paths]
    return all(generation_id in entry["value"]["told"] for entries in states for entry in entries)


def ids_in(events: list[dict[str, Any]]) -> list[str]:
    return [event["extra"]["payload"]["id"] for event in events]


def event_ids(airflow: LocalAirflow, name: str) -> list[str]:
    params = {"asset_id": asset_id(airflow, name), "order_by": "timestamp"}
    return ids_in(airflow.api.call("GET", "assets/events", params=params)["asset_events"])


def runs(airflow: LocalAirflow, name: str) -> list[tuple[str, list[str]]]:
    """Return each run's state and the ids that started it, none before the start."""
    path = f"dags/watched_{name}/dagRuns"
    found = []
    for run in airflow.api.call("GET", path, params={"order_by": "run_after"})["dag_runs"]:
        events = f"{path}/{run['dag_run_id']}/upstreamAssetEvents"
        started = run["start_date"] is not None
        found.append(
            (run["state"], ids_in(airflow.api.call("GET", events)["asset_events"]) if started else [])
        )
    return found


def all_runs(airflow: LocalAirflow) -> list[tuple[str, list[str]]]:
    return [run for name in NAMES for run in runs(airflow, name)]


def has_runs(airflow: LocalAirflow, generation_id: str) -> bool:
    """Return whether the generation has started a run of every DAG."""
    return all(any(generation_id in ids for _, ids in runs(airflow, name)) for name in NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_completed_generation_is_reported_once_even_if_the_triggerer_was_killed(
    account: Account, name: str
) -> None:
    first, second, last = account.reported
    later = account.missed if HAS_STATE_STORE else []
    assert account.events[name] == [first, second, *later, last]
    assert not set(account.others) & set(account.events[name])


@pytest.mark.parametrize("name", NAMES)
def test_each_event_starts_a_run_alone_or_with_other_events(account: Account, name: str) -> None:
    started = account.runs[name]
    assert sorted(generation_id for ids in started for generation_id in ids) == sorted(account.events[name])
    assert all([generation_id] in started for generation_id in account.reported)


def test_all_watchers_share_their_polls(account: Account) -> None:
    """The watcher that polls every ten hours is notified with the others, without more requests."""
    polls, seconds = account.polls
    assert polls <= seconds / INTERVAL + 1
    stored = len(account.events["often"])
    assert {kind: set(counts) for kind, counts in account.requests.items()} == {
        "text-to-video": {"202"},
        "history": {"200"},
        "download": {"200"},
        "file": {"200"},
    }
    assert account.requests["download"] == account.requests["file"] == {"200": stored}


def test_a_run_stores_the_generation_that_started_it(account: Account, destination: Path) -> None:
    stored = {path.name for path in destination.iterdir()}
    assert {f"{each}_0.mp4" for each in account.events["often"]} <= stored
    assert not {f"{each}_0.mp4" for each in account.others} & stored


def test_the_triggerer_s_log_has_no_secrets(
    airflow: LocalAirflow, watched: EmulatorProcess, account: Account
) -> None:
    log = airflow.log_file("triggerer").read_text()
    assert account.reported[-1] in log
    assert watched.api_key not in log
    assert "Signature" not in log
