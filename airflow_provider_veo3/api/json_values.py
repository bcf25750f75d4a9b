"""Tolerant readers of JSON values, which may be missing, null or of another type."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, TypeGuard

LARGEST_COUNT: Final = 2**53
"""Largest count that Airflow stores; a larger one would fail a task that has paid."""

LATEST_TIME: Final = 1e12
"""Unix seconds beyond every real time; milliseconds taken for seconds lie beyond it too."""

SECONDS: Final = (1e8, 1e11)
"""Range of a number of seconds since 1970 that is a time; larger numbers are of a smaller unit."""


class UnusableError(Exception):
    """Missing or unusable content of a response, as a clause; the caller names the response."""


def read_text(value: object) -> str | None:
    """Return non-empty text, else ``None``; characters that no log or database keeps are replaced.

    NUL is dropped; a lone surrogate, such as the half that is left where a text was cut, becomes U+FFFD.
    """
    if not isinstance(value, str):
        return None
    return re.sub("[\ud800-\udfff]", "\ufffd", value.replace("\x00", "")) or None


def read_number(value: object) -> float | None:
    """Return a finite number, which may come as text, else ``None``."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def read_count(value: object) -> int | None:
    """Return a whole number from 0 to ``LARGEST_COUNT``, else ``None``."""
    number = read_number(value)
    return int(number) if number is not None and 0 <= number <= LARGEST_COUNT else None


def read_time(value: object) -> datetime | None:
    """Return a time in UTC; else ``None``.

    :param value: ISO 8601 text, UTC unless it names a zone; or a number, also as text, of seconds,
        milliseconds, microseconds or nanoseconds since 1970.
    """
    number = read_number(value)
    try:
        if number is not None and number >= SECONDS[0]:
            while number >= SECONDS[1]:
                number /= 1000.0
            return datetime.fromtimestamp(number, UTC)
        time = datetime.fromisoformat(value.strip()) if isinstance(value, str) else None
        if time is None:
            return None
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        return None


def names_zone(value: object) -> bool:
    """Return whether a time that can be read says in which zone it is."""
    if (read_number(value) or 0.0) >= SECONDS[0]:
        return True
    try:
        return isinstance(value, str) and datetime.fromisoformat(value.strip()).tzinfo is not None
    except ValueError:
        return False


def is_unix_time(value: object) -> TypeGuard[float]:
    """Return whether a value is a number of Unix seconds, from 0 to below ``LATEST_TIME``."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < LATEST_TIME


def read_list(value: object) -> list[Mapping[str, Any]]:
    """Return the objects of a list; of anything else, an empty list."""
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []


def read_detail(body: Mapping[str, Any], name: str) -> object:
    """Return a detail of an error, from whichever place of either envelope holds it."""
    error = body.get("error")
    inner = error if isinstance(error, Mapping) else {}
    places = (inner.get("details"), inner, body.get("details"), body)
    values = (place.get(name) for place in places if isinstance(place, Mapping))
    return next((value for value in values if value is not None), None)


def read_error(body: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """Return the vendor's error code and message from either envelope."""
    error = body.get("error")
    inner = error if isinstance(error, Mapping) else {}
    text = read_text(error)
    code = read_text(inner.get("code")) or read_text(body.get("code"))
    if code is None and text is not None and text.replace("_", "").isalnum() and text.isupper():
        code, text = text, None
    candidates = (inner.get("message"), text, body.get("message"), body.get("details"), inner.get("details"))
    return code, next((found for found in map(read_text, candidates) if found), None)
