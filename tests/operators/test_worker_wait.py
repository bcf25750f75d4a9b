"""Waits in the worker that submitted: what they need not ask Airflow for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.support.airflow_calls import record_xcom_reads
from tests.support.runs import DEFER, TASK, WAIT, start, succeed

if TYPE_CHECKING:
    from airflow_provider_veo3.emulator import Emulator


@pytest.mark.parametrize(("shape", "reads"), [(WAIT, 0), (DEFER, 1)], ids=["worker", "deferred"])
def test_the_manifest_is_read_back_only_by_another_process(
    shape: dict[str, Any], reads: int, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = record_xcom_reads(monkeypatch)
    ended = start(seed=7, **shape).attempt(TASK)
    succeed(ended)
    manifest = ended.manifest
    assert (manifest["seed"], manifest["status"], manifest["map_index"]) == (7, "completed", -1)
    assert manifest["credits_remaining"] is not None
    assert manifest["completed_at"] is not None
    assert keys.count("generation") == reads
