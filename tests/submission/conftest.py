"""What the tests of tests/airflow run on, the times that production waits cut short, and workers that die."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest
from airflow_fixtures import _one_emulator, airflow_bundles, emulator, pictures
from holding import hold

if TYPE_CHECKING:
    from collections.abc import Iterator

    from workers import Workers

__all__ = ["_one_emulator", "airflow_bundles", "emulator", "hold", "pictures"]


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Minutes become fractions of a second: what is waited for does not take longer here."""
    from airflow_provider_veo3 import exactly_once, submission
    from airflow_provider_veo3.admission import BriefRetries
    from airflow_provider_veo3.api.retries import Retries

    monkeypatch.setattr(submission, "LISTING_LAG", 0.02)
    monkeypatch.setattr(submission, "ACCEPTANCE_SPAN", 0.2)
    monkeypatch.setattr(exactly_once, "Retries", partial(Retries, first_pause=0.01))
    monkeypatch.setattr(exactly_once, "BriefRetries", partial(BriefRetries, first_pause=0.01))


@pytest.fixture(scope="session")
def workers(airflow_bundles: None) -> Iterator[Workers]:
    """Worker processes of their own, which can be killed at any point."""
    from workers import Workers

    with Workers() as workers:
        yield workers
