"""Airflow's files contain neither the key nor a signed link: logs, database, XComs, links."""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING

import pytest

from testbed.emulator import EmulatorProcess
from testbed.local_airflow import LocalAirflow
from tests.support.until import WAIT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.timeout(3600)  # with the start of Airflow; a busy machine is no failure

QUICKSTART = "example_veo3_quickstart"
CAMPAIGN = "example_veo3_campaign"
KEY = "veo3_MARKED_5e7b1c9a0d42f683"
REFUSED = {"success": False, "error": f"Invalid API key {KEY}", "code": "INVALID_API_KEY"}
FORBIDDEN = "http://files.example.test/a.mp4?X-Goog-Signature=0123456789abcdef"
SIGNATURE = re.compile(rb"X-Goog-Signature(=|%3D|\\u003d)[0-9A-Za-z%]", re.IGNORECASE)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Home folder of an Airflow that logged everything while runs succeeded and failed."""
    env = {
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "DEBUG",
        "VEO3_DESTINATION": f"file://{tmp_path_factory.mktemp('stored')}",
    }
    options = {"pending_seconds": 0.2, "processing_seconds": 3, "height": 90, "api_key": KEY}
    with (
        EmulatorProcess(**options) as emulator,
        LocalAirflow(env, keep_home=True) as airflow,
    ):
        airflow.api.create_connection("veo3_default", "veo3", host=emulator.base_url, password=KEY)
        airflow.wait_for_dags([QUICKSTART, CAMPAIGN])
        emulator.inject({"endpoint": "status", "kind": "status", "status": 500, "body": KEY, "times": 2})
        emulator.inject({"endpoint": "file", "kind": "disconnect_mid_body", "times": 3})
        emulator.inject({"endpoint": "file", "kind": "expire", "times": 2})
        runs = {
            QUICKSTART: airflow.api.trigger(QUICKSTART),
            CAMPAIGN: airflow.api.trigger(CAMPAIGN),
        }
        assert set(airflow.wait_for_runs(runs, timeout=WAIT).values()) == {"success"}
        for conf, fault in (
            ({"max_credits": 1}, None),
            ({}, {"endpoint": "file", "kind": "redirect", "location": FORBIDDEN, "times": None}),
            ({}, {"endpoint": "status", "kind": "status", "status": 401, "body": REFUSED, "times": None}),
        ):
            if fault is not None:
                emulator.inject(fault)
            run = {QUICKSTART: airflow.api.trigger(QUICKSTART, conf)}
            assert airflow.wait_for_runs(run, timeout=WAIT) == {QUICKSTART: "failed"}
            emulator.clear_faults()
    yield airflow.home
    shutil.rmtree(airflow.home)


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


def test_no_file_contains_the_key(home: Path) -> None:
    assert found(home, re.compile(re.escape(KEY.encode()))) == []


def test_no_file_contains_a_signed_link(home: Path) -> None:
    assert found(home, SIGNATURE) == []
