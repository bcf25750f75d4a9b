"""Watchers of an account over real sockets: what they tell, share, and wait out."""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_veo3.triggers import completed
from tests.support.connections import connection_to, use_connection
from tests.support.waits import HOUR, pages, submit
from tests.support.watches import A_WHILE, Watch, looked, until, watcher

if TYPE_CHECKING:
    from airflow_provider_veo3.emulator import Emulator

pytestmark = [
    pytest.mark.filterwarnings("error::ResourceWarning"),
    pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.usefixtures("_no_delay"),
]


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


async def three_in_one_look(emulator: Emulator) -> tuple[Watch, list[str]]:
    """Let somebody watch an account in which three complete between two looks."""
    emulator.configure(processing_seconds=HOUR)
    watch = Watch(watcher())
    await looked(emulator)
    emulator.inject({"endpoint": "history", "kind": "status", "status": 503, "times": None})
    ids = [await asyncio.to_thread(submit) for _ in range(3)]
    for each in ids:
        emulator.force(each, "complete")
    emulator.clear_faults()
    return watch, ids


def test_the_last_of_several_comes_when_airflow_has_started_the_runs_for_the_others(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(completed, "RUN_DELAY", 0.5)

    async def run() -> list[float]:
        watch, ids = await three_in_one_look(emulator)
        await until(lambda: len(watch.payloads) == 3)
        await watch.stop()
        assert sorted(watch.ids) == sorted(ids)
        return watch.moments

    _, second, third = asyncio.run(run())
    assert third - second >= 0.49


def test_only_the_last_of_several_waits(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(completed, "RUN_DELAY", HOUR)

    async def run() -> None:
        watch, ids = await three_in_one_look(emulator)
        await until(lambda: len(watch.payloads) == 2)
        await looked(emulator, 3)
        await watch.stop()
        assert len(watch.ids) == 2
        assert set(watch.ids) < set(ids)

    asyncio.run(run())


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
        before = time.monotonic()
        emulator.inject({**limited, "endpoint": "history"})
        await until(lambda: emulator.ledger()["requests"]["history"].get("429"))
        begun = pages(emulator)
        late = Watch(watcher())  # whoever comes later does not hasten it
        await until(lambda: pages(emulator) > begun)
        again = time.monotonic()
        await watch.stop()
        await late.stop()
        return again - before

    assert asyncio.run(run()) > 0.9


def test_a_watcher_is_not_sent_away_for_longer_than_links_can_wait(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("airflow_provider_veo3.polling.account.LONGEST_HOLD", 0.2)
    limited = {"kind": "status", "status": 429, "headers": {"X-RateLimit-Retry-After": "60000"}}

    async def run() -> list[str]:
        watch = Watch(watcher())
        await looked(emulator)
        emulator.inject({**limited, "endpoint": "history"})
        generation_id = await asyncio.to_thread(submit)
        async with asyncio.timeout(60):
            await until(lambda: watch.payloads)
        await watch.stop()
        assert watch.ids == [generation_id]
        return watch.ids

    asyncio.run(run())


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
