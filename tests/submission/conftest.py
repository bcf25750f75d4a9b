"""Short waits, and workers that die."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.workers import Workers


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Minutes become fractions of a second: what is waited for does not take longer here."""
    from airflow_provider_veo3.api.retries import Retries
    from airflow_provider_veo3.submission import record as submission
    from airflow_provider_veo3.submission import submitter as exactly_once
    from airflow_provider_veo3.submission.rate_limit import BriefRetries

    monkeypatch.setattr(submission, "LISTING_LAG", 0.02)
    monkeypatch.setattr(submission, "ACCEPTANCE_SPAN", 0.2)
    monkeypatch.setattr(exactly_once, "Retries", partial(Retries, first_pause=0.01))
    monkeypatch.setattr(exactly_once, "BriefRetries", partial(BriefRetries, first_pause=0.01))


@pytest.fixture(scope="session")
def workers(airflow_bundles: None) -> Iterator[Workers]:
    """Worker processes of their own, which can be killed at any point."""
    from tests.support.workers import Workers

    with Workers() as workers:
        yield workers
