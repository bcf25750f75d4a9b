"""Keep under a number of requests per minute."""

from __future__ import annotations


class TokenBucket:
    """Spread requests so that no minute holds more than its share. Pure: the caller brings the clock.

    A burst of a sixth of the minute's share may go at once; a full bucket on top of the steady flow would
    put nearly twice the share into one minute.

    :param per_minute: requests allowed in a minute, from 1.
    """

    def __init__(self, per_minute: float) -> None:
        self._interval = 60.0 / per_minute
        self._burst = max(1.0, per_minute / 6)
        self._free_at = float("-inf")

    def reserve(self, now: float) -> float:
        """Take the next free place, and return the seconds until it comes."""
        earliest = now - (self._burst - 1) * self._interval
        self._free_at = max(self._free_at, earliest)
        wait = max(0.0, self._free_at - now)
        self._free_at += self._interval
        return wait

    def hold(self, until: float) -> None:
        """Give no place before ``until``: the API said so."""
        self._free_at = max(self._free_at, until)
