"""What the tests of this folder run on."""

from __future__ import annotations

import pytest
from airflow_fixtures import _one_emulator, _soon, airflow_bundles, emulator, pictures
from holding import hold

__all__ = ["_one_emulator", "_soon", "airflow_bundles", "emulator", "hold", "pictures"]


@pytest.fixture
def _no_delay(monkeypatch: pytest.MonkeyPatch) -> None:
    """Watchers tell, note and look again without the pauses that a real Airflow needs."""
    from watches import Watch

    from airflow_provider_veo3.triggers import completed

    monkeypatch.setattr(completed, "COMMIT_DELAY", 0.0)
    monkeypatch.setattr(completed, "RUN_DELAY", 0.0)
    monkeypatch.setattr(completed, "STATE_PAUSES", (0.01,))
    Watch.running.clear()
