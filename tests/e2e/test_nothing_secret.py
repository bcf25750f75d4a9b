"""Airflow's files contain neither the key nor a signed link: logs, database, XComs, links."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.support.until import WAIT, until

if TYPE_CHECKING:
    from pathlib import Path

    from testbed.emulator import EmulatorProcess
    from testbed.local_airflow import LocalAirflow

pytestmark = pytest.mark.timeout(3600)  # with the start of Airflow; a busy machine is no failure

QUICKSTART = "example_veo3_quickstart"
CAMPAIGN = "example_veo3_campaign"
FORBIDDEN = "http://files.example.test/a.mp4?X-Goog-Signature=0123456789abcdef"
SIGNATURE = re.compile(rb"X-Goog-Signature(=|%3D|\\u003d)[0-9A-Za-z%]", re.IGNORECASE)


@pytest.fixture(scope="module")
def home(airflow: LocalAirflow, emulator: EmulatorProcess, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Home folder of an Airflow that logged everything while runs succeeded and failed."""
    key = emulator.api_key
    refusal = {"success": False, "error": f"Invalid API key {key}", "code": "INVALID_API_KEY"}
    prompts = tmp_path_factory.mktemp("prompts") / "prompts.csv"
    prompts.write_text("prompt\nA lighthouse\nA ship\n", encoding="utf-8")
    emulator.configure(processing_seconds=3)
    emulator.inject({"endpoint": "status", "kind": "status", "status": 500, "body": key, "times": 2})
    emulator.inject({"endpoint": "file", "kind": "disconnect_mid_body", "times": 3})
    emulator.inject({"endpoint": "file", "kind": "expire", "times": 2})
    refused = airflow.api.trigger(QUICKSTART, {"max_credits": 1})
    runs = {
        QUICKSTART: airflow.api.trigger(QUICKSTART),
        CAMPAIGN: airflow.api.trigger(CAMPAIGN, {"prompts": str(prompts)}),
    }
    assert set(airflow.wait_for_runs(runs, timeout=WAIT).values()) == {"success"}
    assert airflow.wait_for_runs({QUICKSTART: refused}, timeout=WAIT) == {QUICKSTART: "failed"}
    emulator.clear_faults()

    emulator.inject({"endpoint": "file", "kind": "redirect", "location": FORBIDDEN, "times": None})
    not_stored = airflow.api.trigger(QUICKSTART)
    until("its wait has ended", lambda: state_of(airflow, not_stored, "wait") == "success" or None)
    emulator.inject({"endpoint": "status", "kind": "status", "status": 401, "body": refusal, "times": None})
    not_awaited = airflow.api.trigger(QUICKSTART)
    assert airflow.wait_for_runs({QUICKSTART: not_awaited}, timeout=WAIT) == {QUICKSTART: "failed"}
    assert state_of(airflow, not_awaited, "wait") == "failed"
    until("its download failed", lambda: state_of(airflow, not_stored, "download") == "up_for_retry" or None)
    airflow.api.fail_run(QUICKSTART, not_stored)
    emulator.clear_faults()
    return airflow.home


def state_of(airflow: LocalAirflow, run_id: str, task_id: str) -> str | None:
    (task,) = [t for t in airflow.api.task_instances(QUICKSTART, run_id) if t["task_id"] == task_id]
    return task["state"]


def found(home: Path, pattern: re.Pattern[bytes]) -> list[str]:
    """Return each file that matches the pattern, with the first match and its surroundings."""
    hits = []
    for path in home.rglob("*"):
        if path.is_file() and (match := pattern.search(content := path.read_bytes())):
            around = content[max(0, match.start() - 60) : match.end() + 20]
            hits.append(f"{path.relative_to(home)}: {around!r}")
    return hits


def test_the_search_finds_generation_ids(home: Path) -> None:
    names = {path.name for path in home.rglob("*") if path.is_file()}
    assert "airflow.db" in names
    assert any(".trigger." in name for name in names)
    assert any(QUICKSTART in hit for hit in found(home, re.compile(rb"Generation veo_\w+ is completed")))
    assert any(
        hit.startswith("airflow.db") for hit in found(home, re.compile(rb"videos/veo_\w+|veo_\d{13}_"))
    )


def test_no_file_contains_the_key(home: Path, emulator: EmulatorProcess) -> None:
    assert found(home, re.compile(re.escape(emulator.api_key.encode()))) == []


def test_no_file_contains_a_signed_link(home: Path) -> None:
    assert found(home, SIGNATURE) == []
