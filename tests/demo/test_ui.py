"""Addresses and folders that `make ui` prints."""

from __future__ import annotations

import shutil
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from demo.ui import addresses
from testbed.emulator import EmulatorProcess
from testbed.local_airflow import LocalAirflow

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def airflow() -> Iterator[LocalAirflow]:
    airflow = LocalAirflow({"VEO3_DESTINATION": "file:///videos"})
    yield airflow
    shutil.rmtree(airflow.home)


def test_the_emulator_has_its_address_in_the_list(airflow: LocalAirflow) -> None:
    emulator: Any = SimpleNamespace(base_url="http://127.0.0.1:8765")
    shown = dict(line.split(None, 1) for line in addresses(airflow, emulator).splitlines())
    assert shown["Emulator"].startswith("http://127.0.0.1:8765 ")
    assert shown["Open"] == f"{airflow.url}/plugin/veo3-videos"
    assert shown["DAG"] == f"{airflow.url}/dags/example_veo3_quickstart"
    assert (shown["User"], shown["Password"]) == (airflow.user, airflow.password)
    assert (shown["Videos"], shown["Logs"]) == ("/videos", str(airflow.home))


def test_the_real_api_has_no_line_for_an_emulator(airflow: LocalAirflow) -> None:
    assert "mulator" not in addresses(airflow, None)


def test_folders_can_be_copied_into_a_shell(airflow: LocalAirflow) -> None:
    with EmulatorProcess() as emulator:
        for folder in (airflow.home, emulator.log_file.parent):
            assert " " not in folder.name
