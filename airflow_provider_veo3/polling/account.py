"""Watcher of an account: one poller for every trigger that reports completions on a connection."""

from __future__ import annotations

import asyncio
import contextvars
import logging
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_veo3.api.retries import ONCE
from airflow_provider_veo3.exceptions import Veo3ApiError
from airflow_provider_veo3.history.completed import PollResult, lowest_floor, read_completed
from airflow_provider_veo3.history.pages import HistoryReader, page_flow
from airflow_provider_veo3.polling.shared import Pollers, SharedPoller
from airflow_provider_veo3.polling.trouble import Trouble, kind_of
from airflow_provider_veo3.polling.wait import LONGEST_HOLD, TROUBLE_EVERY, backoff

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from airflow_provider_veo3.history.completed import Cursor

log = logging.getLogger(__name__)

CLOSEST: Final = 5.0
"""Seconds between two polls when a watcher starts; at most the poll interval."""

LONGEST_BACKOFF: Final = 300.0
"""Longest pause after an error, in seconds, unless the API asks for a longer one."""


@dataclass(eq=False)
class Watcher:
    """State of one trigger that watches an account.

    :param cursor: its position in the completions.
    :param poll_interval: seconds between two polls.
    """

    cursor: Cursor
    poll_interval: float
    results: asyncio.Queue[PollResult] = field(default_factory=asyncio.Queue)
    context: contextvars.Context = field(default_factory=contextvars.copy_context)


class AccountWatcher(SharedPoller):
    """Poller for all watchers of an account: the shortest poll interval holds, trouble is waited out.

    :param veo3_conn_id: Airflow connection of type ``veo3``.
    :param longest_hold: most seconds for which the account is left alone at the API's request.
    :param options: see :class:`SharedPoller`.
    """

    def __init__(self, veo3_conn_id: str, *, longest_hold: float = LONGEST_HOLD, **options: Any) -> None:
        self._longest_hold = longest_hold
        self._watchers: set[Watcher] = set()
        self._has_newcomer = False
        self._reader = HistoryReader()
        self._failures = 0
        self._last = self._hold = float("-inf")
        self._warnings = Trouble(TROUBLE_EVERY)
        super().__init__(veo3_conn_id, **options)

    def join(self, watcher: Watcher) -> None:
        """Add a watcher; the next poll comes soon."""
        self._watchers.add(watcher)
        self._has_newcomer = True
        self._joined.set()

    def leave(self, watcher: Watcher) -> None:
        """Remove a watcher."""
        self._watchers.discard(watcher)

    def _next_poll(self) -> float:
        if self._failures:
            return self._hold
        interval = self._interval()
        return self._last + (min(CLOSEST, interval) if self._has_newcomer else interval)

    def _interval(self) -> float:
        return min((watcher.poll_interval for watcher in self._watchers), default=CLOSEST)

    async def _poll(self) -> None:
        now = self.clock.time()
        if now < self._last:  # the clock was set back
            self._hold -= self._last - now
            self._last = now
        if now < self._next_poll():
            return
        self._has_newcomer = False
        self._last = now
        try:
            result = await self._read(now)
        except Exception as error:  # noqa: BLE001 - whatever it is, a person may mend it: a key, a connection
            self._leave_alone(error)
            return
        self._failures = 0
        for watcher in self._watchers:
            watcher.results.put_nowait(result)

    async def _read(self, now: float) -> PollResult:
        """Read pages until they hold every completion that is new to a watcher."""
        floor = lowest_floor((watcher.cursor.floor for watcher in self._watchers), now)
        reading = read_completed(self._reader, floor)
        page = next(reading)
        while True:
            response = await self._call(partial(page_flow, page, retries=ONCE))
            try:
                page = reading.send(response)
            except StopIteration as done:
                result: PollResult = done.value
                return result

    def _leave_alone(self, error: Exception) -> None:
        """Hold all requests after trouble, and warn every watcher now and then."""
        self._failures += 1
        hint = error.retry_after if isinstance(error, Veo3ApiError) else None
        pause = min(backoff(self._failures, self._interval(), None), LONGEST_BACKOFF)
        pause = max(pause, min(hint or 0.0, self._longest_hold))
        now = self.clock.time()
        self._hold = now + pause
        failures = self._warnings.note(now, kind_of(error))
        for watcher in self._watchers if failures is not None else ():
            watcher.context.run(log.warning, "%s Polling again in %.0f s.", error, pause)


_watchers: Final = Pollers(AccountWatcher)


@asynccontextmanager
async def watching(
    veo3_conn_id: str,
    cursor: Cursor,
    poll_interval: float,
    watchers: Pollers[AccountWatcher] = _watchers,
) -> AsyncIterator[Watcher]:
    """Watch an account together with all its other watchers in this event loop.

    :param veo3_conn_id: Airflow connection of type ``veo3``.
    :param cursor: position in the completions, which says how far back each poll reads.
    :param poll_interval: seconds between two polls; the shortest of all watchers holds.
    :param watchers: where the poller is shared; default: everywhere in this process.
    """
    async with watchers.join(veo3_conn_id) as account:
        watcher = Watcher(cursor, poll_interval)
        account.join(watcher)
        try:
            yield watcher
        finally:
            account.leave(watcher)
