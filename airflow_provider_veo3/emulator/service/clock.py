"""The time on the wire, which tests can move."""

from __future__ import annotations

import datetime
import time

# Room for what happens a while later, before the last year that dates can tell.
LATEST = datetime.datetime(4000, 1, 1, tzinfo=datetime.UTC).timestamp()


class Clock:
    """The wall clock plus everything that it was advanced by."""

    def __init__(self) -> None:
        self._ahead = 0.0

    def now(self) -> float:
        """Seconds since the epoch."""
        return time.time() + self._ahead

    def advance(self, seconds: float) -> None:
        """Jump into the future."""
        if not seconds >= 0:
            raise ValueError(f"seconds={seconds!r}: time cannot go back")
        if self.now() + seconds > LATEST:
            raise ValueError(f"seconds={seconds!r}: time ends with the year 3999 here")
        self._ahead += seconds


class FrozenClock(Clock):
    """A clock that stands still until it is advanced."""

    def __init__(self, start: float = 1_767_225_600.0) -> None:
        super().__init__()
        self._start = start

    def now(self) -> float:
        """Seconds since the epoch."""
        return self._start + self._ahead


def iso(moment: float) -> str:
    """Format a time as the vendor does: UTC, milliseconds, Z."""
    # Rounded first: a float a hair below a millisecond would otherwise lose a whole one.
    utc = datetime.datetime.fromtimestamp(round(moment * 1000) / 1000, tz=datetime.UTC)
    return utc.strftime("%Y-%m-%dT%H:%M:%S.") + f"{utc.microsecond // 1000:03d}Z"
