"""How long generations take, and so when it makes sense to ask about one. Pure: no clock, no API."""

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
"""The vendor's published seconds from acceptance to the finish, by model."""

SHORTEST_TYPICAL: Final = 45.0
"""Seconds taken for a model that the vendor has published no time of."""

LONGEST_GENERATION: Final = 3600.0
"""Seconds that no generation takes."""

BEFORE_LEARNING: Final = 0.5
"""Share of the published time before which nobody asks while nothing is known from experience."""

INTERVALS_BEFORE_LEARNING: Final = 6
"""... but no longer than so many poll intervals: who wants to look every second wants no long silence."""

MARGIN: Final = 0.9
"""Share of the shortest time seen before which nobody asks."""

DOUBT: Final = 2
"""The shortest of ``n`` times seen counts ``n / (n + DOUBT)``: few tell little of the shortest possible."""

ENOUGH: Final = 5
"""Generations from which on they may put off the first look; fewer may have met a jam."""

KEPT: Final = 50
"""Latest generations of a model whose times are kept, so that what is learned follows the vendor."""

CREDIBLE: Final = 3
"""Times the published time up to which what was seen is heeded: all beyond is a jam, or another unit."""

SLOWER: Final = 1 / 30
"""Looks are never further apart than a poll interval or this share of the time waited, if that is more."""

CLOCK_TOLERANCE: Final = (2.0, 1.1)
"""Seconds and factor by which a reported time may exceed the one measured here."""


class Pace:
    """What is known of how long generations take on one connection."""

    def __init__(self) -> None:
        self._seen: dict[str, float] = {}
        self._times: dict[str | None, list[tuple[float, str]]] = {}
        """Heaps of when each was accepted, by the API's clock, and its id."""
        self._clocks_agree = True

    def learn(self, generation: Generation, elapsed: float | None = None) -> None:
        """Take in a completed generation; anything else teaches nothing, and a failure may come at any time.

        :param elapsed: seconds since its acceptance, measured here.
        """
        told = reported_seconds(generation)
        if generation.status is not Status.COMPLETED or told is None:
            return
        slack, factor = CLOCK_TOLERANCE
        if elapsed is not None and told > elapsed * factor + slack:
            # an API whose seconds are not ours, such as an emulator with a time scale
            self._clocks_agree = False
        if generation.id in self._seen:
            return
        times = self._times.setdefault(_key(generation.model), [])
        accepted = 0.0 if generation.created_at is None else generation.created_at.timestamp()
        self._seen[generation.id] = told
        heapq.heappush(times, (accepted, generation.id))
        if len(times) > KEPT:  # whichever way the listing runs, and as often as it is read
            del self._seen[heapq.heappop(times)[1]]

    def earliest(self, model: str | None, poll_interval: float) -> float:
        """Return the seconds after its acceptance before which no generation of a model is expected."""
        expected = min(_typical(model) * BEFORE_LEARNING, poll_interval * INTERVALS_BEFORE_LEARNING)
        times = self._times.get(_key(model), ())
        if not times or not self._clocks_agree:
            return expected
        seen = min(self._seen[generation_id] for _, generation_id in times)
        shortest = min(seen, _typical(model) * CREDIBLE)
        learned = MARGIN * shortest * len(times) / (len(times) + DOUBT) if len(times) >= ENOUGH else expected
        return min(MARGIN * shortest, max(expected, learned))


def pause_before_look(age: float | None, earliest: float, waited: float, poll_interval: float) -> float:
    """Return the seconds until it makes sense to ask again about something that has not ended.

    :param age: seconds since it was accepted; ``None`` when not known.
    :param earliest: age before which it is not expected to end.
    :param waited: seconds since somebody began to wait for it here.
    """
    early = 0.0 if age is None else earliest - age
    return max(poll_interval, early, waited * SLOWER)


def _key(model: str | None) -> str | None:
    """Return what a model is known by here: it may be listed otherwise than it was asked for."""
    return None if model is None else without_ending(model)


def _typical(model: str | None) -> float:
    times = (seconds for pattern, seconds in _TYPICAL if pattern.match(model or ""))
    return next(times, SHORTEST_TYPICAL)


def reported_seconds(generation: Generation) -> float | None:
    """The shorter of what its two times and its processing time say, whichever unit the latter may have."""
    times = [] if generation.processing_seconds is None else [generation.processing_seconds]
    if generation.created_at is not None and generation.completed_at is not None:
        times.append((generation.completed_at - generation.created_at).total_seconds())
    return min((seconds for seconds in times if seconds >= 0), default=None)
