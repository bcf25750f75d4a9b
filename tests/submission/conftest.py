"""Short waits, and workers that die."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.fixtures import set_timings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.workers import Workers


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Minutes become fractions of a second: what is waited for does not take longer here."""
    set_timings(monkeypatch)


@pytest.fixture(scope="session")
def workers(airflow_bundles: None) -> Iterator[Workers]:
    """Worker processes of their own, which can be killed at any point."""
    from tests.support.workers import Workers

    with Workers() as workers:
        yield workers
