"""How many requests a key has left: per minute, per day, and at the same time."""

from __future__ import annotations

import dataclasses
import math
from collections import deque
from typing import TYPE_CHECKING

from airflow_provider_veo3.emulator.service.errors import ApiError

if TYPE_CHECKING:
    from airflow_provider_veo3.emulator.config.settings import Settings

MINUTE = 60.0
DAY = 86_400.0
RETRY_AFTER = "X-RateLimit-Retry-After"
# The hints of which this header is a part.
OWN_HEADER = ("documented", "x-ratelimit")


@dataclasses.dataclass(frozen=True)
class Usage:
    """Where a key stands in a window; ``reset`` is when the window gives room again."""

    limit: int
    remaining: int
    reset: float

    def headers(self) -> dict[str, str]:
        """The headers that the vendor sends with every answer, the wait aside."""
        return {
            "X-RateLimit-Limit": str(self.limit),
            "X-RateLimit-Remaining": str(self.remaining),
            "X-RateLimit-Reset": str(math.ceil(self.reset)),
        }

    def wait(self, now: float) -> int:
        """Whole seconds until there is room again."""
        return max(1, math.ceil(self.reset - now))


class Window:
    """The requests of one key that still count.

    A window of mode ``sliding`` forgets each request when it is old enough, ``aligned`` forgets all at
    multiples of the period, ``first-request`` forgets all one period after the first.
    """

    def __init__(self) -> None:
        self._hits: deque[float] = deque()

    def usage(self, now: float, limit: int, period: float, mode: str) -> Usage:
        """Forget what no longer counts and tell what is left."""
        hits = self._hits
        if mode == "sliding":
            while hits and hits[0] + period <= now:
                hits.popleft()
            reset = (hits[0] if hits else now) + period
        elif mode == "aligned":
            start = math.floor(now / period) * period
            while hits and hits[0] < start:
                hits.popleft()
            reset = start + period
        else:
            if hits and hits[0] + period <= now:
                hits.clear()
            reset = (hits[0] if hits else now) + period
        return Usage(limit, max(0, limit - len(hits)), reset)

    def add(self, now: float) -> None:
        """Count a request."""
        self._hits.append(now)


class Meter:
    """How much of the limits one key, or one account, has used."""

    def __init__(self) -> None:
        self._minute = Window()
        self._day = Window()
        self.in_flight = 0

    def check(self, now: float, settings: Settings, *, counts: bool) -> None:
        """Refuse a request for which there is no room, with 429."""
        if settings.concurrent_requests is not None and self.in_flight >= settings.concurrent_requests:
            message = f"Maximum {settings.concurrent_requests} concurrent requests allowed."
            usage = Usage(settings.concurrent_requests, 0, now + 1)
            raise rate_limited(message, usage, now, settings, code="RATE_LIMIT_EXCEEDED", of_window=False)
        if counts:
            for usage, unit in self._usages(now, settings):
                if usage.remaining == 0:
                    code = settings.daily_limit_code if unit == "day" else "RATE_LIMIT_EXCEEDED"
                    message = f"Maximum {usage.limit} requests per {unit} allowed."
                    raise rate_limited(message, usage, now, settings, code=code, of_window=True)

    def enter(self, now: float, *, counts: bool) -> None:
        """Count a request that is let in."""
        if counts:
            self._minute.add(now)
            self._day.add(now)
        self.in_flight += 1

    def leave(self) -> None:
        """End a request that was let in."""
        self.in_flight -= 1

    def _usages(self, now: float, settings: Settings) -> list[tuple[Usage, str]]:
        usages = []
        if settings.requests_per_minute is not None:
            period = settings.scaled(MINUTE)
            limit = settings.requests_per_minute
            usages.append((self._minute.usage(now, limit, period, settings.rate_window), "minute"))
        if settings.requests_per_day is not None:
            period = settings.scaled(DAY)
            limit = settings.requests_per_day
            usages.append((self._day.usage(now, limit, period, settings.day_window), "day"))
        return usages

    def headers(self, now: float, settings: Settings) -> dict[str, str]:
        """The rate limit headers of an answer: of the minute, or of the day where only that is limited."""
        usages = self._usages(now, settings)
        if not usages or not settings.rate_headers:
            return {}
        usage = usages[0][0]
        own = settings.retry_after_everywhere and settings.retry_hint in OWN_HEADER
        return usage.headers() | ({RETRY_AFTER: str(usage.wait(now))} if own else {})


def rate_limited(
    message: str, usage: Usage, now: float, settings: Settings, *, code: str, of_window: bool
) -> ApiError:
    """A refusal with 429 that hints at the wait in the way the settings choose.

    :param of_window: the limit is that of a minute or a day, which the X-RateLimit headers describe;
        other limits show in the body and in the hint alone.
    """
    wait = usage.wait(now)
    hint = settings.retry_hint
    details = {"limit": usage.limit, "remaining": 0, "reset": math.ceil(usage.reset)}
    if hint in ("documented", "body"):
        details["retry_after"] = wait
    headers = usage.headers() if of_window and settings.rate_headers else {}
    if hint in OWN_HEADER:
        headers[RETRY_AFTER] = str(wait)
    if hint == "retry-after":
        headers["Retry-After"] = str(wait)
    return ApiError(429, code, f"Rate limit exceeded. {message}", details=details, headers=headers)
