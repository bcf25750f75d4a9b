"""Errors of the API, before they get an envelope."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


SHOWN_LENGTH = 600
"""Number of characters of a refused value that an error shows."""


class ApiError(Exception):
    """A refused or failed API request.

    :param status: HTTP status.
    :param code: error code of the vendor.
    :param message: the ``message`` field.
    :param details: the ``details`` field, a text or an object.
    :param extra: further fields beside ``error``: ``field``, ``value``, ``required``, ``available``.
    :param headers: headers of this response.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        details: str | Mapping[str, Any] | None = None,
        extra: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(f"{status} {code}: {message}")
        self.status = status
        self.code = code
        self.message = message
        self.details = details
        self.extra = dict(extra or {})
        self.headers = dict(headers or {})


def validation_error(field: str, value: Any, message: str) -> ApiError:
    """Return the error of a parameter with a refused value."""
    if len(str(value)) > SHOWN_LENGTH:
        value = f"{str(value)[:SHOWN_LENGTH]}..."
    return ApiError(400, "VALIDATION_ERROR", message, extra={"field": field, "value": value})


def task_not_found(task_id: str) -> ApiError:
    """Return the error of a task that is unknown, lost, expired, or of another account."""
    return ApiError(404, "TASK_NOT_FOUND", "Task not found", details=f"No task {task_id[:80]}")


def insufficient_credits(required: int, available: int, place: str) -> ApiError:
    """Return the error of a low balance.

    :param place: option ``insufficient_credits``: the place of the two numbers.
    """
    numbers = {"required": required, "available": available}
    return ApiError(
        402,
        "INSUFFICIENT_CREDITS",
        "Not enough credits to generate video",
        details=numbers if place == "details" else None,
        extra=numbers if place == "documented" else None,
    )
