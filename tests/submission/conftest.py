"""What the tests of tests/airflow run on, the times that production waits cut short, and workers that die."""

from __future__ import annotations

import importlib.util
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

    from workers import Workers

BESIDE = Path(__file__).parent.parent / "airflow"
sys.path.append(str(BESIDE))  # task_runs


def _load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("airflow_fixtures", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


fixtures = _load(BESIDE / "conftest.py")
airflow_bundles = fixtures.airflow_bundles
_one_emulator = fixtures._one_emulator
emulator = fixtures.emulator
pictures = fixtures.pictures


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Minutes become fractions of a second: what is waited for does not take longer here."""
    from airflow_provider_veo3 import exactly_once, submission
    from airflow_provider_veo3.api.retries import Retries

    monkeypatch.setattr(submission, "LISTING_LAG", 0.02)
    monkeypatch.setattr(submission, "ACCEPTANCE_SPAN", 0.2)
    monkeypatch.setattr(exactly_once, "Retries", partial(Retries, first_pause=0.01))


@pytest.fixture(scope="session")
def workers(airflow_bundles: None) -> Iterator[Workers]:
    """Worker processes of their own, which can be killed at any point."""
    from workers import Workers

    with Workers() as workers:
        yield workers
