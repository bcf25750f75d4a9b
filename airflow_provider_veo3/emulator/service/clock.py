"""Clocks of the emulator, which tests can advance."""

from __future__ import annotations

import datetime
import time

# The latest time of the clock: every date that is computed from it stays before the year 9999.
LATEST = datetime.datetime(4000, 1, 1, tzinfo=datetime.UTC).timestamp()


class Clock:
    """The wall clock plus the seconds by which it was advanced."""

    def __init__(self) -> None:
        self._advanced = 0.0

    def now(self) -> float:
        """Return the time in seconds since the epoch."""
        return time.time() + self._advanced

    def advance(self, seconds: float) -> None:
        """Move the clock forward by this many seconds."""
        if not seconds >= 0:
            raise ValueError(f"seconds={seconds!r}: time cannot go back")
        if self.now() + seconds > LATEST:
            raise ValueError(f"seconds={seconds!r}: the clock ends with the year 3999")
        self._advanced += seconds


class FrozenClock(Clock):
    """A clock that stands still until it is advanced.

    :param start: time at the start, in seconds since the epoch; by default 2026-01-01 UTC.
    """

    def __init__(self, start: float = 1_767_225_600.0) -> None:
        super().__init__()
        self._start = start

    def now(self) -> float:
        """Return the time in seconds since the epoch."""
        return self._start + self._advanced


def iso(moment: float) -> str:
    """Format a time like the vendor: UTC, milliseconds, Z."""
    # Rounded first: a float slightly below a millisecond would otherwise lose a whole one.
    utc = datetime.datetime.fromtimestamp(round(moment * 1000) / 1000, tz=datetime.UTC)
    return utc.strftime("%Y-%m-%dT%H:%M:%S.") + f"{utc.microsecond // 1000:03d}Z"
