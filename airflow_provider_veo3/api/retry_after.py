"""Delay that a response requests, in its headers or its body."""

from __future__ import annotations

from datetime import UTC
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_veo3.api.json_values import read_detail, read_number

if TYPE_CHECKING:
    from collections.abc import Mapping

RATE_LIMIT_FALLBACK: Final = 60.0
"""Seconds to wait after a 429 without a usable hint: the vendor's rate window."""


def retry_after(status: int, headers: Mapping[str, str], body: Mapping[str, Any], now: float) -> float | None:
    """Return the seconds that a response requests to wait; ``None`` if it requests none.

    For a 429 the vendor's own header goes first, then the standard one, the body, the end of the rate window;
    for any other status the standard header counts alone, since the vendor sends his own in every response.

    :param headers: names in lower case.
    :param now: Unix seconds when the response came.
    """
    api_now = parse_http_date(headers.get("date"))
    now = now if api_now is None else api_now  # dates and resets are times of the API's clock
    standard = read_number(_delay(headers.get("retry-after"), now))
    if status != HTTPStatus.TOO_MANY_REQUESTS:
        return standard if standard is not None and standard >= 0 else None
    own = read_number(headers.get("x-ratelimit-retry-after"))
    for seconds in (own, standard, read_number(read_detail(body, "retry_after"))):
        if seconds is not None and seconds >= 0:
            return seconds
    reset = read_number(headers.get("x-ratelimit-reset")) or read_number(read_detail(body, "reset"))
    left = reset - now if reset is not None else RATE_LIMIT_FALLBACK
    # a reset that is past, or far off, is a clock that differs from ours, or another unit
    return left if 0 <= left <= 24 * 3600 else RATE_LIMIT_FALLBACK


def exhausted_window(headers: Mapping[str, str]) -> float:
    """Return the seconds until a used-up rate window resets; 0 for any other.

    The end of the window is a time of the API's clock, so that it counts only beside the API's date.

    :param headers: names in lower case.
    """
    remaining = read_number(headers.get("x-ratelimit-remaining"))
    if remaining is None or remaining > 0:
        return 0.0
    left = read_number(headers.get("x-ratelimit-retry-after"))
    reset, date = read_number(headers.get("x-ratelimit-reset")), parse_http_date(headers.get("date"))
    if left is None and reset is not None and date is not None:
        left = reset - date
    # a longer time is the end of the day, or another unit
    return left if left is not None and 0 <= left <= RATE_LIMIT_FALLBACK else 0.0


def _delay(header: str | None, now: float) -> float | str | None:
    """Return the date form of ``Retry-After`` as seconds, the number form as it is."""
    if header is None or read_number(header) is not None:
        return header
    date = parse_http_date(header)
    return None if date is None else max(0.0, date - now)


def parse_http_date(header: str | None) -> float | None:
    """Parse the date of an HTTP header into Unix seconds; else ``None``."""
    try:
        time = parsedate_to_datetime(header or "")
        return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError, TypeError):
        return None
