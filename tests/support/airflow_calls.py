"""Requests of tasks to Airflow's API, recorded where they leave the task."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pytest


def record_xcom_reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the list to which each XCom that a task reads is added, by its key."""
    from airflow.sdk.execution_time.supervisor import InProcessSupervisorComms

    keys: list[str] = []
    send = InProcessSupervisorComms.send

    def recorded(comms: Any, msg: Any) -> Any:
        if type(msg).__name__.startswith("GetXCom"):
            keys.append(msg.key)
        return send(comms, msg)

    monkeypatch.setattr(InProcessSupervisorComms, "send", recorded)
    return keys
