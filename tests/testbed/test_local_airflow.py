"""Environment of Airflow's components."""

from __future__ import annotations

from typing import TYPE_CHECKING

from testbed.local_airflow import API_LOCK_TIMEOUT, LOCK_TIMEOUT, LocalAirflow

if TYPE_CHECKING:
    from pathlib import Path

CONNECTION = "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"


def started(component: str, tmp_path: Path, **env: str) -> tuple[LocalAirflow, str]:
    """Start a component, and return Airflow and the component's database."""
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\necho ${CONNECTION}\n", encoding="utf-8")
    python.chmod(0o755)
    airflow = LocalAirflow(env, python=str(python))
    try:
        airflow.start_component(component)
        airflow.processes[component].wait()
        return airflow, airflow.log_file(component).read_text().strip()
    finally:
        airflow.__exit__(None, None, None)


def test_the_api_server_waits_less_long_for_a_lock_than_its_callers_for_a_response(tmp_path: Path) -> None:
    airflow, database = started("api-server", tmp_path)
    assert database.endswith(f"airflow.db?timeout={API_LOCK_TIMEOUT}")
    assert int(airflow.env["AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT"]) > 2 * API_LOCK_TIMEOUT
    _, database = started("scheduler", tmp_path)
    assert database.endswith(f"airflow.db?timeout={LOCK_TIMEOUT}")


def test_another_database_is_left_as_it_is(tmp_path: Path) -> None:
    url = "postgresql://127.0.0.1/airflow"
    _, database = started("api-server", tmp_path, **{CONNECTION: url})
    assert database == url
