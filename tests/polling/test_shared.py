"""Triggers that wait in one event loop: what they share, and that they leave nothing behind."""

from __future__ import annotations

import asyncio
import gc
import threading
import warnings
from typing import TYPE_CHECKING, Any

import psutil
import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_veo3.exceptions import Veo3Error
from airflow_provider_veo3.polling.result import WaitResult
from tests.support.connections import connection_to, use_connection
from tests.support.flaky_secrets import PATH, FlakySecrets
from tests.support.waits import HOUR, drain, events_of, looks, submit, submit_many, trigger_for, until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_veo3.emulator import Emulator

pytestmark = [
    pytest.mark.filterwarnings("error::ResourceWarning"),
    pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture
def vault(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[FlakySecrets]]:
    """A secrets backend that knows the connection, and counts how often it is read."""
    from tests.support.airflow_versions import clear_secrets_backends_cache

    monkeypatch.setenv("AIRFLOW__SECRETS__BACKEND", PATH)
    monkeypatch.delenv("AIRFLOW_CONN_VEO3_DEFAULT")
    monkeypatch.setattr("airflow_provider_veo3.polling.shared.CONNECTION_PAUSES", (0.01, 0.01, 0.01))
    # what the operators of other tests hold open in this process, where a worker would have ended
    gc.collect()
    monkeypatch.setattr(f"{__name__}.held_before", held_by_clients(emulator))
    FlakySecrets.reads = FlakySecrets.failures = 0
    FlakySecrets.connections = {"veo3_default": connection_to(emulator), "other": connection_to(emulator)}
    yield FlakySecrets
    clear_secrets_backends_cache()


held_before: set[int] = set()


def held_by_clients(emulator: Emulator) -> set[int]:
    """The local ports from which this process holds connections to the emulator."""
    port = int(emulator.base_url.rpartition(":")[2])
    connections = psutil.Process().net_connections("tcp")
    return {
        each.laddr.port
        for each in connections
        if each.raddr and each.raddr.port == port and each.status == "ESTABLISHED"
    }


def sockets_to(emulator: Emulator) -> int:
    """How many connections to the emulator this test holds open."""
    return len(held_by_clients(emulator) - held_before)


def test_many_triggers_read_the_connection_once_and_share_its_sockets(
    emulator: Emulator, vault: type[FlakySecrets]
) -> None:
    emulator.configure(processing_seconds=HOUR)
    ids = submit_many(40)
    vault.reads = 0
    most = 0

    async def run() -> list[Any]:
        nonlocal most
        waiting = [asyncio.create_task(events_of(trigger_for(each, poll_interval=0.1))) for each in ids]
        pending: set[Any] = set(waiting)
        running = set(ids)
        while pending:
            _, pending = await asyncio.wait(pending, timeout=0.01)
            most = max(most, sockets_to(emulator))
            while most and running:  # they are seen to wait; let them end
                emulator.force(running.pop(), "complete")
        left = sockets_to(emulator)
        assert left == 0, f"{left} sockets are open after the last trigger has ended"
        return [task.result() for task in waiting]

    events = asyncio.run(run())
    assert [event["generation_id"] for (event,) in events] == ids
    assert {event["ending"] for (event,) in events} == {"completed"}
    assert vault.reads == 1
    assert 0 < most <= len(ids)


def test_connections_do_not_share(emulator: Emulator, vault: type[FlakySecrets]) -> None:
    """Each key asks for its own generations, also where host and loop are the same."""
    emulator.add_key("veo3_other_account", credits=1000)
    vault.connections["other"]["password"] = "veo3_other_account"
    mine, theirs = submit(), submit("other")

    async def run() -> list[Any]:
        triggers = [trigger_for(mine), trigger_for(theirs, veo3_conn_id="other"), trigger_for(theirs)]
        return await asyncio.gather(*map(events_of, triggers))

    (first,), (second,), (third,) = asyncio.run(run())
    assert first["ending"] == second["ending"] == "completed"
    assert (third["ending"], third["reason"]) == ("error", "Veo3GenerationNotFoundError")


def test_event_loops_do_not_share(emulator: Emulator, vault: type[FlakySecrets]) -> None:
    """A transport belongs to the loop it was made in; two loops at once each have their own."""
    emulator.inject({"kind": "garbage", "endpoint": "status", "times": 6})
    ids = submit_many(2)
    vault.reads = 0
    together = threading.Barrier(2, timeout=120)
    ended: dict[str, Any] = {}

    def loop(generation_id: str) -> None:
        together.wait()
        ended[generation_id] = asyncio.run(events_of(trigger_for(generation_id)))

    threads = [threading.Thread(target=loop, args=(each,)) for each in ids]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=120)
    assert [ended[each][0]["ending"] for each in ids] == ["completed", "completed"]
    assert vault.reads == 2


@pytest.mark.parametrize("moment", ["connecting", "asking", "pausing"])
def test_cancelling_leaves_nothing_behind(
    emulator: Emulator, vault: type[FlakySecrets], moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A triggerer that shuts down, or hands a trigger on, cancels it at any moment."""
    emulator.configure(processing_seconds=HOUR)
    generation_id = submit()
    vault.reads = 0
    if moment == "connecting":
        vault.failures = 1
        monkeypatch.setattr("airflow_provider_veo3.polling.shared.CONNECTION_PAUSES", (HOUR,))
    if moment == "asking":
        emulator.inject({"kind": "delay", "endpoint": "status", "seconds": 1})

    async def run() -> None:
        interval = HOUR if moment == "pausing" else 0.01
        waiting = asyncio.create_task(events_of(trigger_for(generation_id, poll_interval=interval)))
        match moment:
            case "connecting" | "pausing":
                await until(lambda: vault.reads)
            case _:
                await until(lambda: emulator.faults()[0]["met"])
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert sockets_to(emulator) == 0
        if moment == "asking":  # the emulator counts it all the same, and not among those of another test
            await until(lambda: looks(emulator))

    asyncio.run(run())
    gc.collect()


def test_no_moment_of_connecting_swallows_a_cancellation(
    emulator: Emulator, vault: type[FlakySecrets], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The anyio that came with Airflow 3.0 swallows it in some; who waits must go all the same."""
    from airflow_provider_veo3.api.transport import AsyncTransport
    from airflow_provider_veo3.hooks.veo3 import Veo3Hook

    emulator.configure(processing_seconds=HOUR)
    generation_id = submit()
    run_flow = AsyncTransport.run

    async def run(turns: int) -> None:
        begun = asyncio.Event()

        async def tell(transport: AsyncTransport, *args: Any, **options: Any) -> Any:
            begun.set()
            return await run_flow(transport, *args, **options)

        monkeypatch.setattr(AsyncTransport, "run", tell)
        waiting = asyncio.create_task(events_of(trigger_for(generation_id, poll_interval=0.01)))
        await begun.wait()
        for _ in range(turns):
            await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert asyncio.all_tasks() == {asyncio.current_task()}

    with warnings.catch_warnings():
        # the same anyio leaves a socket to the garbage collector in some
        warnings.filterwarnings("ignore", category=ResourceWarning)
        for turns in range(20):
            asyncio.run(run(turns))
        gc.collect()
    Veo3Hook().get_generation(generation_id)  # the emulator has counted those before by then


def test_cancelling_one_leaves_the_others_alone(emulator: Emulator, vault: type[FlakySecrets]) -> None:
    """Also the one that was first, and opened what they share."""
    emulator.configure(processing_seconds=HOUR)
    ids = submit_many(3)
    vault.reads, vault.failures = 0, 1

    async def run() -> list[Any]:
        first, *others = [asyncio.create_task(events_of(trigger_for(each))) for each in ids]
        await until(lambda: vault.reads)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        assert first.cancelled()
        for each in ids:
            emulator.force(each, "complete")
        return await asyncio.gather(*others)

    assert [event["ending"] for (event,) in asyncio.run(run())] == ["completed", "completed"]
    assert vault.reads == 2


def test_a_secrets_backend_that_is_away_for_a_moment_is_asked_again(
    emulator: Emulator, vault: type[FlakySecrets]
) -> None:
    generation_id = submit()
    vault.reads, vault.failures = 0, 3
    assert drain(trigger_for(generation_id))["ending"] == "completed"
    assert vault.reads == 4


def test_a_secrets_backend_that_stays_away_ends_the_wait(
    emulator: Emulator, vault: type[FlakySecrets]
) -> None:
    generation_id = submit()
    vault.reads, vault.failures = 0, 1000
    event = drain(trigger_for(generation_id))
    assert (event["ending"], event["reason"]) == ("error", "Veo3Error")
    with pytest.raises(Veo3Error) as caught:
        WaitResult.from_event(event).manifest_or_raise(sensor=True)
    assert not isinstance(caught.value, AirflowFailException), "a retry can mend it"
    assert "'veo3_default' cannot be read in the triggerer" in event["message"]
    assert vault.reads == 4
    assert looks(emulator) == 0


def test_a_connection_that_is_there_but_wrong_ends_the_wait_at_once(
    emulator: Emulator, vault: type[FlakySecrets]
) -> None:
    generation_id = submit()
    vault.connections["veo3_default"]["password"] = ""
    vault.reads = 0
    event = drain(trigger_for(generation_id))
    assert (event["ending"], event["reason"]) == ("error", "Veo3ConnectionConfigError")
    assert "password is empty" in event["message"]
    assert vault.reads == 1


def test_a_line_that_failed_is_opened_anew_for_the_next(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    generation_id = submit()

    async def run() -> list[Any]:
        use_connection(monkeypatch, emulator, password="")
        (refused,) = await events_of(trigger_for(generation_id))
        use_connection(monkeypatch, emulator)
        (completed,) = await events_of(trigger_for(generation_id))
        return [refused["ending"], completed["ending"]]

    assert asyncio.run(run()) == ["error", "completed"]
