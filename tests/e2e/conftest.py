"""One Airflow for all modules, whose start takes the most time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from testbed.emulator import EmulatorProcess
from testbed.local_airflow import COMPONENTS, EXAMPLE_DAGS, LocalAirflow
from tests.support.airflow_versions import AIRFLOW

if TYPE_CHECKING:
    from collections.abc import Iterator

DAGS = {"examples": EXAMPLE_DAGS, "ours": Path(__file__).parent / "dags"}
POOL_SLOTS = 2  # below VEO3's limit of 5, so that it is the pool that limits
CAPACITY = 6
"""Triggers that a triggerer runs at once: fewer than the tasks of the DAG ``unpooled``."""


@pytest.fixture(scope="session")
def emulator() -> Iterator[EmulatorProcess]:
    """Account of the example DAGs, without a rate limit: a busy machine polls more often."""
    with EmulatorProcess(pending_seconds=0.5, height=90, requests_per_minute="off") as emulator:
        yield emulator


@pytest.fixture(scope="session")
def watched() -> Iterator[EmulatorProcess]:
    """Account for watchers, in which generations complete only when a test completes them."""
    with EmulatorProcess(
        pending_seconds=0.1, processing_seconds=36000, height=90, requests_per_day="off"
    ) as emulator:
        yield emulator


@pytest.fixture(scope="session")
def destination(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("stored videos")


@pytest.fixture(scope="session")
def pool_slots() -> int:
    return POOL_SLOTS


@pytest.fixture(scope="session")
def triggerer() -> tuple[str, ...]:
    """Arguments of ``airflow`` that start a triggerer."""
    return ("triggerer", f"--capacity={CAPACITY}")


@pytest.fixture(scope="session")
def airflow(
    emulator: EmulatorProcess,
    watched: EmulatorProcess,
    destination: Path,
    pool_slots: int,
    triggerer: tuple[str, ...],
) -> Iterator[LocalAirflow]:
    bundle = "airflow.dag_processing.bundles.local.LocalDagBundle"
    bundles = [
        {"name": name, "classpath": bundle, "kwargs": {"path": str(path)}} for name, path in DAGS.items()
    ]
    env = {
        "AIRFLOW_CONN_VEO3_WATCHED": watched.connection(),
        "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps(bundles),
        # no file changes, but Airflow 3.0 starts watchers only when it parses a file again
        "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "60" if AIRFLOW < (3, 1) else "3600",
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "DEBUG",  # the most that a secret can be in
        # Airflow notices soon that a triggerer was killed, and takes no busy one for dead
        "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "20",
        "VEO3_DESTINATION": f"file://{destination}",
        # a key in the user's own environment must not be used
        "VEO3_API_KEY": "veo3_not_this_one",
    }
    components = {name: (name,) for name in COMPONENTS} | {"triggerer": triggerer}
    with LocalAirflow(env, pool_slots=pool_slots, components=components) as airflow:
        account = {"host": emulator.base_url, "password": emulator.api_key, "extra": {"poll_interval": 1}}
        airflow.api.create_connection("veo3_default", "veo3", **account)
        names = ["example_veo3_quickstart", "example_veo3_campaign", "watched_seldom", "from_trigger"]
        airflow.wait_for_dags(names)
        assert airflow.api.import_errors() == []
        yield airflow
