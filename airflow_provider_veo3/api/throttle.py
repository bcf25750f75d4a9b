"""Requests-per-minute limiter."""

from __future__ import annotations


class TokenBucket:
    """Limiter that lets no 60 seconds hold more requests than allowed.

    A sixth of the minute's requests may go at once; the rest follow at even intervals. Pure: the caller
    brings the clock.

    :param per_minute: requests allowed in a minute, from 1; a fraction is dropped.
    """

    def __init__(self, per_minute: float) -> None:
        allowed = int(per_minute)
        burst = max(1, allowed // 6)
        self._interval = 60.0 / (allowed - burst + 1)
        self._head_start = (burst - 1) * self._interval
        self._free_at = float("-inf")

    def hold(self, now: float, seconds: float) -> None:
        """Block every slot of the next seconds."""
        self._free_at = max(self._free_at, now + seconds)

    def reserve(self, now: float) -> float:
        """Reserve the next free slot; return the seconds until it comes."""
        self._free_at = max(self._free_at, now - self._head_start)
        wait = max(0.0, self._free_at - now)
        self._free_at += self._interval
        return wait
