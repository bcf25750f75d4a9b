"""Watchers of an account over real sockets: what they report, share, and wait out."""

from __future__ import annotations

import asyncio
import json
import time
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_veo3.history.completed import Cursor
from airflow_provider_veo3.polling.account import AccountWatcher
from airflow_provider_veo3.polling.account import watching as watching_account
from airflow_provider_veo3.polling.shared import Pollers
from tests.support.connections import connection_to, use_connection
from tests.support.waits import HOUR, pages, submit, until
from tests.support.watches import A_WHILE, polled, watcher, watching

if TYPE_CHECKING:
    from airflow_provider_veo3.emulator import Emulator

pytestmark = [
    pytest.mark.filterwarnings("error::ResourceWarning"),
    pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.mark.parametrize("order", ["newest", "oldest"])
def test_all_watchers_report_each_completion_once_from_the_same_polls(emulator: Emulator, order: str) -> None:
    """Whoever submitted it."""
    emulator.configure(history_order=order)
    before = submit()
    emulator.advance(A_WHILE)

    async def run() -> tuple[list[str], list[list[str]], int]:
        async with watching(*(watcher() for _ in range(10))) as watches:
            await polled(emulator)
            ids = [await asyncio.to_thread(submit) for _ in range(3)]
            await until(lambda: all(len(watch.payloads) == 3 for watch in watches))
            begun = pages(emulator)
            await polled(emulator, 5)
            return ids, [watch.ids for watch in watches], pages(emulator) - begun

    ids, reported, requests = asyncio.run(run())
    assert before not in ids
    assert all(sorted(each) == sorted(ids) for each in reported)
    assert requests <= 7, "each watcher polls for itself"


def test_the_payload_is_the_manifest(emulator: Emulator) -> None:
    async def run() -> list[Any]:
        async with watching() as (watch,):
            await polled(emulator)
            await asyncio.to_thread(submit)
            await until(lambda: watch.payloads)
            return watch.payloads

    (payload,) = asyncio.run(run())
    assert payload["status"] == "completed"
    assert payload["type"] == "text-to-video"
    assert payload["credits_used"] == 190
    assert "http" not in json.dumps(payload)


async def complete_three_between_two_polls(emulator: Emulator) -> list[str]:
    emulator.configure(processing_seconds=HOUR)
    await polled(emulator)
    emulator.inject({"endpoint": "history", "kind": "status", "status": 503, "times": None})
    ids = [await asyncio.to_thread(submit) for _ in range(3)]
    for each in ids:
        emulator.force(each, "complete")
    emulator.clear_faults()
    return ids


def test_the_last_of_several_comes_when_airflow_has_started_the_runs_for_the_others(
    emulator: Emulator,
) -> None:
    async def run() -> list[float]:
        async with watching(run_delay=0.5) as (watch,):
            ids = await complete_three_between_two_polls(emulator)
            await until(lambda: len(watch.payloads) == 3)
            assert sorted(watch.ids) == sorted(ids)
            return watch.moments

    _, second, third = asyncio.run(run())
    assert third - second >= 0.49


def test_only_the_last_of_several_waits(emulator: Emulator) -> None:
    async def run() -> None:
        async with watching(run_delay=HOUR) as (watch,):
            ids = await complete_three_between_two_polls(emulator)
            await until(lambda: len(watch.payloads) == 2)
            await polled(emulator, 3)
            assert len(watch.ids) == 2
            assert set(watch.ids) < set(ids)

    asyncio.run(run())


def test_neither_failed_nor_running_generations_are_reported(emulator: Emulator) -> None:
    emulator.configure(processing_seconds=HOUR)

    async def run() -> None:
        async with watching() as (watch,):
            await polled(emulator)
            _running, failing, good = [await asyncio.to_thread(submit) for _ in range(3)]
            emulator.force(failing, "fail")
            emulator.force(good, "complete")
            await until(lambda: watch.payloads)
            await polled(emulator, 3)
            assert watch.ids == [good]

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
    async def run() -> None:
        async with watching() as (watch,):
            await polled(emulator)
            emulator.inject({**fault, "endpoint": "history", "times": 3})
            generation_id = await asyncio.to_thread(submit)
            await until(lambda: watch.payloads)
            assert watch.ids == [generation_id]

    asyncio.run(run())


def test_the_api_is_left_alone_as_long_as_it_asks(emulator: Emulator) -> None:
    limited = {"kind": "status", "status": 429, "headers": {"X-RateLimit-Retry-After": "1"}}

    async def run() -> float:
        async with watching():
            await polled(emulator)
            before = time.monotonic()
            emulator.inject({**limited, "endpoint": "history"})
            await until(lambda: emulator.ledger()["requests"]["history"].get("429"))
            begun = pages(emulator)
            async with watching():  # which does not hasten the next poll
                await until(lambda: pages(emulator) > begun)
                return time.monotonic() - before

    assert asyncio.run(run()) > 0.9


def test_a_watcher_is_not_sent_away_for_longer_than_links_can_wait(emulator: Emulator) -> None:
    limited = {"kind": "status", "status": 429, "headers": {"X-RateLimit-Retry-After": "60000"}}
    watchers = Pollers(partial(AccountWatcher, longest_hold=0.2))

    async def run() -> None:
        cursor = Cursor(time.time())
        async with (
            asyncio.timeout(60),
            watching_account("veo3_default", cursor, 0.05, watchers) as watcher,
        ):
            cursor.take(await watcher.results.get(), time.time())
            emulator.inject({**limited, "endpoint": "history"})
            generation_id = await asyncio.to_thread(submit)
            new: list[Any] = []
            while not new:
                new = cursor.take(await watcher.results.get(), time.time())
            assert [generation.id for generation in new] == [generation_id]
        assert emulator.ledger()["requests"]["history"]["429"] == 1

    asyncio.run(run())


def test_a_key_that_was_replaced_is_used(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    emulator.add_key("veo3_old_key", credits=1000, account="team")
    emulator.add_key("veo3_new_key", account="team")
    use_connection(monkeypatch, emulator, password="veo3_old_key")

    async def run() -> None:
        async with watching() as (watch,):
            await polled(emulator)
            emulator.add_key("veo3_old_key", disabled=True)
            await polled(emulator, 3)
            use_connection(monkeypatch, emulator, password="veo3_new_key")
            generation_id = await asyncio.to_thread(submit)
            await until(lambda: watch.payloads)
            assert watch.ids == [generation_id]

    asyncio.run(run())


def test_a_connection_that_comes_late_is_waited_for(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = json.dumps(connection_to(emulator))

    async def run() -> None:
        async with watching(watcher("veo3_late")) as (watch,):
            await asyncio.sleep(0)
            assert pages(emulator) == 0
            monkeypatch.setenv("AIRFLOW_CONN_VEO3_LATE", connection)
            await polled(emulator)
            generation_id = await asyncio.to_thread(submit)
            await until(lambda: watch.payloads)
            assert watch.ids == [generation_id]

    asyncio.run(run())


def test_two_accounts_are_watched_apart(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    emulator.add_key("veo3_second_key", credits=1000)
    use_connection(monkeypatch, emulator, "veo3_second", password="veo3_second_key")

    async def run() -> None:
        async with watching(watcher(), watcher("veo3_second")) as (first, second):
            await polled(emulator, 4)
            ids = [await asyncio.to_thread(submit, conn) for conn in ("veo3_default", "veo3_second")]
            await until(lambda: first.payloads and second.payloads)
            assert [first.ids, second.ids] == [[each] for each in ids]

    asyncio.run(run())
