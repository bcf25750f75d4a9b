"""Ask how generations stand until they are done: one look for everyone, blocking only for workers."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from airflow_provider_veo3.api import flows
from airflow_provider_veo3.api.protocol import HISTORY_PAGE_LIMIT
from airflow_provider_veo3.api.retries import Retries
from airflow_provider_veo3.exceptions import Veo3AuthenticationError, Veo3Error, Veo3NoAnswerError
from airflow_provider_veo3.history.pages import Page
from airflow_provider_veo3.hooks.veo3 import Veo3Hook
from airflow_provider_veo3.polling.cancelling import cancel
from airflow_provider_veo3.polling.durations import Pace
from airflow_provider_veo3.polling.result import WaitResult
from airflow_provider_veo3.polling.schedule import Schedule
from airflow_provider_veo3.polling.wait import Wait

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from airflow_provider_veo3.api.models import Generation, HistoryPage
    from airflow_provider_veo3.api.transport import AsyncTransport
    from airflow_provider_veo3.polling.questions import Answer, Look, Question

log = logging.getLogger(__name__)

CONNECTION_PAUSES = (1.0, 3.0, 9.0, 27.0)
"""Seconds between tries to read the Airflow connection in the triggerer."""

LATEST = 60.0
"""Seconds behind its deadline at which a wait ends without a last answer: sooner than Airflow ends it."""

LONGEST_ANSWER = 90.0
"""Seconds beyond the connection's timeout, which is for each part of an answer, until all of it is given up.
One that comes in drops would hold up everyone for ever; the end of a rate window may be waited for before."""

ONCE = Retries(attempts=1)
"""A look that fails is judged by those who wait, who know their deadlines; the call does not insist."""

_paces: dict[str, Pace] = {}
"""What was learned of how long generations take, by connection; outlives those who wait."""


class _Line:
    """Everyone who waits on a connection in an event loop: one schedule, one transport, one who asks."""

    def __init__(self, veo3_conn_id: str) -> None:
        self.waiters = 0
        self.pace = _paces.setdefault(veo3_conn_id, Pace())
        self._conn_id = veo3_conn_id
        self._schedule = Schedule(self.pace)
        self._waiting: dict[Wait, tuple[asyncio.Future[WaitResult], contextvars.Context]] = {}
        self._joined = asyncio.Event()
        # outside the context of whoever comes first, whose log ends with its task
        self._opening = asyncio.create_task(_connect(veo3_conn_id), context=contextvars.Context())
        self._asking = asyncio.create_task(self._ask(), context=contextvars.Context())
        self._transport: AsyncTransport | None = None

    @property
    def is_over(self) -> bool:
        """Whether nobody asks any more: the connection could not be had."""
        return self._asking.done()

    async def hook(self) -> Veo3Hook:
        """Return the hook once the connection is read.

        :raises Veo3Error: it cannot be had.
        """
        # whoever stops waiting must not stop it for the others
        hook, _ = await asyncio.shield(self._opening)
        return hook

    async def end_of(self, wait: Wait) -> WaitResult:
        """Wait until a wait has ended."""
        ended: asyncio.Future[WaitResult] = asyncio.get_running_loop().create_future()
        self._waiting[wait] = (ended, contextvars.copy_context())
        self._schedule.join(wait, time.time())
        self._joined.set()
        until = _patience(wait.deadline)
        try:
            await asyncio.wait((ended, self._asking), timeout=until, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._schedule.leave(wait)
            del self._waiting[wait]
        if ended.done():
            return ended.result()
        if self._asking.done():
            self._asking.result()  # what went wrong concerns everyone
        return wait.time_out()

    async def close(self) -> None:
        """Stop asking, and close what has been opened."""
        await cancel(self._opening, self._asking)
        opened, _ = await asyncio.gather(self._opening, self._asking, return_exceptions=True)
        transport = self._transport or (None if isinstance(opened, BaseException) else opened[1])
        if transport is not None:
            await transport.close()

    async def _ask(self) -> None:
        """Ask when the schedule says so, and tell everyone."""
        try:
            hook, self._transport = await asyncio.shield(self._opening)
        except Veo3Error:
            return  # which everyone learns from ``hook``
        self._settings = hook.settings
        while True:
            self._joined.clear()
            moment = self._schedule.next_event()
            await self._until(moment)
            look = self._schedule.begin(time.time())
            if look is not None:
                await self._take(look)
            self._tell()

    async def _until(self, moment: float | None) -> None:
        """Sleep until a moment, or until somebody joins, which may change it."""
        # never for long without a look at the wall clock, which may have been set back
        pause = None if moment is None else min(LATEST, max(0.0, moment - time.time()))
        try:
            async with asyncio.timeout(pause):
                await self._joined.wait()
        except TimeoutError:
            pass

    async def _take(self, look: Look) -> None:
        try:
            question = next(look)
            while True:
                answer = await self._answer(question)
                question = look.send((answer, time.time()))
                self._tell()
        except StopIteration:
            return

    def _tell(self) -> None:
        """Hand out the schedule's news, each in the log of its own task."""
        for wait, news in self._schedule.take_news():
            if wait not in self._waiting:
                continue  # cancelled meanwhile
            ended, context = self._waiting[wait]
            if isinstance(news, WaitResult):
                ended.set_result(news)
            else:
                context.run(log.warning, "%s", news)

    async def _answer(self, question: Question) -> Answer:
        try:
            return await self._request(question)
        except Veo3AuthenticationError as error:
            if not await self._has_other_credentials():
                return error
        except Veo3Error as error:
            return error
        try:
            return await self._request(question)
        except Veo3Error as error:
            return error

    async def _request(self, question: Question) -> HistoryPage | Generation:
        if self._transport is None:
            raise RuntimeError("nothing is asked before the connection is read")
        base_url = self._settings.base_url
        longest = self._settings.request_timeout + LONGEST_ANSWER
        try:
            async with asyncio.timeout(longest):
                if isinstance(question, Page):
                    status = None if question.status is None else question.status.value
                    page = flows.get_history_page(HISTORY_PAGE_LIMIT, question.skip, status, base_url, ONCE)
                    return await self._transport.run(page, poll=True)
                one = flows.get_generation(question.generation_id, base_url, ONCE)
                return await self._transport.run(one, poll=True)
        except TimeoutError:
            raise Veo3NoAnswerError(
                f"The VEO3 API's answer was not there whole after {longest:.0f} s.", sent=True
            ) from None

    async def _has_other_credentials(self) -> bool:
        """Read the connection again, in which a person may have replaced the key, and take it up if so."""
        hook = Veo3Hook(self._conn_id)
        try:
            transport = await hook.aget_conn()
        except Exception as error:  # noqa: BLE001 - whatever a secrets backend raises
            log.warning("Cannot read the connection %s again: %s", self._conn_id, error)
            return False
        old, new = self._settings, hook.settings
        if (old.api_key, old.base_url) == (new.api_key, new.base_url):
            await transport.close()
            return False
        log.info("The connection %s has changed; asking again.", self._conn_id)
        outdated, self._transport, self._settings = self._transport, transport, new
        if outdated is not None:
            await outdated.close()
        return True


_lines: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, _Line]] = WeakKeyDictionary()


async def wait_for_generation(
    veo3_conn_id: str,
    generation_id: str,
    deadline: float,
    poll_interval: float | None,
    *,
    accepted_at: float | None = None,
    model: str | None = None,
) -> WaitResult:
    """Wait until a generation has ended or the deadline passes, without blocking the event loop.

    Everyone who waits on a connection in an event loop is served by the same requests.

    :param deadline: Unix seconds.
    :param poll_interval: seconds between two looks; ``None`` takes the connection's.
    :param accepted_at: Unix seconds when it was accepted, if known: nobody asks before it can be done.
    :param model: its model, if known.
    """
    async with _line(veo3_conn_id) as line:
        try:
            async with asyncio.timeout(_patience(deadline)):
                hook = await line.hook()
        except Veo3Error as error:
            return Wait(generation_id, deadline, 0.0).end_with(error)
        except TimeoutError:  # a secrets backend that does not answer
            return Wait(generation_id, deadline, 0.0).time_out()
        interval = poll_interval or hook.settings.poll_interval
        return await line.end_of(Wait(generation_id, deadline, interval, accepted_at, model, line.pace))


def _patience(deadline: float) -> float:
    return max(0.0, deadline - time.time()) + LATEST


@asynccontextmanager
async def _line(veo3_conn_id: str) -> AsyncIterator[_Line]:
    """Join those who wait on a connection; the first opens the line, the last closes it."""
    lines = _lines.setdefault(asyncio.get_running_loop(), {})
    line = lines.get(veo3_conn_id)
    if line is None or line.is_over:
        line = lines[veo3_conn_id] = _Line(veo3_conn_id)
    line.waiters += 1
    try:
        yield line
    finally:
        line.waiters -= 1
        if line.waiters == 0:
            if lines.get(veo3_conn_id) is line:
                del lines[veo3_conn_id]
            await line.close()


async def _connect(veo3_conn_id: str) -> tuple[Veo3Hook, AsyncTransport]:
    """Read the connection; where Airflow cannot give it just now, ask again for a while.

    A worker has used this connection before the wait began, so that one which is gone in the triggerer most
    likely cannot be read at the moment: Airflow reports both alike.
    """
    hook = Veo3Hook(veo3_conn_id)
    pauses = list(CONNECTION_PAUSES)
    while True:
        try:
            return hook, await hook.aget_conn()
        except Veo3Error:
            raise
        except Exception as error:  # whatever a secrets backend raises
            if not pauses:
                raise Veo3Error(
                    f"The Airflow connection {veo3_conn_id!r} cannot be read in the triggerer: {error}. The "
                    "generation goes on; a retry takes up the wait."
                ) from error
            log.warning("Cannot read the connection %s (%s); trying again.", veo3_conn_id, error)
        await asyncio.sleep(pauses.pop(0))
