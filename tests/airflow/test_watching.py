"""Watchers of an account over real sockets, as a triggerer makes them: what they tell, share, and survive."""

from __future__ import annotations

import asyncio
import json
import os
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from airflow_versions import AIRFLOW
from connections import connection_to, use_connection
from test_trigger import HOUR, submit

from airflow_provider_veo3.triggers import completed
from airflow_provider_veo3.triggers.completed import Veo3CompletedGenerationsTrigger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_provider_veo3.emulator import Emulator

pytestmark = [
    pytest.mark.filterwarnings("error::ResourceWarning"),
    pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning"),
]
INTERVAL = 0.05


@pytest.fixture(autouse=True)
def _no_delay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(completed, "COMMIT_DELAY", 0.0)
    monkeypatch.setattr(completed, "RUN_DELAY", 0.0)
    monkeypatch.setattr(completed, "STATE_PAUSES", (0.01,))
    Watch.running.clear()


def watcher(conn_id: str = "veo3_default") -> Veo3CompletedGenerationsTrigger:
    return Veo3CompletedGenerationsTrigger(veo3_conn_id=conn_id, poll_interval=INTERVAL)


A_WHILE = 2.0
"""Seconds that pass at the API, which tells its time in whole ones: what is younger may be taken for new."""


class Watch:
    """A trigger that runs until it is stopped; what it has told."""

    running: ClassVar[list[Watch]] = []

    def __init__(self, trigger: Veo3CompletedGenerationsTrigger) -> None:
        self.trigger = trigger
        self.running.append(self)
        self.payloads: list[Any] = []
        self.moments: list[float] = []
        self._task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        async for event in self.trigger.run():
            assert json.loads(json.dumps(event.payload)) == event.payload
            self.payloads.append(event.payload)
            self.moments.append(time.monotonic())

    @property
    def ids(self) -> list[str]:
        return [payload["id"] for payload in self.payloads]

    def check(self) -> None:
        """Raise what has ended it, if anything has."""
        if self._task.done():
            self._task.result()

    async def stop(self) -> None:
        self.check()
        self.running.remove(self)
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


async def until(condition: Callable[[], object]) -> None:
    """Let the loop run until something is so."""
    while not condition():
        await asyncio.sleep(0.005)
        for watch in Watch.running:
            watch.check()


def pages(emulator: Emulator) -> int:
    return sum(emulator.ledger()["requests"].get("history", {}).values())


async def looked(emulator: Emulator, times: int = 2) -> None:
    """Wait until so many looks have been made from now on."""
    goal = pages(emulator) + times
    await until(lambda: pages(emulator) >= goal)


@pytest.mark.parametrize("order", ["newest", "oldest"])
def test_whoever_submitted_it_each_is_told_once_to_everyone_by_one_look(
    emulator: Emulator, order: str
) -> None:
    emulator.configure(history_order=order)
    before = submit()
    emulator.advance(A_WHILE)

    async def run() -> tuple[list[list[str]], int]:
        watches = [Watch(watcher()) for _ in range(10)]
        await looked(emulator)
        ids = [await asyncio.to_thread(submit) for _ in range(3)]
        await until(lambda: all(len(watch.payloads) == 3 for watch in watches))
        begun = pages(emulator)
        await looked(emulator, 5)
        asked = pages(emulator) - begun
        for watch in watches:
            await watch.stop()
        return [watch.ids for watch in watches] + [ids], asked

    (*told, ids), asked = asyncio.run(run())
    assert before not in ids
    assert all(sorted(each) == sorted(ids) for each in told)
    assert asked <= 7, "each watcher asks for itself"


def test_the_payload_is_the_manifest(emulator: Emulator) -> None:
    async def run() -> Any:
        watch = Watch(watcher())
        await looked(emulator)
        await asyncio.to_thread(submit)
        await until(lambda: watch.payloads)
        await watch.stop()
        return watch.payloads

    (payload,) = asyncio.run(run())
    assert payload["status"] == "completed"
    assert payload["type"] == "text-to-video"
    assert payload["credits_used"] == 190
    assert "http" not in json.dumps(payload)


def test_the_last_of_several_comes_when_airflow_has_started_the_runs_for_the_others(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(completed, "RUN_DELAY", 0.5)
    emulator.configure(processing_seconds=HOUR)

    async def run() -> Watch:
        watch = Watch(watcher())
        await looked(emulator)
        emulator.inject({"endpoint": "history", "kind": "status", "status": 503, "times": None})
        ids = [await asyncio.to_thread(submit) for _ in range(3)]
        for each in ids:
            emulator.force(each, "complete")
        emulator.clear_faults()  # which makes them come in one look
        await until(lambda: len(watch.payloads) == 3)
        await watch.stop()
        assert sorted(watch.ids) == sorted(ids)
        return watch

    first, second, third = asyncio.run(run()).moments
    assert third - second >= 0.49
    assert second - first < third - second


def test_failures_and_what_still_runs_are_no_news(emulator: Emulator) -> None:
    emulator.configure(processing_seconds=HOUR)

    async def run() -> list[str]:
        watch = Watch(watcher())
        await looked(emulator)
        running, failing, good = [await asyncio.to_thread(submit) for _ in range(3)]
        emulator.force(failing, "fail")
        emulator.force(good, "complete")
        await until(lambda: watch.payloads)
        await looked(emulator, 3)
        await watch.stop()
        assert watch.ids == [good]
        return [running]

    asyncio.run(run())


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "status", "status": 503},
        {"kind": "disconnect_before"},
        {"kind": "garbage"},
        {"kind": "status", "status": 401},
        {"kind": "status", "status": 429, "headers": {"Retry-After": "0"}},
        {"kind": "status", "status": 404},
    ],
    ids=str,
)
def test_trouble_is_waited_out(emulator: Emulator, fault: dict[str, Any]) -> None:
    async def run() -> list[str]:
        watch = Watch(watcher())
        await looked(emulator)
        emulator.inject({**fault, "endpoint": "history", "times": 3})
        generation_id = await asyncio.to_thread(submit)
        await until(lambda: watch.payloads)
        await watch.stop()
        assert watch.ids == [generation_id]
        return watch.ids

    asyncio.run(run())


def test_what_the_api_asks_to_wait_is_waited(emulator: Emulator) -> None:
    limited = {"kind": "status", "status": 429, "headers": {"X-RateLimit-Retry-After": "1"}}

    async def run() -> float:
        watch = Watch(watcher())
        await looked(emulator)
        emulator.inject({**limited, "endpoint": "history"})
        await until(lambda: emulator.ledger()["requests"]["history"].get("429"))
        refused, begun = time.monotonic(), pages(emulator)
        late = Watch(watcher())  # whoever comes later does not hasten it
        await until(lambda: pages(emulator) > begun)
        again = time.monotonic()
        await watch.stop()
        await late.stop()
        return again - refused

    assert asyncio.run(run()) > 0.9


def test_a_key_that_was_replaced_is_taken_up(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    emulator.add_key("veo3_old_key", credits=1000, account="team")
    emulator.add_key("veo3_new_key", account="team")
    use_connection(monkeypatch, emulator, password="veo3_old_key")

    async def run() -> None:
        watch = Watch(watcher())
        await looked(emulator)
        emulator.add_key("veo3_old_key", disabled=True)
        await looked(emulator, 3)
        use_connection(monkeypatch, emulator, password="veo3_new_key")
        generation_id = await asyncio.to_thread(submit)
        await until(lambda: watch.payloads)
        await watch.stop()
        assert watch.ids == [generation_id]

    asyncio.run(run())


def test_a_connection_that_comes_late_is_waited_for(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = json.dumps(connection_to(emulator))

    async def run() -> None:
        watch = Watch(watcher("veo3_late"))
        await asyncio.sleep(0)
        assert pages(emulator) == 0
        monkeypatch.setenv("AIRFLOW_CONN_VEO3_LATE", connection)
        await looked(emulator)
        generation_id = await asyncio.to_thread(submit)
        await until(lambda: watch.payloads)
        await watch.stop()
        assert watch.ids == [generation_id]

    asyncio.run(run())


def test_two_accounts_are_watched_apart(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    emulator.add_key("veo3_second_key", credits=1000)
    use_connection(monkeypatch, emulator, "veo3_second", password="veo3_second_key")

    async def run() -> None:
        first, second = Watch(watcher()), Watch(watcher("veo3_second"))
        await looked(emulator, 4)
        ids = [await asyncio.to_thread(submit, conn) for conn in ("veo3_default", "veo3_second")]
        await until(lambda: first.payloads and second.payloads)
        await first.stop()
        await second.stop()
        assert [first.ids, second.ids] == [[each] for each in ids]

    asyncio.run(run())


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
    """Make the trigger again from the row that a DAG's asset watcher has in the database."""
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
    AIRFLOW < (3, 3), reason="asset state store: Airflow 3.3; else see test_before_there_is_a_state_store"
)
@pytest.mark.parametrize("names", [["one"], ["first", "second"]], ids=str)
def test_in_airflow_a_restart_tells_what_was_missed_and_nothing_twice(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch, names: list[str]
) -> None:
    """With two assets on an equal trigger Airflow has one trigger, of both assets."""
    from airflow.models.asset import AssetEvent
    from airflow.models.trigger import Trigger
    from airflow.sdk import DAG, Asset, AssetWatcher
    from airflow.utils.session import create_session
    from sqlalchemy import select
    from task_runs import Run

    monkeypatch.setenv("AIRFLOW_CONN_VEO3_WATCHED", json.dumps(connection_to(emulator)))
    conn_id = "veo3_watched" if len(names) == 1 else "veo3_default"
    assets = [
        Asset(f"veo3_watched_{name}", watchers=[AssetWatcher("veo3", watcher(conn_id))]) for name in names
    ]
    with DAG(f"watching_{len(names)}", schedule=assets, is_paused_upon_creation=False) as dag:
        pass
    for _ in range(2):  # Airflow watches assets of DAGs that it has met before
        Run(dag)

    async def life(submits: int, expected: int) -> list[str]:
        trigger_id, trigger = made_by_a_triggerer(assets[0].name)
        watch = Watch(trigger)
        await looked(emulator)
        for _ in range(submits):
            await asyncio.to_thread(submit)
        await until(lambda: len(watch.payloads) >= expected)
        await looked(emulator, 3)
        await watch.stop()
        from airflow.triggers.base import TriggerEvent

        for payload in watch.payloads:
            Trigger.submit_event(trigger_id, TriggerEvent(payload))
        return watch.ids

    with triggerer(monkeypatch):
        first = asyncio.run(life(2, 2))
        missed = submit()
        second = asyncio.run(life(1, 2))
        third = asyncio.run(life(0, 0))
    told = [*first, *second, *third]
    assert (len(first), len(second), third) == (2, 2, [])
    assert second[0] == missed
    assert len(set(told)) == 4
    rows = select(AssetEvent).where(AssetEvent.asset.has(name=assets[-1].name)).order_by(AssetEvent.id)
    with create_session() as session:
        events = session.scalars(rows).all()
        assert [event.extra["payload"]["id"] for event in events] == told


def test_before_there_is_a_state_store_it_tells_what_completes_while_it_runs(emulator: Emulator) -> None:
    async def life() -> tuple[str, list[str]]:
        watch = Watch(watcher())
        await looked(emulator)
        generation_id = await asyncio.to_thread(submit)
        await until(lambda: watch.payloads)
        await looked(emulator)
        await watch.stop()
        return generation_id, watch.ids

    first, told = asyncio.run(life())
    assert told == [first]
    submit()  # while nobody watches
    emulator.advance(A_WHILE)
    second, told = asyncio.run(life())
    assert told == [second]


def test_without_a_cursor_to_read_it_does_not_begin_anew(emulator: Emulator) -> None:
    """Before it is known that there is none, nothing is asked or told."""

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
        watch = Watch(trigger)
        await looked(emulator)
        assert store.reads == 4
        generation_id = await asyncio.to_thread(submit)
        await until(lambda: watch.payloads)
        await looked(emulator)
        await watch.stop()
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
