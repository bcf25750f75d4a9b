"""Watchers that a triggerer makes again: the cursor they keep in between."""

from __future__ import annotations

import asyncio
import json
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_veo3.triggers.completed import Veo3CompletedGenerationsTrigger
from tests.support.airflow_versions import AIRFLOW
from tests.support.connections import connection_to
from tests.support.waits import submit, until
from tests.support.watches import A_WHILE, INTERVAL, polled, watcher, watching

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_veo3.emulator import Emulator

pytestmark = [
    pytest.mark.filterwarnings("error::ResourceWarning"),
    pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning"),
]


@contextmanager
def triggerer(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A triggerer's way to Airflow's API, in this process."""
    import psutil
    import structlog
    from airflow.sdk._shared.timezones import timezone
    from airflow.sdk.execution_time.supervisor import (
        InProcessSupervisorComms,
        InProcessTestSupervisor,
        set_supervisor_comms,
    )

    async def asend(comms: InProcessSupervisorComms, message: Any) -> Any:
        return comms.send(message)

    monkeypatch.setattr(InProcessSupervisorComms, "asend", asend, raising=False)
    supervisor = InProcessTestSupervisor(
        id=timezone.utcnow().isoformat(),
        pid=os.getpid(),
        process=psutil.Process(),
        process_log=structlog.get_logger(logger_name="task"),
        client=InProcessTestSupervisor._api_client(),
    )
    supervisor.comms = InProcessSupervisorComms(supervisor=supervisor)
    with set_supervisor_comms(supervisor.comms):
        yield


def made_by_a_triggerer(name: str) -> tuple[int, Veo3CompletedGenerationsTrigger]:
    """Make the trigger from the database row of a DAG's asset watcher."""
    from airflow.models.asset import AssetModel
    from airflow.models.trigger import Trigger
    from airflow.sdk import Asset
    from airflow.sdk._shared.module_loading import import_string
    from airflow.sdk.execution_time.context import AssetStateStoreAccessors
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        row = session.scalars(select(Trigger).where(Trigger.assets.any(AssetModel.name == name))).one()
        assets = [Asset(name=asset.name, uri=asset.uri) for asset in row.assets]
        trigger = import_string(row.classpath)(**row.kwargs)
        trigger.asset_state_store = AssetStateStoreAccessors(inlets=assets)
        return row.id, trigger


@pytest.mark.skipif(
    AIRFLOW < (3, 3), reason="asset state store: Airflow 3.3; else see test_before_there_is_a_state_store..."
)
@pytest.mark.parametrize("names", [["one"], ["first", "second"]], ids=str)
def test_after_a_restart_missed_completions_are_reported_and_none_twice(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch, names: list[str]
) -> None:
    """Two assets have triggers that differ, since equal ones are a single trigger to Airflow."""
    from airflow.models.asset import AssetEvent
    from airflow.models.trigger import Trigger
    from airflow.sdk import DAG, Asset, AssetWatcher
    from airflow.utils.session import create_session
    from sqlalchemy import select

    from tests.support.task_runs import Run

    monkeypatch.setenv("AIRFLOW_CONN_VEO3_WATCHED", json.dumps(connection_to(emulator)))
    conn_id = "veo3_watched" if len(names) == 1 else "veo3_default"
    triggers = [watcher(conn_id, INTERVAL + number / 100) for number, _ in enumerate(names)]
    assets = [
        Asset(f"veo3_watched_{name}", watchers=[AssetWatcher("veo3", trigger)])
        for name, trigger in zip(names, triggers, strict=True)
    ]
    with DAG(f"watching_{len(names)}", schedule=assets, is_paused_upon_creation=False) as dag:
        pass
    for _ in range(2):  # Airflow watches assets of DAGs that it has met before
        Run(dag)

    async def life(submits: int, expected: int) -> list[str]:
        from airflow.triggers.base import TriggerEvent

        trigger_id, trigger = made_by_a_triggerer(assets[0].name)
        async with watching(trigger) as (watch,):
            await polled(emulator)
            for _ in range(submits):
                await asyncio.to_thread(submit)
            await until(lambda: len(watch.payloads) >= expected)
            await polled(emulator, 3)
        for payload in watch.payloads:
            Trigger.submit_event(trigger_id, TriggerEvent(payload))
        return watch.ids

    with triggerer(monkeypatch):
        first = asyncio.run(life(2, 2))
        missed = submit()
        second = asyncio.run(life(1, 2))
        third = asyncio.run(life(0, 0))
    reported = [*first, *second, *third]
    assert (len(first), len(second), third) == (2, 2, [])
    assert second[0] == missed
    assert len(set(reported)) == 4
    rows = select(AssetEvent).where(AssetEvent.asset.has(name=assets[0].name)).order_by(AssetEvent.id)
    with create_session() as session:
        events = session.scalars(rows).all()
        assert [event.extra["payload"]["id"] for event in events] == reported


@pytest.mark.skipif(
    AIRFLOW < (3, 3), reason="asset state store: Airflow 3.3; else see test_before_there_is_a_state_store..."
)
def test_equal_triggers_of_several_assets_keep_no_cursor_and_say_so(
    emulator: Emulator, capsys: pytest.CaptureFixture[str]
) -> None:
    """Airflow makes a single trigger of them, which cannot tell whose state to use."""
    from airflow.sdk import Asset
    from airflow.sdk.execution_time.context import AssetStateStoreAccessors

    async def run() -> None:
        trigger = watcher()
        trigger.asset_state_store = AssetStateStoreAccessors(inlets=[Asset("one"), Asset("other")])
        async with watching(trigger) as (watch,):
            await polled(emulator)
            generation_id = await asyncio.to_thread(submit)
            await until(lambda: watch.payloads)
            await polled(emulator)
            assert watch.ids == [generation_id]

    asyncio.run(run())
    (warning,) = [line for line in capsys.readouterr().out.splitlines() if "cursor" in line]
    assert "another poll_interval" in warning


def test_before_there_is_a_state_store_only_completions_while_it_runs_are_reported(
    emulator: Emulator,
) -> None:
    async def life() -> tuple[str, list[str]]:
        async with watching() as (watch,):
            await polled(emulator)
            generation_id = await asyncio.to_thread(submit)
            await until(lambda: watch.payloads)
            await polled(emulator)
            return generation_id, watch.ids

    first, reported = asyncio.run(life())
    assert reported == [first]
    submit()  # while no trigger runs
    emulator.advance(A_WHILE)
    second, reported = asyncio.run(life())
    assert reported == [second]


def test_without_a_cursor_to_read_it_does_not_begin_anew(emulator: Emulator) -> None:
    """Before it is known that there is none, nothing is requested or reported."""

    class Flaky:
        def __init__(self) -> None:
            self.reads = 0
            self.kept: dict[str, Any] = {}

        async def aget(self, key: str) -> Any:
            self.reads += 1
            if self.reads < 4:
                raise RuntimeError("the database is away")
            return self.kept.get(key)

        async def aset(self, key: str, value: Any) -> None:
            if not self.kept:
                self.kept[key] = value
                raise RuntimeError("the database is away again")
            self.kept[key] = value

    async def run() -> None:
        trigger = watcher()
        trigger.asset_state_store = store = Flaky()  # type: ignore[assignment]
        async with watching(trigger) as (watch,):
            await polled(emulator)
            assert store.reads == 4
            generation_id = await asyncio.to_thread(submit)
            await until(lambda: watch.payloads)
            await polled(emulator)
        (kept,) = store.kept.values()
        assert list(kept["told"]) == watch.ids == [generation_id]

    asyncio.run(run())


def test_it_goes_into_the_database_and_comes_back() -> None:
    from airflow.models.trigger import Trigger
    from airflow.triggers.base import BaseEventTrigger

    original = Veo3CompletedGenerationsTrigger()
    path, kwargs = original.serialize()
    assert kwargs == {"veo3_conn_id": "veo3_default", "poll_interval": 300.0}
    assert Trigger.from_object(original).kwargs == kwargs
    same = BaseEventTrigger.hash(path, Veo3CompletedGenerationsTrigger(poll_interval=300.0).serialize()[1])
    assert BaseEventTrigger.hash(path, kwargs) == same
