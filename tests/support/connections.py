"""Airflow connections to the emulator."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

    from airflow_provider_veo3.emulator import Emulator


FIELDS = {"requests_per_minute": 100_000, "poll_interval": 1}
IMPATIENT = {**FIELDS, "request_timeout": 1}
"""Fields of a connection that gives up a request after a second."""


def use_connection(
    monkeypatch: pytest.MonkeyPatch, emulator: Emulator, conn_id: str = "veo3_default", **fields: object
) -> None:
    """Define an Airflow connection to the emulator, for this test."""
    monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps(connection_to(emulator) | fields))


def connection_to(emulator: Emulator) -> dict[str, object]:
    """Return the connection as JSON."""
    return {
        "conn_type": "veo3",
        "host": emulator.base_url,
        "password": emulator.api_key,
        "extra": FIELDS,
    }
