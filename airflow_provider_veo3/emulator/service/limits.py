"""Request limits: per minute, per day, and at the same time."""

from __future__ import annotations

import dataclasses
import math
from collections import deque
from typing import TYPE_CHECKING

from airflow_provider_veo3.emulator.service.errors import ApiError

if TYPE_CHECKING:
    from airflow_provider_veo3.emulator.config.settings import Settings, WindowMode

MINUTE = 60.0
DAY = 86_400.0
RETRY_AFTER = "X-RateLimit-Retry-After"
# Values of the option retry_hint that include this header.
_WITH_HEADER = ("documented", "x-ratelimit")
_WITH_BODY = ("documented", "body")


@dataclasses.dataclass(frozen=True)
class Usage:
    """State of a limit.

    :param limit: the limit.
    :param remaining: requests or videos that it still accepts.
    :param reset: time at which it accepts more, in seconds since the epoch.
    """

    limit: int
    remaining: int
    reset: float

    def headers(self, settings: Settings) -> dict[str, str]:
        """Return the rate limit headers except the wait."""
        return {
            "X-RateLimit-Limit": str(self.limit),
            "X-RateLimit-Remaining": str(self.remaining),
            "X-RateLimit-Reset": str(self.shown_reset(settings)),
        }

    def shown_reset(self, settings: Settings) -> int:
        """Return the time of the reset by the API's own clock."""
        return math.ceil(self.reset + settings.clock_offset_seconds)

    def wait(self, now: float) -> int:
        """Return the seconds until the reset, rounded up, at least one."""
        return max(1, math.ceil(self.reset - now))


class RequestWindow:
    """The recent requests that count against one limit.

    Mode ``sliding`` drops each request one period later, ``aligned`` drops all at multiples of the period,
    ``first-request`` drops all one period after the first.
    """

    def __init__(self) -> None:
        self._times: deque[float] = deque()

    def usage(self, now: float, limit: int, period: float, mode: WindowMode) -> Usage:
        """Drop the requests that no longer count, and return the state of the limit."""
        times = self._times
        if mode == "aligned":
            start = math.floor(now / period) * period
            while times and times[0] < start:
                times.popleft()
            reset = start + period
        else:
            while times and times[0] + period <= now:
                if mode == "sliding":
                    times.popleft()
                else:
                    times.clear()
            reset = (times[0] if times else now) + period
        return Usage(limit, max(0, limit - len(times)), reset)

    def add(self, now: float) -> None:
        """Count a request."""
        self._times.append(now)


class RateLimiter:
    """Requests of one key, or of one account."""

    def __init__(self) -> None:
        self._minute = RequestWindow()
        self._day = RequestWindow()
        self._in_flight = 0

    def check(self, now: float, settings: Settings) -> None:
        """Refuse a request beyond a limit with 429."""
        limit = settings.concurrent_requests
        if limit is not None and self._in_flight >= limit:
            message = f"Maximum {limit} concurrent requests allowed."
            raise rate_limited(message, Usage(limit, 0, now + 1), now, settings)
        for unit, usage in self._usages(now, settings).items():
            if usage.remaining == 0:
                message = f"Maximum {usage.limit} requests per {unit} allowed."
                raise rate_limited(message, usage, now, settings, headers=usage.headers(settings))

    def begin(self, now: float) -> None:
        """Count an accepted request."""
        self._minute.add(now)
        self._day.add(now)
        self._in_flight += 1

    def end(self) -> None:
        """End an accepted request."""
        self._in_flight -= 1

    def headers(self, now: float, settings: Settings) -> dict[str, str]:
        """Return the rate limit headers of the minute, or else of the day."""
        usages = self._usages(now, settings)
        if not usages or not settings.rate_headers:
            return {}
        usage = next(iter(usages.values()))
        with_wait = settings.retry_after_everywhere and settings.retry_hint in _WITH_HEADER
        return usage.headers(settings) | ({RETRY_AFTER: str(usage.wait(now))} if with_wait else {})

    def _usages(self, now: float, settings: Settings) -> dict[str, Usage]:
        limits = (
            ("minute", self._minute, settings.requests_per_minute, MINUTE, settings.rate_window),
            ("day", self._day, settings.requests_per_day, DAY, settings.day_window),
        )
        return {
            unit: window.usage(now, limit, settings.scaled(period), mode)
            for unit, window, limit, period, mode in limits
            if limit is not None
        }


def rate_limited(
    message: str,
    usage: Usage,
    now: float,
    settings: Settings,
    *,
    code: str = "RATE_LIMIT_EXCEEDED",
    headers: dict[str, str] | None = None,
) -> ApiError:
    """Return the 429 of a limit.

    :param headers: rate limit headers; only those of the minute and of the day describe a refusal.
    """
    wait, hint = usage.wait(now), settings.retry_hint
    details = {"limit": usage.limit, "remaining": 0, "reset": usage.shown_reset(settings)}
    sent = dict(headers or {}) if settings.rate_headers else {}
    if hint in _WITH_BODY:
        details["retry_after"] = wait
    if hint in _WITH_HEADER:
        sent[RETRY_AFTER] = str(wait)
    if hint == "retry-after":
        sent["Retry-After"] = str(wait)
    return ApiError(429, code, f"Rate limit exceeded. {message}", details=details, headers=sent)
