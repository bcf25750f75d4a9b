"""A clock that jumps over the waits of a refused task, for the worker, the triggerer and the API alike."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from tests.support.runs import TASK

if TYPE_CHECKING:
    import pytest

    from airflow_provider_veo3.emulator import Emulator
    from tests.support.runs import Run

BACKOFF = "airflow_provider_veo3.triggers.backoff.Veo3BackoffTrigger"
NOW = time.time


class Jumps:
    """Whoever sleeps wakes at once, and it is later then.

    :param in_worker: the seconds that a worker slept.
    :param deferred: the seconds that a trigger slept.
    """

    def __init__(self, emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
        from airflow_provider_veo3.hooks.veo3 import Veo3Hook
        from airflow_provider_veo3.operators._generating import GeneratingOperator
        from airflow_provider_veo3.polling.shared import SharedPoller
        from airflow_provider_veo3.triggers.backoff import Veo3BackoffTrigger

        self._emulator, self._ahead = emulator, 0.0
        self.in_worker: list[float] = []
        self.deferred: list[float] = []
        clock = SimpleNamespace(time=self.now, sleep=self._sleep)
        for cls in (GeneratingOperator, SharedPoller, Veo3BackoffTrigger):
            monkeypatch.setattr(cls, "clock", clock)
        monkeypatch.setattr(Veo3BackoffTrigger, "sleep", staticmethod(self._asleep))
        # the hook's transport records when a response came, to compare the API's clock with ours
        recording = SimpleNamespace(time=self.now, sleep=time.sleep, monotonic=time.monotonic)
        monkeypatch.setattr(Veo3Hook, "clock", recording)

    def now(self) -> float:
        return NOW() + self._ahead

    def _jump(self, seconds: float) -> None:
        self._ahead += seconds
        self._emulator.advance(seconds)

    def _sleep(self, seconds: float) -> None:
        self.in_worker.append(seconds)
        self._jump(seconds)

    async def _asleep(self, seconds: float) -> None:
        self.deferred.append(seconds)
        self._jump(seconds)


def record_of(run: Run, task_id: str) -> dict[str, Any]:
    """What is stored of a task's submission."""
    import json

    from airflow.models.task_state_store import TaskStateStoreModel
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        value = session.scalars(
            select(TaskStateStoreModel.value).where(
                TaskStateStoreModel.dag_id == run.dag.dag_id,
                TaskStateStoreModel.run_id == run.run_id,
                TaskStateStoreModel.task_id == task_id,
            )
        ).one()
    return json.loads(value) if isinstance(value, str) else value


def try_number(run: Run, map_index: int = -1) -> int:
    from airflow.utils.session import create_session

    with create_session() as session:
        return run._ti(session, TASK, map_index).try_number
