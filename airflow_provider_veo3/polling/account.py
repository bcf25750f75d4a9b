"""Watch an account for what completes: one look for everyone who watches on a connection."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import time
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from weakref import WeakKeyDictionary

from airflow_provider_veo3.api import flows
from airflow_provider_veo3.api.protocol import HISTORY_PAGE_LIMIT
from airflow_provider_veo3.api.retries import Retries
from airflow_provider_veo3.exceptions import Veo3ApiError, Veo3AuthenticationError
from airflow_provider_veo3.history.completed import Reader, Seen, lowest
from airflow_provider_veo3.hooks.veo3 import Veo3Hook
from airflow_provider_veo3.polling.cancelling import cancel
from airflow_provider_veo3.polling.schedule import LONGEST_HOLD
from airflow_provider_veo3.polling.wait import backoff

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from airflow_provider_veo3.api.models import Generation, HistoryPage
    from airflow_provider_veo3.api.transport import AsyncTransport
    from airflow_provider_veo3.history.completed import Cursor
    from airflow_provider_veo3.history.pages import Page

log = logging.getLogger(__name__)

CLOSEST: Final = 5.0
"""Seconds between two looks for somebody who comes to watch; at most the poll interval."""

LONGEST_BACKOFF: Final = 300.0
"""Seconds between two looks at an account that cannot be asked, where the API does not ask for more."""

ONCE: Final = Retries(attempts=1)
"""The next look is the repetition."""


@dataclass(eq=False)
class Watcher:
    """Somebody who watches.

    :param cursor: how far it has been told.
    :param poll_interval: seconds between two looks.
    """

    cursor: Cursor
    poll_interval: float
    looks: asyncio.Queue[Seen] = field(default_factory=asyncio.Queue)
    context: contextvars.Context = field(default_factory=contextvars.copy_context)


class _Watch:
    """Everyone who watches an account in an event loop: one transport, one who asks."""

    def __init__(self, veo3_conn_id: str) -> None:
        self._conn_id = veo3_conn_id
        self._watchers: set[Watcher] = set()
        self._joined = asyncio.Event()
        self._reader = Reader()
        self._transport: AsyncTransport | None = None
        self._base_url = ""
        self._failures = 0
        # outside the context of whoever comes first, whose log ends with it
        self._asking = asyncio.create_task(self._ask(), context=contextvars.Context())

    def join(self, watcher: Watcher) -> None:
        """Take in somebody, who gets the next look soon."""
        self._watchers.add(watcher)
        self._joined.set()

    def leave(self, watcher: Watcher) -> bool:
        """Forget somebody; say whether anybody is left."""
        self._watchers.discard(watcher)
        return bool(self._watchers)

    async def close(self) -> None:
        """Stop asking, and close what has been opened."""
        await cancel(self._asking)
        await asyncio.gather(self._asking, return_exceptions=True)  # what went wrong has been told
        await self._disconnect()

    async def _ask(self) -> None:
        """Look again and again; nothing but the end of the last watcher ends it."""
        held, last = 0.0, float("-inf")
        while True:
            await self._until(last + self._interval(), max(held, last + min(CLOSEST, self._interval())))
            last = time.time()
            try:
                seen = await self._look()
            except Exception as error:  # noqa: BLE001 - whatever it is, somebody may mend it: a key, a connection
                pause = await self._after(error)
                held = time.time() + pause
                last = min(last, held - self._interval())
                continue
            self._failures = 0
            for watcher in self._watchers:
                watcher.looks.put_nowait(seen)

    def _interval(self) -> float:
        return min((watcher.poll_interval for watcher in self._watchers), default=CLOSEST)

    async def _until(self, due: float, earliest: float) -> None:
        """Sleep until a look is due; whoever joins hastens it, though not before ``earliest``."""
        try:
            async with asyncio.timeout(max(0.0, max(due, earliest) - time.time())):
                await self._joined.wait()
                await asyncio.sleep(max(0.0, earliest - time.time()))
        except TimeoutError:
            pass
        self._joined.clear()

    async def _look(self) -> Seen:
        """Ask for pages until they tell all that is new to anybody."""
        now = time.time()
        reading = self._reader.read(lowest((watcher.cursor.floor for watcher in self._watchers), now))
        found: list[Generation] = []
        skew: float | None = None
        page = next(reading)
        while True:
            answer = await self._page(page)
            found += answer.generations
            skew = answer.clock_skew if skew is None else skew
            try:
                page = reading.send(answer)
            except StopIteration as done:
                return Seen(tuple(found), done.value, skew or 0.0)

    async def _page(self, page: Page) -> HistoryPage:
        if self._transport is None:
            hook = Veo3Hook(self._conn_id)
            self._transport = await hook.aget_conn()
            self._base_url = hook.settings.base_url
        status = None if page.status is None else page.status.value
        flow = flows.get_history_page(HISTORY_PAGE_LIMIT, page.skip, status, self._base_url, ONCE)
        return await self._transport.run(flow, poll=True)

    async def _after(self, error: Exception) -> float:
        """Return the seconds to stay away after trouble, and tell everyone of it once."""
        self._failures += 1
        if isinstance(error, Veo3AuthenticationError):
            await self._disconnect()  # a person may have replaced the key: the connection is read again
            if self._failures == 1:
                return 0.0
        hint = error.retry_after if isinstance(error, Veo3ApiError) else None
        asked = min(hint or 0.0, LONGEST_HOLD)
        pause = max(min(backoff(self._failures, self._interval(), None), LONGEST_BACKOFF), asked)
        for watcher in self._watchers if self._failures in (1, 2) else ():
            watcher.context.run(log.warning, "%s Looking again in %.0f s.", error, pause)
        return pause

    async def _disconnect(self) -> None:
        transport, self._transport = self._transport, None
        if transport is not None:
            with suppress(Exception):  # it is not used again, and everyone depends on what goes on
                await transport.close()


_watches: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, _Watch]] = WeakKeyDictionary()


@asynccontextmanager
async def watching(veo3_conn_id: str, cursor: Cursor, poll_interval: float) -> AsyncIterator[Watcher]:
    """Watch an account together with everyone else who does so in this event loop.

    :param veo3_conn_id: Airflow connection of type ``veo3``.
    :param cursor: how far this one has been told, which says how far back is looked.
    :param poll_interval: seconds between two looks; the shortest of all holds.
    """
    watches = _watches.setdefault(asyncio.get_running_loop(), {})
    watch = watches.get(veo3_conn_id)
    if watch is None:
        watch = watches[veo3_conn_id] = _Watch(veo3_conn_id)
    watcher = Watcher(cursor, poll_interval)
    watch.join(watcher)
    try:
        yield watcher
    finally:
        if not watch.leave(watcher):
            del watches[veo3_conn_id]
            await watch.close()
