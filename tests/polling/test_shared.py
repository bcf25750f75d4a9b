"""Waits in one event loop: the poller they share, and that it leaves nothing behind."""

from __future__ import annotations

import asyncio
import gc
import threading
import warnings
from functools import partial
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from airflow_provider_veo3.airflow_names import AirflowFailException
from airflow_provider_veo3.exceptions import Veo3Error
from airflow_provider_veo3.polling.result import WaitResult
from airflow_provider_veo3.polling.shared import GenerationPoller, Pollers, connect
from tests.support.connections import connection_to, use_connection
from tests.support.flaky_secrets import PATH, FlakySecrets
from tests.support.waits import HOUR, status_requests, submit, submit_many, until, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_provider_veo3.emulator import Emulator

pytestmark = [
    pytest.mark.filterwarnings("error::ResourceWarning"),
    pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning"),
]


def new_pollers(**options: Any) -> Pollers[GenerationPoller]:
    """Pollers that wait hardly at all between tries to read the connection."""
    return Pollers(partial(GenerationPoller, **{"connection_pauses": (0.01, 0.01, 0.01)} | options))


@pytest.fixture
def pollers() -> Pollers[GenerationPoller]:
    return new_pollers()


@pytest.fixture
def vault(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[FlakySecrets]]:
    """A secrets backend that knows the connection, and counts how often it is read."""
    from tests.support.airflow_versions import clear_secrets_backends_cache

    monkeypatch.setenv("AIRFLOW__SECRETS__BACKEND", PATH)
    monkeypatch.delenv("AIRFLOW_CONN_VEO3_DEFAULT")
    FlakySecrets.reads = FlakySecrets.failures = 0
    FlakySecrets.connections = {"veo3_default": connection_to(emulator), "other": connection_to(emulator)}
    yield FlakySecrets
    clear_secrets_backends_cache()


@pytest.fixture
def sockets(emulator: Emulator) -> Callable[[], int]:
    """Number of connections to the emulator that the test holds open."""
    port = int(emulator.base_url.rpartition(":")[2])

    def local_ports() -> set[int]:
        connections = psutil.Process().net_connections("tcp")
        return {
            each.laddr.port
            for each in connections
            if each.raddr and each.raddr.port == port and each.status == "ESTABLISHED"
        }

    # what the operators of other tests hold open in this process, where a worker would have ended
    gc.collect()
    before = local_ports()
    return lambda: len(local_ports() - before)


def test_many_waits_read_the_connection_once_and_share_its_sockets(
    emulator: Emulator,
    vault: type[FlakySecrets],
    pollers: Pollers[GenerationPoller],
    sockets: Callable[[], int],
) -> None:
    emulator.configure(processing_seconds=HOUR)
    ids = submit_many(40)
    vault.reads = 0
    most = 0

    async def run() -> list[WaitResult]:
        nonlocal most
        waiting = [asyncio.create_task(wait_for(each, pollers, poll_interval=0.1)) for each in ids]
        pending: set[Any] = set(waiting)
        running = set(ids)
        while pending:
            _, pending = await asyncio.wait(pending, timeout=0.01)
            most = max(most, sockets())
            while most and running:  # they are seen to wait; let them end
                emulator.force(running.pop(), "complete")
        left = sockets()
        assert left == 0, f"{left} sockets are open after the last wait has ended"
        return [task.result() for task in waiting]

    results = asyncio.run(run())
    assert [result.generation_id for result in results] == ids
    assert {result.ending for result in results} == {"completed"}
    assert vault.reads == 1
    assert 0 < most <= len(ids)


def test_connections_do_not_share(
    emulator: Emulator, vault: type[FlakySecrets], pollers: Pollers[GenerationPoller]
) -> None:
    """Each key polls its own generations, also where host and loop are the same."""
    emulator.add_key("veo3_other_account", credits=1000)
    vault.connections["other"]["password"] = "veo3_other_account"
    mine, theirs = submit(), submit("other")

    async def run() -> list[WaitResult]:
        return await asyncio.gather(
            wait_for(mine, pollers),
            wait_for(theirs, pollers, veo3_conn_id="other"),
            wait_for(theirs, pollers, accepted_at=1e9),
        )

    first, second, third = asyncio.run(run())
    assert first.ending == second.ending == "completed"
    assert (third.ending, third.reason) == ("error", "Veo3GenerationNotFoundError")


def test_event_loops_do_not_share(
    emulator: Emulator, vault: type[FlakySecrets], pollers: Pollers[GenerationPoller]
) -> None:
    """A transport belongs to the loop it was made in; two loops at once each have their own."""
    emulator.inject({"kind": "garbage", "endpoint": "status", "times": 6})
    ids = submit_many(2)
    vault.reads = 0
    together = threading.Barrier(2, timeout=120)
    ended: dict[str, WaitResult] = {}

    def loop(generation_id: str) -> None:
        together.wait()
        ended[generation_id] = asyncio.run(wait_for(generation_id, pollers))

    threads = [threading.Thread(target=loop, args=(each,)) for each in ids]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=120)
    assert [ended[each].ending for each in ids] == ["completed", "completed"]
    assert vault.reads == 2


@pytest.mark.parametrize("moment", ["connecting", "polling", "pausing"])
def test_cancelling_leaves_nothing_behind(
    emulator: Emulator, vault: type[FlakySecrets], sockets: Callable[[], int], moment: str
) -> None:
    """A triggerer that shuts down, or hands a trigger on, cancels it at any moment."""
    emulator.configure(processing_seconds=HOUR)
    generation_id = submit()
    vault.reads = 0
    pollers = new_pollers(connection_pauses=(HOUR,))
    if moment == "connecting":
        vault.failures = 1
    if moment == "polling":
        emulator.inject({"kind": "delay", "endpoint": "status", "seconds": 1})

    async def run() -> None:
        interval = HOUR if moment == "pausing" else 0.01
        waiting = asyncio.create_task(wait_for(generation_id, pollers, poll_interval=interval))
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
        assert sockets() == 0
        if moment == "polling":  # the emulator counts it all the same, and not among those of another test
            await until(lambda: status_requests(emulator))

    asyncio.run(run())
    gc.collect()


class Announced:
    """A transport that sets an event before each call."""

    def __init__(self, transport: Any, called: asyncio.Event) -> None:
        self._transport, self._called = transport, called

    async def run(self, *args: Any, **options: Any) -> Any:
        self._called.set()
        return await self._transport.run(*args, **options)

    async def close(self) -> None:
        await self._transport.close()


def test_no_moment_of_connecting_swallows_a_cancellation(
    emulator: Emulator, vault: type[FlakySecrets]
) -> None:
    """The anyio that came with Airflow 3.0 swallows it in some; the poller must end all the same."""
    from airflow_provider_veo3.hooks.veo3 import Veo3Hook

    emulator.configure(processing_seconds=HOUR)
    generation_id = submit()

    async def run(turns: int) -> None:
        called = asyncio.Event()

        async def connect_announced(conn_id: str) -> tuple[Any, Any]:
            settings, transport = await connect(conn_id)
            return settings, Announced(transport, called)

        waiting = asyncio.create_task(wait_for(generation_id, new_pollers(connect=connect_announced)))
        await called.wait()
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


def test_cancelling_one_wait_leaves_the_others_alone(
    emulator: Emulator, vault: type[FlakySecrets], pollers: Pollers[GenerationPoller]
) -> None:
    """Also the one that was first, and opened what they share."""
    emulator.configure(processing_seconds=HOUR)
    ids = submit_many(3)
    vault.reads, vault.failures = 0, 1

    async def run() -> list[WaitResult]:
        first, *others = [asyncio.create_task(wait_for(each, pollers)) for each in ids]
        await until(lambda: vault.reads)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        assert first.cancelled()
        for each in ids:
            emulator.force(each, "complete")
        return await asyncio.gather(*others)

    assert [result.ending for result in asyncio.run(run())] == ["completed", "completed"]
    assert vault.reads == 2


def test_a_secrets_backend_that_fails_for_a_moment_is_read_again(
    emulator: Emulator, vault: type[FlakySecrets], pollers: Pollers[GenerationPoller]
) -> None:
    generation_id = submit()
    vault.reads, vault.failures = 0, 3
    assert asyncio.run(wait_for(generation_id, pollers)).ending == "completed"
    assert vault.reads == 4


def test_a_secrets_backend_that_keeps_failing_ends_the_wait(
    emulator: Emulator, vault: type[FlakySecrets], pollers: Pollers[GenerationPoller]
) -> None:
    generation_id = submit()
    vault.reads, vault.failures = 0, 1000
    result = asyncio.run(wait_for(generation_id, pollers))
    assert (result.ending, result.reason) == ("error", "Veo3Error")
    with pytest.raises(Veo3Error) as caught:
        WaitResult.from_event(result.to_event()).manifest_or_raise(sensor=True)
    assert not isinstance(caught.value, AirflowFailException), "a retry can mend it"
    assert "'veo3_default' cannot be read in the triggerer" in result.message
    assert vault.reads == 4
    assert status_requests(emulator) == 0


def test_a_connection_that_is_there_but_wrong_ends_the_wait_at_once(
    emulator: Emulator, vault: type[FlakySecrets], pollers: Pollers[GenerationPoller]
) -> None:
    generation_id = submit()
    vault.connections["veo3_default"]["password"] = ""
    vault.reads = 0
    result = asyncio.run(wait_for(generation_id, pollers))
    assert (result.ending, result.reason) == ("error", "Veo3ConnectionConfigError")
    assert "password is empty" in result.message
    assert vault.reads == 1


def test_a_poller_that_failed_is_replaced_for_the_next_wait(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch, pollers: Pollers[GenerationPoller]
) -> None:
    generation_id = submit()

    async def run() -> list[str]:
        use_connection(monkeypatch, emulator, password="")
        refused = await wait_for(generation_id, pollers)
        use_connection(monkeypatch, emulator)
        completed = await wait_for(generation_id, pollers)
        return [refused.ending, completed.ending]

    assert asyncio.run(run()) == ["error", "completed"]
