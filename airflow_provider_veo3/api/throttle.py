"""Keep under a number of requests per minute."""

from __future__ import annotations


class TokenBucket:
    """Spread requests so that no 60 seconds hold more than their share. Pure: the caller brings the clock.

    A sixth of the share may go at once; what is left of it sets the pace from there.

    :param per_minute: requests allowed in a minute, from 1; a fraction is dropped.
    """

    def __init__(self, per_minute: float) -> None:
        share = int(per_minute)
        burst = max(1, share // 6)
        self._interval = 60.0 / (share - burst + 1)
        self._head_start = (burst - 1) * self._interval
        self._free_at = float("-inf")

    def hold(self, now: float, seconds: float) -> None:
        """Let no place come before so many seconds have passed."""
        self._free_at = max(self._free_at, now + seconds)

    def reserve(self, now: float) -> float:
        """Take the next free place, and return the seconds until it comes."""
        self._free_at = max(self._free_at, now - self._head_start)
        wait = max(0.0, self._free_at - now)
        self._free_at += self._interval
        return wait
