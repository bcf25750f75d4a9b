"""Refusals of the API and the shapes in which they travel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_veo3.emulator.config.settings import Settings
    from airflow_provider_veo3.emulator.service.tasks import Failure

RATE_LIMITED = 429


class ApiError(Exception):
    """An answer other than success.

    :param details: the ``details`` member, a text or an object.
    :param extra: further members beside ``error``: ``field``, ``value``, ``required``, ``available``.
    :param headers: headers of this answer alone.
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

    def body(self, settings: Settings) -> dict[str, Any]:
        """The JSON body in the envelope that the settings choose."""
        limited = self.status == RATE_LIMITED
        envelope = settings.rate_limit_envelope if limited else settings.error_envelope
        if envelope == "flat":
            flat: dict[str, Any] = {"success": False, "error": self.code, "message": self.message}
            if self.details is not None:
                flat["details"] = self.details
            return {**flat, **self.extra}
        details: Any = self.details
        if self.extra:
            details = {**({"reason": details} if isinstance(details, str) else details or {}), **self.extra}
        nested = {"code": self.code, "message": self.message}
        return {"error": {**nested, "details": details} if details is not None else nested}


def validation_error(field: str, value: Any, message: str) -> ApiError:
    """A parameter that is not allowed."""
    return ApiError(400, "VALIDATION_ERROR", message, extra={"field": field, "value": value})


def generation_failed(status: int, failure: Failure | None) -> ApiError:
    """A task that failed, told as an error."""
    return ApiError(status, "GENERATION_FAILED", failure.message if failure else "Video generation failed")


def task_not_found(task_id: str) -> ApiError:
    """A task that is unknown, lost, or somebody else's."""
    return ApiError(404, "TASK_NOT_FOUND", "Task not found", details=f"No task {task_id[:80]}")


def insufficient_credits(required: int, available: int, shape: str) -> ApiError:
    """A balance that is too low, with its numbers where the settings want them."""
    numbers = {"required": required, "available": available}
    return ApiError(
        402,
        "INSUFFICIENT_CREDITS",
        "Not enough credits to generate video",
        details=numbers if shape == "details" else None,
        extra=numbers if shape == "documented" else None,
    )
