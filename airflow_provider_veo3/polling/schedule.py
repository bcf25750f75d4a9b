"""Schedule of the polls for all waiters on a connection, and the requests of each. Pure: no clock, no API.

The pause of each waiter comes from ``wait.py``.
"""

from __future__ import annotations

import random
from collections.abc import Generator
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from airflow_provider_veo3 import exceptions as errors
from airflow_provider_veo3.api.models import Generation, HistoryPage, Status
from airflow_provider_veo3.api.protocol import HISTORY_PAGE_LIMIT
from airflow_provider_veo3.history.pages import End, Page
from airflow_provider_veo3.polling.listing import Listing
from airflow_provider_veo3.polling.result import WaitResult
from airflow_provider_veo3.polling.wait import LONGEST_HOLD, Line, Wait, backoff, will_pass

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from airflow_provider_veo3.history.pages import Reading
    from airflow_provider_veo3.polling.durations import Durations

JITTER: Final = 0.1
"""Share by which pauses vary, so that several triggerers do not poll in step."""

SINGLES: Final = 5
"""Most status requests in a poll: at a poll every 5 s, the vendor's 60 requests a minute."""

CLOSEST: Final = 1.0
"""Seconds between two polls when a deadline comes before the poll interval has passed."""

OVERDUE: Final = 600.0
"""Seconds without a sign of life until the status of a running generation is requested."""

OVERDUE_UNPROVEN: Final = 120.0
"""The same, while the list of completed generations has never shown one."""

HISTORY_PATIENCE: Final = 2
"""Polls in a row whose history pages may fail before single statuses are requested instead."""

HISTORY_RETRY: Final = 4
"""Polls until the history is tried again after that, even if refused: perhaps by a proxy, for a while."""

CONCERNS_EVERYONE: Final = (errors.Veo3AuthenticationError, errors.Veo3ConnectionConfigError)
"""Errors of the connection, which end every wait on it."""


@dataclass(frozen=True)
class StatusRequest:
    """Request for the status of one generation."""

    generation_id: str


Request = Page | StatusRequest
Response = HistoryPage | Generation | errors.Veo3Error
Poll = Generator[Request, tuple[Response, float], None]
"""Poll for all waiters: yields requests, is sent each response and its arrival in Unix seconds."""


@dataclass(eq=False)
class _Waiter:
    """State of a wait in the schedule."""

    wait: Wait
    due: float
    """Unix seconds of the next poll."""
    since: float
    """Unix seconds when the wait began here."""
    known: bool = False
    """True once a response has shown the generation."""
    listed: bool = False
    """True once a history page has shown it."""
    requested: float = 0.0
    """Unix seconds of the last status request."""

    @property
    def generation_id(self) -> str:
        return self.wait.generation_id


class _PollOverError(Exception):
    """The API is in trouble: no further request belongs to this poll."""


class Schedule:
    """Schedule for all waiters on one connection.

    :param durations: learned durations of generations; each response adds to them.
    :param jitter: gives 0 to 1.
    """

    def __init__(self, durations: Durations, jitter: Callable[[], float] = random.random) -> None:
        self._durations = durations
        self._jitter = jitter
        self._waiters: dict[Wait, _Waiter] = {}
        self._by_id: dict[str, list[_Waiter]] = {}
        self._updates: list[tuple[Wait, WaitResult | Line]] = []
        self._listing = Listing()
        self._history_failures = 0
        self._failures = 0
        self._polls = 0
        self._last = float("-inf")
        self._hold = float("-inf")
        self._spread = 0.0

    def join(self, wait: Wait, now: float) -> None:
        """Add a wait."""
        waiter = self._waiters[wait] = _Waiter(wait, due=now + wait.first_poll(now), since=now)
        self._by_id.setdefault(wait.generation_id, []).append(waiter)

    def leave(self, wait: Wait) -> None:
        """Remove a wait; the others are not affected."""
        waiter = self._waiters.pop(wait, None)
        if waiter is not None:
            others = [each for each in self._by_id.pop(wait.generation_id) if each is not waiter]
            if others:
                self._by_id[wait.generation_id] = others

    def take_updates(self) -> list[tuple[Wait, WaitResult | Line]]:
        """Return once each: the results of waits that have ended, and lines for the logs of their tasks."""
        updates, self._updates = self._updates, []
        return updates

    def next_event(self) -> float | None:
        """Return when :meth:`begin` has something to do, in Unix seconds; ``None`` without waiters."""
        if not self._waiters:
            return None
        deadline = min(wait.deadline for wait in self._waiters)
        due = min(waiter.due for waiter in self._waiters.values())
        # a poll serves waiters due a little later as well: polls keep their distance
        distant = self._last + self._spacing() * (1 - JITTER)
        poll = max(due, min(distant, max(deadline, self._last + CLOSEST)))
        return poll if poll >= self._hold else min(self._hold, max(deadline, self._last))

    def begin(self, now: float) -> Poll | None:
        """Begin a poll if one is due; while the API is left alone, only deadlines pass."""
        if now < self._last:
            self._set_back(self._last - now)
        if now < self._hold:
            for wait in [each for each in self._waiters if each.deadline <= now]:
                self._end(wait, wait.time_out())
            return None
        at = self.next_event()
        return self._poll(now) if at is not None and at <= now else None

    def _set_back(self, seconds: float) -> None:
        """Follow the wall clock, which was set back; deadlines keep their times."""
        self._last -= seconds
        self._hold -= seconds
        for waiter in self._waiters.values():
            waiter.due -= seconds
            waiter.since -= seconds

    def _spacing(self) -> float:
        return min((wait.poll_interval for wait in self._waiters), default=0.0)

    def _poll(self, now: float) -> Poll:
        self._polls += 1
        self._last, self._spread = now, JITTER * self._jitter()
        due = {waiter.generation_id for waiter in self._waiters.values() if waiter.due <= now}
        with suppress(_PollOverError):
            if len(self._by_id) > 1 and self._uses_history():
                yield from self._poll_history(due, now)
            else:
                yield from self._poll_singly(due, now)

    def _uses_history(self) -> bool:
        return self._history_failures < HISTORY_PATIENCE or self._polls % HISTORY_RETRY == 0

    def _poll_history(self, due: set[str], now: float) -> Poll:
        """Read the newest page for new waiters, the lists of ended generations for the others."""
        listing, missing = self._listing, set(self._by_id)
        unknown = {waiter.generation_id for waiter in self._waiters.values() if not waiter.known}
        is_whole = False
        if unknown or len(missing) <= HISTORY_PAGE_LIMIT or not listing.reader.filters:
            listed = {waiter.generation_id for waiter in self._waiters.values() if waiter.listed}
            needed = unknown if listing.reader.filters else unknown | listed
            end = yield from self._read(listing.newest(missing, needed), missing)
            if end is None:  # the API has no history
                yield from self._poll_singly(missing & due, now)
                return
            is_whole = end is End.WHOLE
            yield from self._poll_singly(missing & unknown, now)  # on no page
            missing -= unknown
        if missing and listing.reader.filters and not is_whole:
            failed = any(waiter.wait.needs_confirmation for waiter in self._waiters.values())
            yield from self._read(listing.finished(missing, read_failed=failed), missing)
        yield from self._settle(missing, now, is_whole=is_whole)

    def _read(
        self, reading: Reading, missing: set[str]
    ) -> Generator[Request, tuple[Response, float], End | None]:
        """Read pages and report each generation on them; return how that ended, ``None`` if refused."""
        page = next(reading)
        while True:
            response, now = yield page
            if isinstance(response, errors.Veo3Error):
                reading.close()
                self._on_page_error(page, response, missing, now)
                return None
            if not isinstance(response, HistoryPage):
                raise TypeError("the response to a page request is a page")
            self._failures = self._history_failures = 0
            yield from self._on_page(response, missing, now)
            try:
                page = reading.send(response)
            except StopIteration as done:
                end: End = done.value
                return end

    def _on_page(self, page: HistoryPage, missing: set[str], now: float) -> Poll:
        last_polls = SINGLES
        for generation in page.generations:
            self._durations.learn(generation)
            if generation.id not in missing:
                continue
            missing.discard(generation.id)
            for waiter in self._by_id.get(generation.id, ()):
                waiter.listed = True
            latest = generation
            if self._lacks_reason(generation) or (last_polls and self._may_lag(generation, now)):
                last_polls -= not generation.status.is_terminal
                response, now = yield StatusRequest(generation.id)
                if isinstance(response, Generation):
                    latest = response
            self._report(latest, now)

    def _lacks_reason(self, generation: Generation) -> bool:
        return generation.status is Status.FAILED and not (generation.error or generation.error_code)

    def _may_lag(self, generation: Generation, now: float) -> bool:
        """Return whether a wait would time out although only the history may be behind."""
        return not generation.status.is_terminal and self._is_at_deadline(generation.id, now)

    def _settle(self, missing: set[str], now: float, *, is_whole: bool) -> Poll:
        """Take generations that no list shows as ended for running, and check some of them.

        :param is_whole: whether the whole history was read, so that it should have shown them.
        """
        rest = [
            waiter
            for waiter in self._waiters.values()
            if waiter.due <= now and waiter.generation_id in missing
        ]
        urgent = {
            waiter.generation_id
            for waiter in rest
            if waiter.wait.deadline <= now or waiter.wait.needs_confirmation
        }
        unsure = {
            waiter.generation_id for waiter in rest if is_whole or self._is_unsure(waiter, now)
        } - urgent
        yield from self._poll_singly(urgent, now)
        yield from self._poll_singly(unsure, now, most=1)
        if self._listing.shows_completed is False and not unsure <= self._by_id.keys():
            self._listing.reader.filters = False  # one has ended, and the list of ended ones stays empty
        for waiter in rest:
            if waiter.wait in self._waiters and waiter.due <= now:
                self._judge(waiter, waiter.wait.still_running(now), now)

    def _is_unsure(self, waiter: _Waiter, now: float) -> bool:
        """Return whether absence from the lists of ended generations does not prove that one runs."""
        overdue = OVERDUE_UNPROVEN if self._listing.shows_completed is False else OVERDUE
        return not waiter.listed or now - waiter.since > overdue

    def _is_at_deadline(self, generation_id: str, now: float) -> bool:
        return any(waiter.wait.deadline <= now for waiter in self._by_id.get(generation_id, ()))

    def _poll_singly(self, ids: set[str], now: float, most: int = SINGLES) -> Poll:
        """Request single statuses: first at deadlines, then of those not requested for longest."""
        first = {each: waiters[0] for each, waiters in self._by_id.items() if each in ids}
        order = {each: (not self._is_at_deadline(each, now), first[each].requested) for each in first}
        for generation_id in sorted(order, key=order.__getitem__)[:most]:
            response, now = yield StatusRequest(generation_id)
            first[generation_id].requested = now
            if isinstance(response, Generation):
                self._failures = 0
                self._report(response, now)
            elif isinstance(response, errors.Veo3Error):
                self._on_status_error(generation_id, response, now)

    def _report(self, generation: Generation, now: float) -> None:
        """Report a generation to each of its waiters."""
        for waiter in self._by_id.get(generation.id, []).copy():
            waiter.known = True
            self._judge(waiter, waiter.wait.on_generation(generation, now), now)

    def _on_status_error(self, generation_id: str, error: errors.Veo3Error, now: float) -> None:
        """Report a failed status request; end the poll where the trouble concerns all waiters."""
        if isinstance(error, CONCERNS_EVERYONE):
            self._fail(self._waiters.values(), error, now)
            raise _PollOverError
        self._fail(self._by_id.get(generation_id, ()), error, now)
        if isinstance(error, errors.Veo3RateLimitError | errors.Veo3NoAnswerError):
            self._leave_alone(error, now)
            raise _PollOverError

    def _on_page_error(self, page: Page, error: errors.Veo3Error, missing: set[str], now: float) -> None:
        """Report a failed page and end the poll; note a refused one and go on."""
        if isinstance(error, CONCERNS_EVERYONE):
            self._fail(self._waiters.values(), error, now)
            raise _PollOverError
        if will_pass(error):
            self._fail([each for each in self._waiters.values() if each.generation_id in missing], error, now)
            self._leave_alone(error, now)
            if not isinstance(error, errors.Veo3RateLimitError | errors.Veo3NoAnswerError):
                self._history_failures += 1
            raise _PollOverError
        if page.status is None:
            self._history_failures += HISTORY_PATIENCE  # single statuses can still be requested
        else:
            self._listing.reader.filters = False

    def _leave_alone(self, error: errors.Veo3Error, now: float) -> None:
        """Hold all requests as long as the API asks, or its trouble suggests."""
        self._failures += 1
        hint = error.retry_after if isinstance(error, errors.Veo3ApiError) else None
        pause = min(backoff(self._failures, self._spacing(), hint), LONGEST_HOLD)
        self._hold = now + pause * (1 + min(self._spread, 10.0 / max(pause, 1.0)))

    def _fail(self, waiters: Iterable[_Waiter], error: errors.Veo3Error, now: float) -> None:
        for waiter in list(waiters):
            self._judge(waiter, waiter.wait.on_error(error, now), now)

    def _judge(self, waiter: _Waiter, verdict: WaitResult | float, now: float) -> None:
        self._updates += [(waiter.wait, line) for line in waiter.wait.take_lines()]
        if isinstance(verdict, WaitResult):
            self._end(waiter.wait, verdict)
        else:
            ahead = verdict if now + verdict >= waiter.wait.deadline else verdict * (1 - self._spread)
            waiter.due = now + ahead

    def _end(self, wait: Wait, result: WaitResult) -> None:
        self.leave(wait)
        self._updates.append((wait, result))
