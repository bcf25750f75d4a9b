"""Tolerant readers of JSON values, which may be missing, null or of another type."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Final, TypeGuard

LARGEST_COUNT: Final = 2**53
"""Largest count that Airflow stores; a larger one would fail a task that has paid."""

LATEST_TIME: Final = 1e12
"""Unix seconds beyond every real time; milliseconds taken for seconds lie beyond it too."""

SECONDS: Final = (1e8, 1e11)
"""Range of a number of seconds since 1970 that is a time; larger numbers are of a smaller unit."""


SMALL: Final = 2**20
"""Bytes of JSON that are decoded as they are; more may make millions of objects."""


class UnusableError(Exception):
    """Missing or unusable content of a response, as a clause; the caller names the response."""


def decode_json(data: bytes, longest_list: int) -> Any:
    """Decode JSON; of a long list at its top, the rest is dropped before it becomes objects.

    :param longest_list: items that are certainly decoded, and one more where the list goes on.
    :raises ValueError: it is not JSON.
    """
    text = data.decode("utf-8-sig")
    if len(text) <= SMALL:
        return json.loads(text)
    try:
        return _PartialDecoder(text, longest_list + 1).decode()
    except IndexError:
        raise ValueError("the JSON is not complete") from None


class _PartialDecoder:
    """Decoder of an object whose lists may be longer than needed.

    :param text: the JSON.
    :param most: items of a list that are decoded; what follows more of them is not read, but for
        ``pagination``.
    """

    _decoder = json.JSONDecoder()

    def __init__(self, text: str, most: int) -> None:
        self._text = text
        self._most = most
        self._at = 0

    def decode(self) -> Any:
        """Return the object; any other value whole."""
        if not self._skip("{"):
            return self._value()
        found: dict[str, Any] = {}
        while not self._skip("}"):
            name = self._value()
            self._expect(":")
            if self._skip("["):
                found[name], is_whole = self._items()
                if not is_whole:
                    return found | self._pagination()
            else:
                found[name] = self._value()
            if not self._skip(","):
                self._expect("}")
                break
        return found

    def _items(self) -> tuple[list[Any], bool]:
        """Return the items of a list, and whether they are all."""
        items: list[Any] = []
        while not self._skip("]"):
            if len(items) == self._most:
                return items, False
            items.append(self._value())
            if not self._skip(","):
                self._expect("]")
                break
        return items, True

    def _pagination(self) -> dict[str, Any]:
        """Return the page's place in the whole, which follows a list."""
        self._at = max(self._text.rfind('"pagination"'), self._at)
        with suppress(ValueError, IndexError):
            name = self._value()
            self._expect(":")
            return {name: self._value()} if name == "pagination" else {}
        return {}

    def _value(self) -> Any:
        self._blanks()
        value, self._at = self._decoder.raw_decode(self._text, self._at)
        return value

    def _skip(self, mark: str) -> bool:
        self._blanks()
        found = self._text[self._at] == mark
        self._at += found
        return found

    def _expect(self, mark: str) -> None:
        if not self._skip(mark):
            raise ValueError(f"{mark!r} is missing in the JSON")

    def _blanks(self) -> None:
        while self._text[self._at] in " \t\r\n":
            self._at += 1


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


def is_error_code(text: str) -> bool:
    """Return whether a text is spelt like the vendor's codes, such as ``INVALID_MODEL``."""
    return text.replace("_", "").isalnum() and (text.isupper() or "_" in text)


def read_error(body: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """Return the vendor's error code and message from either envelope."""
    error = body.get("error")
    inner = error if isinstance(error, Mapping) else {}
    text = read_text(error)
    code = read_text(inner.get("code")) or read_text(body.get("code"))
    if code is None and text is not None and is_error_code(text):
        code, text = text, None
    candidates = (inner.get("message"), text, body.get("message"), body.get("details"), inner.get("details"))
    return code, next((found for found in map(read_text, candidates) if found), None)
