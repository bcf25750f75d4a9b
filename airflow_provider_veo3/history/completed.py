"""Which generations of an account are newly completed, and which pages tell. Pure: no clock, no API.

The vendor says neither in which order the history comes nor how soon it lists what has finished. So a cursor
is no single point: it keeps what it has told of the last hour, and takes whatever turns up in that hour late.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_veo3.api.models import HistoryPage, Status
from airflow_provider_veo3.api.protocol import HISTORY_PAGE_LIMIT
from airflow_provider_veo3.history.lost import MAX_PAGES, PAGE_OVERLAP
from airflow_provider_veo3.history.pages import ROOM_FOR_NEW, Page, order_of
from airflow_provider_veo3.polling.durations import LONGEST_GENERATION

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow_provider_veo3.api.models import Generation

WINDOW: Final = 3600.0
"""Seconds behind the newest completion within which one that is listed late is still told."""

KEPT: Final = 1000
"""Told generations that are kept, so that the cursor fits into Airflow's state store (64 kB)."""

_LATEST: Final = 1e12
"""Unix seconds: later than any time."""


@dataclass(frozen=True)
class Seen:
    """What a look has shown.

    :param generations: those on its pages, finished or not.
    :param depth: Unix seconds, the API's clock; whatever was listed and completed later is among them.
        Infinite when the look was cut short.
    :param skew: seconds by which the API's clock is ahead of ours.
    """

    generations: tuple[Generation, ...]
    depth: float
    skew: float = 0.0


class Cursor:
    """How far somebody has been told of completed generations.

    :param began: Unix seconds, our clock: what completed before is not told. The API tells its time in whole
        seconds, so that one which is up to a second older may be told; none that is newer is missed.
    """

    def __init__(self, began: float) -> None:
        self._began = began
        self._floor: float | None = None
        self._told: dict[str, float] = {}

    @property
    def floor(self) -> float | None:
        """Unix seconds, the API's clock, up to which all is told; ``None`` before the first look."""
        return self._floor

    def take(self, seen: Seen, now: float) -> list[Generation]:
        """Return what is newly completed, in the order of completion, and remember that it was told.

        :param now: Unix seconds, our clock.
        """
        floor = self._floor = self._began + seen.skew if self._floor is None else self._floor
        new: dict[str, tuple[float, Generation]] = {}
        for generation in seen.generations:
            moment = completed_at(generation)
            if moment is None or moment <= floor:
                continue
            if generation.id not in self._told:
                new[generation.id] = (moment, generation)
            self._told[generation.id] = max(moment, self._told.get(generation.id, moment))
        if seen.depth <= floor:
            # a time in the future, whoever's clock it is of, must not make us miss what comes before it
            self._move(min(max(self._told.values(), default=floor), now + seen.skew) - WINDOW)
        return [new[name][1] for name in sorted(new, key=lambda name: (new[name][0], name))]

    def _move(self, floor: float) -> None:
        """Forget what completed long ago: what is no longer remembered lies below the floor."""
        surplus = sorted(self._told.values())[:-KEPT]
        floor = max([floor, *surplus[-1:]])
        if self._floor is None or floor > self._floor:
            self._floor = floor
            self._told = {name: moment for name, moment in self._told.items() if moment > floor}

    def to_json(self) -> dict[str, Any]:
        """Return it as the store keeps it."""
        return {"version": 1, "began": self._began, "floor": self._floor, "told": dict(self._told)}

    @classmethod
    def from_json(cls, value: object) -> Cursor | None:
        """Read it back; ``None`` when it is none of ours."""
        stored = value if isinstance(value, Mapping) else {}
        began: Any = stored.get("began")
        floor, told = stored.get("floor"), stored.get("told")
        if (
            stored.get("version") != 1
            or not _is_time(began)
            or not (floor is None or _is_time(floor))
            or not isinstance(told, Mapping)
            or not all(isinstance(name, str) and _is_time(moment) for name, moment in told.items())
        ):
            return None
        cursor = cls(began)
        cursor._floor, cursor._told = floor, dict(told)
        return cursor


def _is_time(value: Any) -> bool:
    return type(value) in (int, float) and 0 <= value < _LATEST


def completed_at(generation: Generation) -> float | None:
    """Return when a generation completed, in Unix seconds by the API's clock.

    As nearly as the API tells; ``None`` when it has not, or nothing is told.
    """
    if generation.status is not Status.COMPLETED:
        return None
    if generation.completed_at is not None:
        return generation.completed_at.timestamp()
    if generation.created_at is None:
        return None
    took = generation.processing_seconds or 0.0
    return generation.created_at.timestamp() + (took if 0 <= took <= LONGEST_GENERATION else 0.0)


Reading = Generator[Page, HistoryPage, float]
"""Asks for pages, and is sent each; returns the depth of the look."""


class Reader:
    """Reads no more of an account's listing than a look needs; learns from it how it behaves."""

    def __init__(self) -> None:
        self._filters = True
        self._totals_hold = True
        self._old_to_new = False
        self._totals: dict[Status | None, int | None] = {}

    def read(self, floor: float) -> Reading:
        """Read until everything that completed after ``floor`` (Unix seconds, the API's clock) has come."""
        needed = floor - LONGEST_GENERATION  # a listing in order of acceptance
        status = Status.COMPLETED if self._filters else None
        start = self._tail(status)
        skip: int | None = start
        oldest, read = math.inf, 0
        while skip is not None and read < MAX_PAGES:
            page = yield Page(skip, status)
            read += 1
            if not self._note(page, status, skip):
                return (yield from self.read(floor))  # in another way, of which there are three
            oldest = min(oldest, _oldest(page))
            if start == 0 and oldest < needed and not self._old_to_new:
                return floor
            if start == 0 and page.next_skip is not None and self._tail(status) > 0:
                return (yield from self.read(floor))  # from the end, now that the order is known
            skip = None if page.next_skip is None else max(skip + 1, page.next_skip - PAGE_OVERLAP)
        skip = start
        while skip > 0 and oldest >= needed and read < MAX_PAGES:
            skip = max(0, skip - HISTORY_PAGE_LIMIT + PAGE_OVERLAP)
            page = yield Page(skip, status)
            read += 1
            oldest = min(oldest, _oldest(page))
        return floor

    def _tail(self, status: Status | None) -> int:
        """Return where to begin: at the end of a listing that runs from old to new."""
        total = self._totals.get(status) if self._totals_hold and self._old_to_new else None
        return max(0, (total or 0) - HISTORY_PAGE_LIMIT + ROOM_FOR_NEW)

    def _note(self, page: HistoryPage, status: Status | None, skip: int) -> bool:
        """Learn from a page; say whether the listing can be read in this way."""
        if status is not None and any(each.status is not status for each in page.generations):
            self._filters = False
            return False
        if skip > 0 and not page.generations and skip == self._tail(status):
            # the total counts more than is listed: all, whatever the filter, or what was deleted
            self._filters, self._totals_hold = False, status is not None
            return False
        self._totals[status] = page.total
        order = order_of(page.generations)
        if order is not None:
            self._old_to_new = order > 0
        return True


def _oldest(page: HistoryPage) -> float:
    times = (each.created_at.timestamp() for each in page.generations if each.created_at is not None)
    return min(times, default=math.inf)


def lowest(floors: Iterable[float | None], now: float) -> float:
    """Return how far back a look has to go for several cursors; one without a floor begins now."""
    return min((now if floor is None else floor for floor in floors), default=now)
