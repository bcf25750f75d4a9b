"""A private Airflow for the whole test run, settled before any test imports Airflow."""

from __future__ import annotations

import atexit
import fcntl
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests.support.airflow_versions import AIRFLOW, LIBRARY_WARNINGS

pytest_plugins = ["tests.support.fixtures", "tests.support.holding"]

CHECKOUT = Path(__file__).resolve().parent.parent

LONGEST = (
    "example_dags/test_example_dags",
    "docs/test_snippets",
    "operators/test_shapes",
    "submission/test_killed_workers",
    "docs/test_backfill",
    "operators/test_download_in_airflow",
    "submission/test_refusals",
    "submission/test_endless_answers",
    "test_huge_values",
    "cli/test_entry_points",
    "sensors/test_odd_waits",
    "docs/test_campaigns",
    "api/test_limits",
    "submission/test_lost_responses",
    "demo/test_credits",
    "operators/test_lineage",
)
"""Test modules that run for the most seconds. Several processes start with them, so that none ends late."""

# The space is on purpose: people have them in their paths.
HOME = Path(tempfile.mkdtemp(prefix="veo3 tests "))
atexit.register(shutil.rmtree, HOME, ignore_errors=True)

# In the folder of the process that starts the others, which inherit the variable.
MIGRATED = Path(os.environ.setdefault("TESTS_MIGRATED_DATABASE", str(HOME / "migrated.db")))

# Neither how quick the machine is nor what is drawn decides whether a test passes: the examples come from the
# same seed in each run. To look for others: pytest --hypothesis-profile=others
quick_or_slow = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("others", quick_or_slow)
settings.register_profile("any-machine", quick_or_slow, derandomize=True)
settings.load_profile("any-machine")

for name in [name for name in os.environ if name.startswith(("AIRFLOW", "OPENLINEAGE", "VEO3_"))]:
    del os.environ[name]
os.environ.update(
    AIRFLOW_HOME=str(HOME),
    AIRFLOW__CORE__DAGS_FOLDER=str(CHECKOUT / "example_dags"),
    AIRFLOW__CORE__LOAD_EXAMPLES="False",
    AIRFLOW__CORE__DAGBAG_IMPORT_TIMEOUT="300",
    AIRFLOW__CORE__HOSTNAME_CALLABLE="socket.gethostname",  # the default asks the name server
    AIRFLOW__USAGE_DATA_COLLECTION__ENABLED="False",
    VEO3_DESTINATION=f"file://{HOME}/videos",
)


def pytest_configure(config: pytest.Config) -> None:
    """Let the libraries of an older Airflow warn of that Airflow; all other warnings stay errors."""
    for line in LIBRARY_WARNINGS.get(AIRFLOW, ()):
        config.addinivalue_line("filterwarnings", line)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest modules first."""
    ranks = {CHECKOUT / f"tests/{name}.py": rank for rank, name in enumerate(LONGEST)}
    items.sort(key=lambda item: ranks.get(item.path, len(ranks)))


def copy_database(source: Path, target: Path) -> None:
    """Copy a database of SQLite, with what it has not yet written into its file."""
    with closing(sqlite3.connect(source)) as read, closing(sqlite3.connect(target)) as write:
        read.backup(write)


@pytest.fixture(scope="session")
def airflow_db() -> None:
    """Airflow's tables, for tests that use ``dag.test()``, connections or XComs.

    The first process makes them, and the others copy them.
    """
    ours = HOME / "airflow.db"
    with MIGRATED.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if MIGRATED.exists():
            copy_database(MIGRATED, ours)
        else:
            subprocess.run(
                [sys.executable, "-m", "airflow", "db", "migrate"], check=True, capture_output=True
            )
            copy_database(ours, MIGRATED)
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    @event.listens_for(Engine, "connect")
    def _leave_writing_to_the_system(connection: Any, _: object) -> None:
        # nothing here must survive a power failure, and there are a few thousand commits
        cursor = connection.cursor()
        cursor.execute("PRAGMA synchronous=OFF")
        cursor.close()
