"""Record of failed polls, which says when they are worth a line in a log. Pure: no clock, no API."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Hashable


class Failures(NamedTuple):
    """Failed polls since the last line about any."""

    number: int
    since: float
    """Unix seconds of the first."""


class Trouble:
    """Failed polls of a waiter or a connection: a line when trouble begins, changes, and now and then.

    Trouble that comes and goes counts as one, so that it does not fill a log either.

    :param every: seconds from a line to the next about the same kind of trouble.
    """

    def __init__(self, every: float) -> None:
        self._every = every
        self._reported: dict[Hashable, float] = {}
        self._failures: Failures | None = None

    def note(self, now: float, kind: Hashable = None) -> Failures | None:
        """Count a failed poll; return the failures to report now, ``None`` if a line comes later."""
        number, since = self._failures or (0, now)
        self._failures = Failures(number + 1, since)
        if 0 <= now - self._reported.get(kind, float("-inf")) < self._every:
            return None
        self._reported[kind] = now
        reported, self._failures = self._failures, None
        return reported


def kind_of(error: Exception) -> Hashable:
    """Return what makes two errors the same trouble, whatever their words."""
    return type(error), getattr(error, "status", None)
