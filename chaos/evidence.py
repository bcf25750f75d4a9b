"""Evidence of a campaign, collected after its end for the verdict."""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

import httpx

from chaos.killable_airflow import DAG_ID
from chaos.verdict import COMPLETED, Content, Delivery
from testbed.airflow_api import AirflowApiError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from chaos.killable_airflow import KillableAirflow
    from chaos.plan import VideoRequest
    from testbed.emulator import EmulatorProcess

REUSE_MESSAGES: Final = {
    "found in the history": "whose acceptance was lost",
    "known from the task's record": "which an earlier attempt paid for",
}
"""Log messages of the operator about a reused generation, by how it was found."""


def settled_ledger(emulator: EmulatorProcess, timeout: float = 60) -> dict[str, Any]:
    """Return the ledger when no generation is in progress, or after the timeout.

    :param timeout: seconds.
    """
    deadline = time.monotonic() + timeout
    while True:
        ledger = emulator.ledger()
        if all(task["status"] in (COMPLETED, "failed") for task in ledger["tasks"]):
            return ledger
        if time.monotonic() > deadline:
            return ledger
        time.sleep(0.5)


def expected_files(emulator: EmulatorProcess, ledger: Mapping[str, Any]) -> dict[str, Content]:
    """Download the videos of all completed generations from the emulator, whose faults must be cleared."""
    files: dict[str, Content] = {}
    with httpx.Client(headers={"X-API-Key": emulator.api_key}, trust_env=False, timeout=60) as api:
        for task in ledger["tasks"]:
            if task["status"] != COMPLETED:
                continue
            response = api.get(f"{emulator.base_url}/api/veo/download/{task['id']}").raise_for_status()
            for index, video in enumerate(response.json()["videos"]):
                body = httpx.get(video["url"], trust_env=False, timeout=60).raise_for_status().content
                name = f"{task['id']}_{index}.mp4"
                files[name] = Content(len(body), hashlib.sha256(body).hexdigest())
    return files


def collect_deliveries(
    airflow: KillableAirflow, run_id: str, requests: Sequence[VideoRequest]
) -> list[Delivery]:
    """Return the results of a run's download tasks, with the prompt of each."""
    deliveries = []
    for group in {each.group for each in requests}:
        for map_index, request in enumerate(each for each in requests if each.group == group):
            try:
                stored = airflow.api.xcom(DAG_ID, run_id, f"{group}.download", map_index=map_index)
            except AirflowApiError as error:
                if error.status != httpx.codes.NOT_FOUND:
                    raise
                continue  # the task has returned nothing
            deliveries += [
                Delivery(
                    prompt=request.prompt,
                    generation_id=each["generation_id"],
                    name=each["uri"].rsplit("/", 1)[-1],
                    content=Content(each["size"], each["sha256"]),
                )
                for each in stored
            ]
    return deliveries


def count_reused(home: Path) -> Counter[str]:
    """Count the log lines of all attempts about a paid generation that was reused.

    :param home: home folder of Airflow.
    """
    found: Counter[str] = Counter()
    for path in home.glob("logs/dag_id=*/**/*.log"):
        text = path.read_text(encoding="utf-8", errors="replace")
        for name, words in REUSE_MESSAGES.items():
            found[name] += text.count(words)
    return found
