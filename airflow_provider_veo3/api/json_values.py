"""Read values that may be missing, null or of another type, and never fail at it."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

LARGEST_COUNT: Final = 2**53
"""What is more cannot be handed to Airflow, which would fail a task that has paid."""


class UnusableError(Exception):
    """An answer lacks what it must have; says what. Whoever made the call says of which."""


def read_text(value: object) -> str | None:
    """Return non-empty text, else ``None``; without what no log and no database can keep.

    A lone surrogate, such as the half that is left where a text was cut, is shown as U+FFFD.
    """
    if not isinstance(value, str):
        return None
    return re.sub("[\ud800-\udfff]", "\ufffd", value.replace("\x00", "")) or None


def read_number(value: object) -> float | None:
    """Read a finite number, also one written as text."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def read_count(value: object) -> int | None:
    """Read a whole number from 0 up, as far as every store keeps it exactly."""
    number = read_number(value)
    return int(number) if number is not None and 0 <= number <= LARGEST_COUNT else None


def read_time(value: object) -> datetime | None:
    """Read an ISO 8601 time; one without a zone is UTC."""
    if not isinstance(value, str):
        return None
    try:
        time = datetime.fromisoformat(value.strip())
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def read_list(value: object) -> list[Mapping[str, Any]]:
    """Return the objects of a list, else nothing."""
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []


def read_detail(body: Mapping[str, Any], name: str) -> object:
    """Return what an error says under a name, wherever its envelope has its details."""
    error = body.get("error")
    inner = error if isinstance(error, Mapping) else {}
    places = (inner.get("details"), inner, body.get("details"), body)
    told = (place.get(name) for place in places if isinstance(place, Mapping))
    return next((value for value in told if value is not None), None)


def read_error(body: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """Return the vendor's code and message from either error envelope."""
    error = body.get("error")
    inner = error if isinstance(error, Mapping) else {}
    text = read_text(error)
    code = read_text(inner.get("code")) or read_text(body.get("code"))
    if code is None and text is not None and text.replace("_", "").isalnum() and text.isupper():
        code, text = text, None
    candidates = (inner.get("message"), text, body.get("message"), body.get("details"), inner.get("details"))
    return code, next((found for found in map(read_text, candidates) if found), None)
