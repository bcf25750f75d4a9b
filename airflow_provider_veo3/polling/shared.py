"""Pollers in an event loop: one for all waiters on a connection, so that they share its requests."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import time
from abc import ABC, abstractmethod
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Final, Generic, TypeVar
from weakref import WeakKeyDictionary

from airflow_provider_veo3.api import flows
from airflow_provider_veo3.api.retries import ONCE
from airflow_provider_veo3.exceptions import (
    REASON_LENGTH,
    Veo3AuthenticationError,
    Veo3Error,
    Veo3NoAnswerError,
    counted,
    shown,
    shown_text,
)
from airflow_provider_veo3.history.pages import Page, page_flow
from airflow_provider_veo3.hooks.veo3 import Veo3Hook
from airflow_provider_veo3.polling.durations import Durations
from airflow_provider_veo3.polling.result import WaitResult
from airflow_provider_veo3.polling.schedule import Schedule
from airflow_provider_veo3.polling.trouble import Trouble
from airflow_provider_veo3.polling.wait import Wait, iso, will_pass

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from airflow_provider_veo3.api.clock import Clock
    from airflow_provider_veo3.api.flows import Flow
    from airflow_provider_veo3.api.transport import AsyncTransport
    from airflow_provider_veo3.hooks.connection import ConnectionSettings
    from airflow_provider_veo3.polling.schedule import Poll, Request, Response

log = logging.getLogger(__name__)

CONNECTION_PAUSES: Final = (1.0, 3.0, 9.0, 27.0)
"""Seconds between tries to read the Airflow connection in the triggerer."""

GRACE: Final = 60.0
"""Seconds after its deadline at which a wait ends without a last response; Airflow would end it later."""

LONGEST_SLEEP: Final = 60.0
"""Seconds between two checks of the wall clock, which may have been set back."""

LONGEST_RESPONSE: Final = 90.0
"""Seconds beyond the connection's timeout until a whole response is given up. That timeout is for each part:
a response that drips would hold up all waiters for ever. A wait for the client's own rate limit counts
too."""

SUMMARY_EVERY: Final = 60.0
"""Seconds between two lines about trouble on a connection in the triggerer's own log."""

AT_ONCE: Final = 20
"""Most waiters that are served in a turn of the event loop."""

CANCEL_AGAIN: Final = 0.25
"""Seconds after which a task that still runs is cancelled again."""

T = TypeVar("T")
P = TypeVar("P", bound="SharedPoller")
Connection = tuple["ConnectionSettings", "AsyncTransport"]


async def connect(veo3_conn_id: str) -> Connection:
    """Read an Airflow connection, and open a transport for it."""
    hook = Veo3Hook(veo3_conn_id)
    transport = await hook.aget_conn()
    return hook.settings, transport


class SharedPoller(ABC):
    """Poller for all waiters on a connection in an event loop.

    :param veo3_conn_id: Airflow connection of type ``veo3``.
    :param connect: reads the connection.
    :param longest_response: seconds beyond the connection's timeout until a response is given up.
    """

    clock: ClassVar[Clock] = time

    def __init__(
        self,
        veo3_conn_id: str,
        *,
        connect: Callable[[str], Awaitable[Connection]] = connect,
        longest_response: float = LONGEST_RESPONSE,
    ) -> None:
        self.users = 0
        self._conn_id = veo3_conn_id
        self._connect = connect
        self._longest_response = longest_response
        self._connection: Connection | None = None
        self._trouble = Trouble(SUMMARY_EVERY)
        self._joined = asyncio.Event()
        # outside the context of the first user, whose log ends with its task
        self._task = asyncio.create_task(self._run(), context=contextvars.Context())

    @property
    def is_over(self) -> bool:
        """Return whether polling has ended, for any reason."""
        return self._task.done()

    async def close(self) -> None:
        """Stop polling, and close the transport."""
        await _cancel(self._task)
        await asyncio.gather(self._task, return_exceptions=True)  # its error was reported
        await self._disconnect()

    @abstractmethod
    def _next_poll(self) -> float | None:
        """Return when :meth:`_poll` has something to do, in Unix seconds; ``None`` without users."""

    @abstractmethod
    async def _poll(self) -> None:
        """Poll if it is time, and report to the waiters."""

    async def _run(self) -> None:
        while True:
            self._joined.clear()
            await self._sleep_until(self._next_poll())
            await self._poll()

    async def _sleep_until(self, moment: float | None) -> None:
        """Sleep until a moment, or until a waiter joins, which may change it."""
        pause = None if moment is None else min(LONGEST_SLEEP, max(0.0, moment - self.clock.time()))
        with suppress(TimeoutError):
            async with asyncio.timeout(pause):
                await self._joined.wait()

    async def _call(self, flow: Callable[[str], Flow[T]]) -> T:
        """Call the API.

        If the key is refused, read the connection again; repeat the call if it has another key.

        :param flow: makes the call for a base URL.
        """
        try:
            try:
                return await self._call_once(flow)
            except Veo3AuthenticationError:
                if not await self._reconnect():
                    raise
            return await self._call_once(flow)
        except Veo3Error as error:
            if will_pass(error):
                self._summarize(error)
            raise

    def _summarize(self, error: Veo3Error) -> None:
        """Log trouble that concerns all waiters, outside the log of any task."""
        failures = self._trouble.note(self.clock.time())
        if failures is not None:
            log.warning(
                "Connection %s: %s to the VEO3 API failed, the first at %s. The last error: %s "
                "%s will continue when the API recovers.",
                self._conn_id,
                counted(failures.number, "request"),
                iso(failures.since),
                error,
                counted(self.users, "waiting task"),
            )

    async def _call_once(self, flow: Callable[[str], Flow[T]]) -> T:
        if self._connection is None:
            self._connection = await self._connect(self._conn_id)
        settings, transport = self._connection
        longest = settings.request_timeout + self._longest_response
        try:
            async with asyncio.timeout(longest):
                return await transport.run(flow(settings.base_url), poll=True)
        except TimeoutError:
            raise Veo3NoAnswerError(
                f"The response of the VEO3 API was not complete after {longest:.0f} s. No credits were spent "
                "by polling.",
                sent=True,
            ) from None

    async def _reconnect(self) -> bool:
        """Read the connection again; return whether it has other credentials, which then are used."""
        try:
            settings, transport = await self._connect(self._conn_id)
        except Exception as error:  # noqa: BLE001 - whatever a secrets backend raises
            log.warning("Cannot read the connection %s again: %s", self._conn_id, error)
            return False
        old = self._connection[0] if self._connection else None
        if old is not None and not settings.replaces(old):
            await transport.close()
            return False
        log.info("The connection %s has changed; polling with the new key.", self._conn_id)
        await self._disconnect()
        self._connection = (settings, transport)
        return True

    async def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(Exception):  # it is not used again, and all waiters depend on what follows
                await connection[1].close()


async def _cancel(task: asyncio.Task[Any]) -> None:
    """Cancel a task, and wait until it is over.

    A cancellation can be lost: the anyio that came with Airflow 3.0 swallows one that arrives in the moment a
    connection is made, and the task would poll for ever.
    """
    while not task.done():
        task.cancel()
        await asyncio.wait((task,), timeout=CANCEL_AGAIN)


class Pollers(Generic[P]):
    """Registry of the pollers in use, one for each event loop and connection.

    :param make: makes a poller for a connection.
    """

    def __init__(self, make: Callable[[str], P]) -> None:
        self._make = make
        self._by_loop: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, P]] = WeakKeyDictionary()

    @asynccontextmanager
    async def join(self, veo3_conn_id: str) -> AsyncIterator[P]:
        """Use a connection's poller; the first user starts it, the last one ends it."""
        pollers = self._by_loop.setdefault(asyncio.get_running_loop(), {})
        poller = pollers.get(veo3_conn_id)
        if poller is None or poller.is_over:
            poller = pollers[veo3_conn_id] = self._make(veo3_conn_id)
        poller.users += 1
        try:
            yield poller
        finally:
            poller.users -= 1
            if poller.users == 0:
                if pollers.get(veo3_conn_id) is poller:
                    del pollers[veo3_conn_id]
                await poller.close()


class GenerationPoller(SharedPoller):
    """Poller for all waiters for a generation on a connection.

    :param veo3_conn_id: Airflow connection of type ``veo3``.
    :param connection_pauses: seconds between tries to read the connection.
    :param grace: seconds after its deadline at which a wait ends without a last response.
    :param options: see :class:`SharedPoller`.
    """

    def __init__(
        self,
        veo3_conn_id: str,
        *,
        connection_pauses: Sequence[float] = CONNECTION_PAUSES,
        grace: float = GRACE,
        **options: Any,
    ) -> None:
        self._connection_pauses = connection_pauses
        self._grace = grace
        self._durations = _durations.setdefault(veo3_conn_id, Durations())
        self._schedule = Schedule(self._durations)
        self._waiting: dict[Wait, tuple[asyncio.Future[WaitResult], contextvars.Context]] = {}
        self._settings: asyncio.Future[ConnectionSettings] = asyncio.get_running_loop().create_future()
        self._turn = asyncio.Semaphore(AT_ONCE)
        super().__init__(veo3_conn_id, **options)

    async def wait_for(
        self,
        generation_id: str,
        deadline: float,
        poll_interval: float | None,
        accepted_at: float | None,
        model: str | None,
    ) -> WaitResult:
        """Wait until a generation has ended or the deadline passes; see :func:`wait_for_generation`."""
        wait = Wait(generation_id, deadline, poll_interval or 0.0, accepted_at, model, self._durations)
        ended: asyncio.Future[WaitResult] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(self._patience(deadline)):
                async with self._in_turn():
                    # a waiter that leaves must not stop it for the others
                    settings = await asyncio.shield(self._settings)
                    wait.poll_interval = settings.poll_interval_for(poll_interval)
                    self._join(wait, ended)
                await self._until(wait, ended)
        except Veo3Error as error:
            return wait.end_with(error)
        except TimeoutError:  # a secrets backend or an API that does not respond
            return wait.time_out()
        finally:
            self._schedule.leave(wait)
            self._waiting.pop(wait, None)
        if not ended.done():
            self._task.result()  # its error concerns all waiters
        return ended.result()

    def _join(self, wait: Wait, ended: asyncio.Future[WaitResult]) -> None:
        self._waiting[wait] = (ended, contextvars.copy_context())
        self._schedule.join(wait, self.clock.time())
        self._joined.set()
        self._log_progress(wait)

    async def _until(self, wait: Wait, ended: asyncio.Future[WaitResult]) -> None:
        """Wait for a result or the end of the poller, and log the progress."""
        done: set[asyncio.Future[Any]] = set()
        while not done:
            quiet = wait.next_progress() - self.clock.time()
            done, _ = await asyncio.wait(
                (ended, self._task), timeout=max(0.0, quiet), return_when=asyncio.FIRST_COMPLETED
            )
            if not done:
                async with self._in_turn():
                    self._log_progress(wait)

    @asynccontextmanager
    async def _in_turn(self) -> AsyncIterator[None]:
        """Let at most ``AT_ONCE`` waiters run in a turn; more would block the event loop."""
        async with self._turn:
            yield
            await asyncio.sleep(0)

    def _log_progress(self, wait: Wait) -> None:
        wait.log_progress(self.clock.time())
        for line in wait.take_lines():
            log.log(line.level, "%s", line.text)

    def _patience(self, deadline: float) -> float:
        return max(0.0, deadline - self.clock.time()) + self._grace

    async def _run(self) -> None:
        try:
            self._connection = await self._open()
        except Veo3Error as error:
            self._settings.set_exception(error)
            self._settings.exception()  # the waiters get it, if any is left
            return
        self._settings.set_result(self._connection[0])
        await super()._run()

    async def _open(self) -> Connection:
        """Read the connection; where Airflow cannot give it just now, try again for a while.

        A worker has just used this connection. If Airflow now calls it missing, it probably cannot read it
        for a moment; the error is the same.
        """
        pauses = list(self._connection_pauses)
        while True:
            try:
                return await self._connect(self._conn_id)
            except Veo3Error:
                raise
            except Exception as error:  # whatever a secrets backend raises
                if not pauses:
                    raise Veo3Error(
                        f"The Airflow connection {shown(self._conn_id)} cannot be read in the triggerer: "
                        f"{shown_text(str(error), REASON_LENGTH)}. No credits were spent by polling."
                    ) from error
                log.warning("Cannot read the connection %s (%s); trying again.", self._conn_id, error)
            await asyncio.sleep(pauses.pop(0))

    def _next_poll(self) -> float | None:
        return self._schedule.next_event()

    async def _poll(self) -> None:
        poll = self._schedule.begin(self.clock.time())
        if poll is not None:
            await self._send_all(poll)
        await self._report()

    async def _send_all(self, poll: Poll) -> None:
        with suppress(StopIteration):
            request = next(poll)
            while True:
                response = await self._respond(request)
                request = poll.send((response, self.clock.time()))
                await self._report()

    async def _respond(self, request: Request) -> Response:
        try:
            if isinstance(request, Page):
                return await self._call(partial(page_flow, request, retries=ONCE))
            return await self._call(partial(flows.get_generation, request.generation_id, retries=ONCE))
        except Veo3Error as error:
            return error

    async def _report(self) -> None:
        """Report the schedule's updates, each in the log of its task, a few a turn."""
        for number, (wait, update) in enumerate(self._schedule.take_updates(), 1):
            if number % AT_ONCE == 0:
                await asyncio.sleep(0)
            if wait not in self._waiting:
                continue  # cancelled meanwhile
            ended, context = self._waiting[wait]
            if not isinstance(update, WaitResult):
                context.run(log.log, update.level, "%s", update.text)
            elif not ended.done():
                ended.set_result(update)


_durations: dict[str, Durations] = {}
"""Learned durations by connection; they outlive the waits."""

_pollers: Final = Pollers(GenerationPoller)


async def wait_for_generation(
    veo3_conn_id: str,
    generation_id: str,
    deadline: float,
    poll_interval: float | None,
    *,
    accepted_at: float | None = None,
    model: str | None = None,
    pollers: Pollers[GenerationPoller] = _pollers,
) -> WaitResult:
    """Wait until a generation has ended or the deadline passes, without blocking the event loop.

    The same requests serve all waiters on a connection in an event loop.

    :param deadline: Unix seconds.
    :param poll_interval: seconds between two polls; ``None`` takes the connection's.
    :param accepted_at: Unix seconds when the generation was accepted, if known: the first poll comes when it
        can have ended.
    :param model: its model, if known.
    :param pollers: where the poller is shared; default: everywhere in this process.
    """
    async with pollers.join(veo3_conn_id) as poller:
        return await poller.wait_for(generation_id, deadline, poll_interval, accepted_at, model)
