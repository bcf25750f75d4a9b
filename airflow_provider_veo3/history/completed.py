"""Newly completed generations of an account, and the pages to read for them. Pure: no clock, no API.

The vendor says neither in which order the history comes nor how soon it lists a completion. So a cursor is
no single point: it keeps the generations reported in the last hour, and reports those listed late in it.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_veo3.api.json_values import is_unix_time
from airflow_provider_veo3.api.models import HistoryPage, Status
from airflow_provider_veo3.history.pages import LONGEST_GENERATION, MAX_PAGES, HistoryReader, Page, Rest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow_provider_veo3.api.models import Generation

WINDOW: Final = 3600.0
"""Seconds behind the newest completion within which one that is listed late is still reported."""

KEPT: Final = 1000
"""Most reported generations kept: the cursor must fit into Airflow's state store (64 kB)."""


@dataclass(frozen=True)
class PollResult:
    """Generations that a poll of the account has found.

    :param generations: those on its pages, finished or not.
    :param depth: Unix seconds, the API's clock: each listed generation that completed later is among them.
        Infinite when the poll was cut short.
    :param skew: seconds by which the API's clock is ahead of ours.
    """

    generations: tuple[Generation, ...]
    depth: float
    skew: float = 0.0


class Cursor:
    """Position of one watcher in the completions of an account.

    :param began: Unix seconds, our clock: earlier completions are not reported. The API gives its time in
        whole seconds, so that a completion up to a second older may be reported; no newer one is missed.
    """

    def __init__(self, began: float) -> None:
        self._began = began
        self._floor: float | None = None
        self._reported: dict[str, float] = {}

    @property
    def floor(self) -> float | None:
        """Unix seconds, the API's clock, up to which all is reported; ``None`` before the first poll."""
        return self._floor

    def take(self, poll: PollResult, now: float) -> list[Generation]:
        """Return the newly completed generations, in the order of completion, and note them as reported.

        :param now: Unix seconds, our clock.
        """
        floor = self._floor = self._began + poll.skew if self._floor is None else self._floor
        new: dict[str, tuple[float, Generation]] = {}
        for generation in poll.generations:
            moment = completed_at(generation)
            if moment is None or moment <= floor:
                continue
            if generation.id not in self._reported:
                new[generation.id] = (moment, generation)
            self._reported[generation.id] = max(moment, self._reported.get(generation.id, moment))
        if poll.depth <= floor:
            # a time in the future, by whichever clock, must not hide earlier completions
            self._move(min(max(self._reported.values(), default=floor), now + poll.skew) - WINDOW)
        return [new[name][1] for name in sorted(new, key=lambda name: (new[name][0], name))]

    def _move(self, floor: float) -> None:
        """Raise the floor, and forget the generations below it."""
        surplus = sorted(self._reported.values())[:-KEPT]
        floor = max([floor, *surplus[-1:]])
        if self._floor is None or floor > self._floor:
            self._floor = floor
            self._reported = {name: moment for name, moment in self._reported.items() if moment > floor}

    def to_json(self) -> dict[str, Any]:
        """Return the stored form."""
        return {"version": 1, "began": self._began, "floor": self._floor, "told": dict(self._reported)}

    @classmethod
    def from_json(cls, value: object) -> Cursor | None:
        """Parse the stored form; ``None`` for any other value."""
        stored = value if isinstance(value, Mapping) else {}
        began: Any = stored.get("began")
        floor, reported = stored.get("floor"), stored.get("told")
        if (
            stored.get("version") != 1
            or not is_unix_time(began)
            or not (floor is None or is_unix_time(floor))
            or not isinstance(reported, Mapping)
            or not all(isinstance(name, str) and is_unix_time(moment) for name, moment in reported.items())
        ):
            return None
        cursor = cls(began)
        cursor._floor, cursor._reported = floor, dict(reported)
        return cursor


def completed_at(generation: Generation) -> float | None:
    """Return when a generation completed, in Unix seconds by the API's clock.

    As nearly as is known; ``None`` when it has not completed, or the API gives no time.
    """
    if generation.status is not Status.COMPLETED:
        return None
    if generation.completed_at is not None:
        return generation.completed_at.timestamp()
    if generation.created_at is None:
        return None
    took = generation.processing_seconds or 0.0
    return generation.created_at.timestamp() + (took if 0 <= took <= LONGEST_GENERATION else 0.0)


def read_completed(reader: HistoryReader, floor: float) -> Generator[Page, HistoryPage, PollResult]:
    """Read all generations that completed after a time.

    :param reader: kept from poll to poll, so that most polls cost one page.
    :param floor: Unix seconds, the API's clock.
    """
    needed = floor - LONGEST_GENERATION  # the history may be in the order of creation
    found: list[Generation] = []
    skew: float | None = None

    def enough(page: HistoryPage, rest: Rest) -> bool:
        nonlocal skew
        found.extend(page.generations)
        skew = page.clock_skew if skew is None else skew
        return rest.before is not None and rest.before.timestamp() < needed

    yield from reader.read(enough, Status.COMPLETED, newest_first=True, most=MAX_PAGES)
    return PollResult(tuple(found), floor, skew or 0.0)


def lowest_floor(floors: Iterable[float | None], now: float) -> float:
    """Return the time back to which a poll must read for several cursors; one without a floor begins now."""
    return min((now if floor is None else floor for floor in floors), default=now)
