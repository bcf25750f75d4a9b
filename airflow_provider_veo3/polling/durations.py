"""Learned durations of generations, and the poll times that follow from them. Pure: no clock, no API."""

from __future__ import annotations

import heapq
import re
from typing import TYPE_CHECKING, Final

from airflow_provider_veo3.api.models import Status, without_ending

if TYPE_CHECKING:
    from airflow_provider_veo3.api.models import Generation

_TYPICAL: Final = (
    (re.compile(r"veo-3\.[01]-lite-"), 45.0),
    (re.compile(r"veo-3\.[01]-fast-"), 60.0),
    (re.compile(r"veo-3\.[01]-generate-"), 120.0),
)
"""The vendor's published seconds from acceptance to completion, by model."""

SHORTEST_TYPICAL: Final = 45.0
"""Seconds assumed for a model without a published time."""

BEFORE_LEARNING: Final = 0.5
"""Share of the published time before the first poll, while nothing is known from experience."""

INTERVALS_BEFORE_LEARNING: Final = 6
"""Most poll intervals before the first poll, while nothing is known from experience: who polls every second
expects no long silence."""

MARGIN: Final = 0.9
"""Share of the shortest duration seen before the first poll."""

DOUBT: Final = 2
"""Generations that are missing for certainty: the shortest of ``n`` durations counts ``n / (n + DOUBT)``."""

ENOUGH: Final = 5
"""Fewest generations that may put off the first poll; fewer may have met a jam."""

KEPT: Final = 50
"""Latest durations kept of each model, so that the estimate follows the vendor."""

CREDIBLE: Final = 3
"""Largest multiple of the published time that counts: anything beyond is a jam, or another unit."""

SLOWER: Final = 1 / 30
"""Share of the time waited that lies between two polls, at least a poll interval."""

CLOCK_TOLERANCE: Final = (2.0, 1.1)
"""Seconds and factor by which a reported duration may exceed the one measured here."""


class Durations:
    """Learned durations of the generations on one connection."""

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}
        self._latest: dict[str | None, list[tuple[float, str]]] = {}
        """Heap by model of acceptance times, by the API's clock, and ids."""
        self._clocks_agree = True

    def learn(self, generation: Generation, elapsed: float | None = None) -> None:
        """Note the duration of a completed generation; others say nothing, since a failure may come any time.

        :param elapsed: seconds since its acceptance, measured here.
        """
        reported = reported_seconds(generation)
        if generation.status is not Status.COMPLETED or reported is None:
            return
        slack, factor = CLOCK_TOLERANCE
        if elapsed is not None and reported > elapsed * factor + slack:
            # an API whose seconds are not ours, such as an emulator with a time scale
            self._clocks_agree = False
        if generation.id in self._seconds:
            return
        latest = self._latest.setdefault(_key(generation.model), [])
        accepted = 0.0 if generation.created_at is None else generation.created_at.timestamp()
        self._seconds[generation.id] = reported
        heapq.heappush(latest, (accepted, generation.id))
        if len(latest) > KEPT:  # whichever way the history runs, and as often as it is read
            del self._seconds[heapq.heappop(latest)[1]]

    def earliest(self, model: str | None, poll_interval: float) -> float:
        """Return the seconds after its acceptance before which no generation of a model is expected."""
        expected = min(_typical(model) * BEFORE_LEARNING, poll_interval * INTERVALS_BEFORE_LEARNING)
        latest = self._latest.get(_key(model), ())
        if not latest or not self._clocks_agree:
            return expected
        seen = min(self._seconds[generation_id] for _, generation_id in latest)
        shortest = min(seen, _typical(model) * CREDIBLE)
        learned = (
            MARGIN * shortest * len(latest) / (len(latest) + DOUBT) if len(latest) >= ENOUGH else expected
        )
        return min(MARGIN * shortest, max(expected, learned))

    def usual(self, model: str | None) -> float | None:
        """Return the usual duration of a model's generations in seconds: learned, else published.

        ``None`` where neither is known, or the API's seconds are not ours.
        """
        if not self._clocks_agree:
            return None
        latest = self._latest.get(_key(model))
        if not latest:
            return _published(model)
        return sorted(self._seconds[generation_id] for _, generation_id in latest)[len(latest) // 2]


def pause_before_poll(age: float | None, earliest: float, waited: float, poll_interval: float) -> float:
    """Return the seconds until the next poll of a generation that has not ended.

    :param age: seconds since it was accepted; ``None`` when not known.
    :param earliest: age before which it is not expected to end.
    :param waited: seconds since the wait began here.
    """
    early = 0.0 if age is None else earliest - age
    return max(poll_interval, early, waited * SLOWER)


def _key(model: str | None) -> str | None:
    """Return the name of a model without the ending that listings spell differently."""
    return None if model is None else without_ending(model)


def _published(model: str | None) -> float | None:
    return next((seconds for pattern, seconds in _TYPICAL if pattern.match(model or "")), None)


def _typical(model: str | None) -> float:
    return _published(model) or SHORTEST_TYPICAL


def reported_seconds(generation: Generation) -> float | None:
    """Return the reported duration: processing time or span between both times, the shorter."""
    times = [] if generation.processing_seconds is None else [generation.processing_seconds]
    if generation.created_at is not None and generation.completed_at is not None:
        times.append((generation.completed_at - generation.created_at).total_seconds())
    return min((seconds for seconds in times if seconds >= 0), default=None)
