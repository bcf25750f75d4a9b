"""The modules that a DAG file loads with the provider, on every parse."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import distributions
from typing import Any

import pytest

DAG_FILE = (
    "airflow_provider_veo3",
    "airflow_provider_veo3.operators.generate",
    "airflow_provider_veo3.operators.download",
    "airflow_provider_veo3.operators.history",
    "airflow_provider_veo3.sensors.generation",
    "airflow_provider_veo3.links",
)
PUBLIC = (*DAG_FILE, "airflow_provider_veo3.triggers.generation")
SCRIPT = """
import importlib, json, sys, time
for name in sys.argv[1].split(","):
    importlib.import_module(name)
import airflow.sdk
for name in sys.argv[3].split(","):
    getattr(airflow.sdk, name)  # loads it
before, started = set(sys.modules), time.process_time()
for name in sys.argv[2].split(","):
    importlib.import_module(name)
spent = time.process_time() - started
print(json.dumps({"new": sorted(set(sys.modules) - before), "cpu_ms": spent * 1000}))
"""
HEAVY = {
    "requests",
    "urllib3",
    "httpx",
    "httpcore",
    "aiohttp",
    "av",
    "PIL",
    "starlette",
    "uvicorn",
    "pandas",
    "numpy",
}


def newly_loaded(
    first: str, then: str, names: str = "DAG,BaseOperator,BaseSensorOperator,ObjectStoragePath"
) -> dict[str, Any]:
    command = [sys.executable, "-c", SCRIPT, first, then, names]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    loaded: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return loaded


@pytest.fixture(scope="module")
def loaded(airflow_db: None) -> dict[str, Any]:
    return newly_loaded("airflow.sdk", ",".join(PUBLIC))


def test_no_http_library_is_loaded(loaded: dict[str, Any]) -> None:
    assert {name.partition(".")[0] for name in loaded["new"]} & HEAVY == set()


def test_neither_protocol_nor_emulator_is_loaded(loaded: dict[str, Any]) -> None:
    ours = {name for name in loaded["new"] if name.startswith("airflow_provider_veo3.")}
    assert set(PUBLIC[1:]) <= ours
    later = {"api", "hooks", "emulator", "polling", "history", "storage", "submission"}
    assert {name.split(".")[1] for name in ours} & later == set()


def test_few_other_modules_are_loaded(loaded: dict[str, Any]) -> None:
    """A module that loads others is seen here before it is seen in parse times."""
    foreign = [name for name in loaded["new"] if not name.startswith("airflow_provider_veo3")]
    assert len(foreign) <= 15, foreign


def test_a_dag_file_loads_only_our_modules_and_their_base_classes() -> None:
    """Loaded after as little of Airflow as any DAG file has.

    Triggers are left out: their processes have their base class already.
    """
    new = newly_loaded("airflow.sdk", ",".join(DAG_FILE), "DAG")["new"]
    foreign = {name for name in new if not name.startswith("airflow_provider_veo3")}
    bases = ("airflow.sdk.", "airflow.providers.common")
    assert [name for name in foreign if not name.startswith(bases)] == []
    assert len(foreign) <= 9, foreign
    assert len(new) - len(foreign) <= 12, new


def test_no_tool_of_the_checkout_slows_airflow() -> None:
    """Airflow loads it through ``jsonschema``, for more than a second, wherever it is installed."""
    installed = {distribution.name for distribution in distributions()}
    assert "rfc3987-syntax" not in installed, "an earlier `make sbom` has installed it: run make clean"


def test_the_package_alone_loads_nothing() -> None:
    """Every Airflow process reads the provider info."""
    new = newly_loaded("json", "airflow_provider_veo3")["new"]
    assert [name for name in new if name != "airflow_provider_veo3"] == []
