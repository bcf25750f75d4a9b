"""Who waits on a connection, when to ask the API next, and what. Pure: no clock, no API."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Final

from airflow_provider_veo3 import exceptions as errors
from airflow_provider_veo3.api.models import Generation, HistoryPage, Status
from airflow_provider_veo3.api.protocol import HISTORY_PAGE_LIMIT
from airflow_provider_veo3.history.pages import Listing, Page
from airflow_provider_veo3.polling.questions import Answer, Look, One, Question
from airflow_provider_veo3.polling.result import WaitResult
from airflow_provider_veo3.polling.seat import Seat
from airflow_provider_veo3.polling.wait import backoff, will_pass

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable

    from airflow_provider_veo3.history.pages import Reading
    from airflow_provider_veo3.polling.durations import Pace
    from airflow_provider_veo3.polling.wait import Wait


JITTER: Final = 0.1
"""Share by which pauses vary, so that several triggerers do not ask in step."""

SINGLES: Final = 5
"""Most generations asked about one by one in a look: at 5 s a look, the vendor's 60 requests a minute."""

LONGEST_HOLD: Final = 900.0
"""Seconds for which the API is left alone at most: the unit of what it asks, or its clock, may be another."""

CLOSEST: Final = 1.0
"""Seconds between two looks when a deadline does not let the poll interval pass."""

OVERDUE: Final = 600.0
"""Seconds after which a generation that only its absence from a list says to be running is asked about ..."""

OVERDUE_UNPROVEN: Final = 120.0
"""... and while that list has never shown anything, so that nobody knows whether it ever does."""

LISTING_PATIENCE: Final = 2
"""Looks in a row that the listing may fail before generations are asked about one by one instead ..."""

LISTING_RETRY: Final = 4
"""... but for every so many looks; also where it is refused, if only by a proxy in between, for a while."""


class Schedule:
    """Everyone who waits on one connection.

    :param pace: how long generations take; every answer teaches it.
    :param jitter: gives 0 to 1.
    """

    def __init__(self, pace: Pace, jitter: Callable[[], float] = random.random) -> None:
        self._pace = pace
        self._jitter = jitter
        self._seats: dict[Wait, Seat] = {}
        self._waits: dict[str, list[Wait]] = {}
        """By the generation that is waited for."""
        self._news: list[tuple[Wait, WaitResult | str]] = []
        self._listing = Listing()
        self._filter_shows: bool | None = None  # whether the list of the completed ones has ever shown any
        self._listing_failures = 0
        self._failures = 0
        self._looks = 0
        self._last = float("-inf")
        self._hold = float("-inf")
        self._spread = 0.0

    def join(self, wait: Wait, now: float) -> None:
        """Take in someone who waits."""
        self._seats[wait] = Seat(due=now + wait.first_look(now), since=now)
        self._waits.setdefault(wait.generation_id, []).append(wait)

    def leave(self, wait: Wait) -> None:
        """Forget someone; the others go on as before."""
        if self._seats.pop(wait, None) is not None:
            others = [each for each in self._waits.pop(wait.generation_id) if each is not wait]
            if others:
                self._waits[wait.generation_id] = others

    def take_news(self) -> list[tuple[Wait, WaitResult | str]]:
        """Return, once, whose wait has ended and how, and who is in what trouble."""
        news, self._news = self._news, []
        return news

    def next_event(self) -> float | None:
        """Return when :meth:`begin` has something to do, in Unix seconds; ``None`` while nobody waits."""
        if not self._seats:
            return None
        deadline = min(wait.deadline for wait in self._seats)
        due = min(seat.due for seat in self._seats.values())
        # whoever is due a little later is told of as well: looks keep their distance
        distant = self._last + self._spacing() * (1 - JITTER)
        look = max(due, min(distant, max(deadline, self._last + CLOSEST)))
        return look if look >= self._hold else min(self._hold, max(deadline, self._last))

    def begin(self, now: float) -> Look | None:
        """Begin a look if one is due; while the API wants to be left alone, deadlines pass without."""
        if now < self._last:
            self._set_back(self._last - now)
        if now < self._hold:
            for wait in [each for each in self._seats if each.deadline <= now]:
                self._end(wait, wait.time_out())
            return None
        at = self.next_event()
        return self._look(now) if at is not None and at <= now else None

    def _set_back(self, seconds: float) -> None:
        """Follow the wall clock, which was set back; the deadlines are its own."""
        self._last -= seconds
        self._hold -= seconds
        for seat in self._seats.values():
            seat.due -= seconds
            seat.since -= seconds

    def _spacing(self) -> float:
        return min(wait.poll_interval for wait in self._seats)

    def _look(self, now: float) -> Look:
        self._looks += 1
        self._last, self._spread = now, JITTER * self._jitter()
        ids = set(self._waits)
        due = {wait.generation_id for wait, seat in self._seats.items() if seat.due <= now}
        if len(ids) > 1 and self._use_listing():
            yield from self._ask_listing(ids, due, now)
        else:
            yield from self._ask_singly(due, now)

    def _is_late(self, generation_id: str, now: float) -> bool:
        return any(wait.deadline <= now for wait in self._waits.get(generation_id, ()))

    def _use_listing(self) -> bool:
        return self._listing_failures < LISTING_PATIENCE or self._looks % LISTING_RETRY == 0

    def _ask_listing(self, ids: set[str], due: set[str], now: float) -> Look:
        missing = set(ids)
        unknown = {wait.generation_id for wait, seat in self._seats.items() if not seat.known}
        read_whole = False
        if unknown or len(ids) <= HISTORY_PAGE_LIMIT or not self._listing.filters:
            listed = {wait.generation_id for wait, seat in self._seats.items() if seat.listed}
            needed = unknown if self._listing.filters else unknown | listed
            if not (yield from self._read(self._listing.newest(missing, needed), missing)):
                return
            if self._listing_failures:  # refused
                return (yield from self._ask_singly(missing & due, now))
            read_whole = self._listing.was_read_whole
            yield from self._ask_singly(missing & unknown, now)  # on no page
            missing -= unknown
        may_tell = self._listing.filters and not read_whole
        if missing and may_tell and not (yield from self._read(self._listing.finished(missing), missing)):
            return
        yield from self._settle(missing, now, read_whole=read_whole)

    def _read(self, reading: Reading, missing: set[str]) -> Generator[Question, tuple[Answer, float], bool]:
        """Read pages and tell everyone on them; say whether the look goes on."""
        page = next(reading, None)
        while page is not None:
            answer, now = yield page
            if isinstance(answer, errors.Veo3Error):
                reading.close()
                return self._on_listing_error(page, answer, missing, now)
            if isinstance(answer, HistoryPage):
                self._failures = self._listing_failures = 0
                if page.status is Status.COMPLETED:
                    self._filter_shows = self._filter_shows or bool(answer.generations)
                yield from self._tell_page(answer, missing, now)
                try:
                    page = reading.send(answer)
                except StopIteration:
                    break
        return True

    def _tell_page(self, page: HistoryPage, missing: set[str], now: float) -> Look:
        last_looks = SINGLES
        for generation in page.generations:
            self._pace.learn(generation)
            if generation.id not in missing:
                continue
            missing.discard(generation.id)
            for wait in self._waits.get(generation.id, ()):
                self._seats[wait].listed = True
            told: Answer = generation
            if generation.status is Status.FAILED and not (generation.error or generation.error_code):
                told, now = yield One(generation.id)  # the listing may not say why
            elif last_looks and not generation.status.is_terminal and self._is_late(generation.id, now):
                last_looks -= 1
                told, now = yield One(generation.id)  # the listing may lag behind
            self._tell(told if isinstance(told, Generation) and told.status.is_terminal else generation, now)

    def _settle(self, missing: set[str], now: float, *, read_whole: bool) -> Look:
        """Take those whom no list has among the ended to be running, and ask about some to be sure."""
        due = [(wait, seat) for wait, seat in self._seats.items() if seat.due <= now]
        rest = [(wait, seat) for wait, seat in due if wait.generation_id in missing]
        late = {wait.generation_id for wait, _ in rest if wait.deadline <= now}
        overdue = OVERDUE_UNPROVEN if self._filter_shows is False else OVERDUE
        unsure = {
            wait.generation_id
            for wait, seat in rest
            if not seat.listed or read_whole or now - seat.since > overdue
        } - late
        yield from self._ask_singly(late, now)
        yield from self._ask_singly(unsure, now, most=1)
        if self._filter_shows is False and not unsure <= self._waits.keys():
            self._listing.filters = False  # it has ended, and the list of those that have stays empty
        for wait, seat in rest:
            if wait in self._seats and seat.due <= now:
                self._judge(wait, wait.still_going(now), now)

    def _ask_singly(self, ids: set[str], now: float, most: int = SINGLES) -> Look:
        """Ask about generations one by one: first at deadlines, then those not asked about for longest."""
        seats = {each: self._seats[self._waits[each][0]] for each in self._waits if each in ids}
        order = {each: (not self._is_late(each, now), seat.asked) for each, seat in seats.items()}
        for generation_id in sorted(order, key=order.__getitem__)[:most]:
            answer, now = yield One(generation_id)
            seats[generation_id].asked = now
            if isinstance(answer, Generation):
                self._failures = 0
                self._tell(answer, now)
            elif isinstance(answer, errors.Veo3Error) and not self._on_error(generation_id, answer, now):
                return

    def _tell(self, generation: Generation, now: float) -> None:
        """Tell everyone who waits for a generation how it stands."""
        for wait in self._waits.get(generation.id, []).copy():
            self._seats[wait].known, self._seats[wait].troubled = True, False
            self._judge(wait, wait.on_generation(generation, now), now)

    def _on_error(self, generation_id: str, error: errors.Veo3Error, now: float) -> bool:
        """Take in that a generation could not be asked about; say whether to ask about others."""
        if isinstance(error, errors.Veo3AuthenticationError):
            self._fail(self._seats, error, now)
            return False
        self._fail(self._waits.get(generation_id, ()), error, now)
        concerns_all = isinstance(error, errors.Veo3RateLimitError | errors.Veo3NoAnswerError)
        if concerns_all:
            self._stay_away(error, now)
        return not concerns_all

    def _on_listing_error(self, page: Page, error: errors.Veo3Error, missing: set[str], now: float) -> bool:
        """Take in that a page could not be had; say whether the look goes on without it."""
        transient = will_pass(error)
        if transient or isinstance(error, errors.Veo3AuthenticationError):
            self._fail([each for each in self._seats if each.generation_id in missing], error, now)
            if transient:
                self._stay_away(error, now)
            if not isinstance(error, errors.Veo3RateLimitError | errors.Veo3NoAnswerError):
                self._listing_failures += 1
            return False
        if page.status is None:
            self._listing_failures += LISTING_PATIENCE  # every generation can still be asked about
        else:
            self._listing.filters = False
        return True

    def _stay_away(self, error: errors.Veo3Error, now: float) -> None:
        """Leave the API alone as long as it asks, or its trouble suggests."""
        self._failures += 1
        hint = error.retry_after if isinstance(error, errors.Veo3ApiError) else None
        spacing = self._spacing() if self._seats else 0.0
        asked = backoff(self._failures, spacing, hint)
        pause = min(asked, LONGEST_HOLD)
        self._hold = now + pause * (1 + min(self._spread, 10.0 / max(pause, 1.0)))
        for seat in self._seats.values() if asked > pause else ():
            seat.due = min(seat.due, self._hold)

    def _fail(self, waits: Iterable[Wait], error: errors.Veo3Error, now: float) -> None:
        for wait in list(waits):
            seat = self._seats[wait]
            verdict = wait.on_error(error, now)
            if not isinstance(verdict, WaitResult) and not seat.troubled:
                seat.troubled = True
                self._news.append((wait, f"{error} Asking again in {verdict:.0f} s."))
            self._judge(wait, verdict, now)

    def _judge(self, wait: Wait, verdict: WaitResult | float, now: float) -> None:
        if isinstance(verdict, WaitResult):
            self._end(wait, verdict)
        else:
            ahead = verdict if now + verdict >= wait.deadline else verdict * (1 - self._spread)
            self._seats[wait].due = now + ahead

    def _end(self, wait: Wait, result: WaitResult) -> None:
        self.leave(wait)
        self._news.append((wait, result))
