"""Collect, when all is over, what the verdict is made of."""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

import httpx

from chaos.airflow import DAG_ID
from chaos.verdict import COMPLETED, Content, Delivered
from testbed.airflow_api import AirflowApiError

RESCUES: Final = {
    "found in the history": "whose acceptance was lost",
    "known from the task's record": "which an earlier attempt paid for",
}
"""What the operator logs when it goes on with a generation that an earlier attempt has paid for."""

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from chaos.airflow import ChaosAirflow
    from chaos.plan import Wanted
    from testbed.emulator import EmulatorProcess


def collect_truth(emulator: EmulatorProcess, ledger: Mapping[str, Any]) -> dict[str, Content]:
    """Fetch every video of the ledger straight from the emulator; its faults must have been lifted."""
    truth: dict[str, Content] = {}
    with httpx.Client(headers={"X-API-Key": emulator.api_key}, trust_env=False, timeout=60) as api:
        for task in ledger["tasks"]:
            if task["status"] != COMPLETED:
                continue
            answer = api.get(f"{emulator.base_url}/api/veo/download/{task['id']}").raise_for_status()
            for index, video in enumerate(answer.json()["videos"]):
                body = httpx.get(video["url"], trust_env=False, timeout=60).raise_for_status().content
                name = f"{task['id']}_{index}.mp4"
                truth[name] = Content(len(body), hashlib.sha256(body).hexdigest())
    return truth


def collect_delivered(airflow: ChaosAirflow, run_id: str, wanted: Sequence[Wanted]) -> list[Delivered]:
    """Read what the download tasks of a run returned, and which wanted video each was for."""
    delivered = []
    for group in {each.group for each in wanted}:
        rows = [each for each in wanted if each.group == group]
        for map_index, row in enumerate(rows):
            try:
                stored = airflow.api.xcom(DAG_ID, run_id, f"{group}.download", map_index=map_index)
            except AirflowApiError as error:
                if " 404 " not in str(error):
                    raise
                continue  # it never came that far
            delivered += [
                Delivered(
                    prompt=row.prompt,
                    generation_id=each["generation_id"],
                    name=each["uri"].rsplit("/", 1)[-1],
                    content=Content(each["size"], each["sha256"]),
                )
                for each in stored
            ]
    return delivered


def rescues(home: Path) -> Counter[str]:
    """Count in the tasks' logs how often a paid generation was taken up instead of paid again."""
    found: Counter[str] = Counter()
    for path in home.glob("logs/dag_id=*/**/*.log"):
        text = path.read_text(encoding="utf-8", errors="replace")
        for name, words in RESCUES.items():
            found[name] += text.count(words)
    return found


def settled_ledger(emulator: EmulatorProcess, timeout: float = 60) -> dict[str, Any]:
    """Give the ledger once no generation is under way any more."""
    deadline = time.monotonic() + timeout
    while True:
        ledger = emulator.ledger()
        if all(task["status"] in (COMPLETED, "failed") for task in ledger["tasks"]):
            return ledger
        if time.monotonic() > deadline:
            return ledger
        time.sleep(0.5)
