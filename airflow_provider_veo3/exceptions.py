"""The errors that this provider raises on purpose.

::

    Veo3Error                                  (AirflowException)
    ├── Veo3ValidationError                    bad parameter; nothing was sent                        x
    ├── Veo3CreditLimitError                   cost above max_credits, or unknown; nothing was sent    x
    ├── Veo3ConnectionConfigError              unusable Airflow connection                            x
    ├── Veo3ApiError                           failed call to the API
    │   ├── Veo3NoAnswerError                  no response: network, timeout, cut connection
    │   ├── Veo3UnreadableAnswerError          unusable response
    │   ├── Veo3RateLimitError                 429
    │   ├── Veo3ServerError                    5xx
    │   ├── Veo3VideoNotReadyError             400 VIDEO_NOT_READY
    │   ├── Veo3NoVideosError                  404 NO_VIDEOS, or a completed generation without a file
    │   └── Veo3PermanentApiError              refused; a retry cannot succeed                        x
    │       ├── Veo3BadRequestError            any other 4xx
    │       │   ├── Veo3ContentPolicyError     CONTENT_POLICY_VIOLATION
    │       │   └── Veo3FileTooLargeError      413
    │       ├── Veo3AuthenticationError        401, 403
    │       ├── Veo3InsufficientCreditsError   402
    │       └── Veo3GenerationNotFoundError    404 TASK_NOT_FOUND
    ├── Veo3StateError                         unusable record of the task's submission
    ├── Veo3AmbiguousSubmissionError           unclear which generation was paid for; a person decides  x
    ├── Veo3GenerationError                    no video from a generation
    │   ├── Veo3GenerationFailedError          failed; its credits were refunded
    │   │   └── Veo3GenerationRefusedError     ... for its content                                    x
    │   ├── Veo3GenerationTimeoutError         still running at the deadline
    │   │   └── Veo3SensorTimeoutError         ... of a sensor (AirflowSensorTimeout)
    │   └── Veo3SensorFailedError              failed, found by a sensor                              x
    └── Veo3StorageError                       video not downloaded or stored
        └── Veo3CorruptVideoError              downloaded bytes that are not the announced video

Classes marked ``x`` also derive from ``AirflowFailException``, so that Airflow fails the task at once and
uses no retry. Errors keep their data in keyword arguments only, so that every class can be pickled.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import (
    AirflowException,
    AirflowFailException,
    AirflowSensorTimeout,
)

if TYPE_CHECKING:
    from collections.abc import Mapping


class Veo3Error(AirflowException):
    """Root of the errors that this provider raises on purpose."""


class Veo3ValidationError(Veo3Error, AirflowFailException, ValueError):
    """A parameter that is not acceptable; nothing was sent or spent.

    :param message: the whole message.
    :param field: name of the parameter.
    :param value: its value, shortened for printing.
    :param allowed: description of the acceptable values.
    """

    def __init__(self, message: str, *, field: str = "", value: str = "", allowed: str = "") -> None:
        super().__init__(message)
        self.field = field
        self.value = value
        self.allowed = allowed

    @classmethod
    def of(cls, field: str, value: object, allowed: str) -> Veo3ValidationError:
        """Return the error for a field, its value, and the allowed values.

        :param value: the value; 80 characters of it are shown.
        """
        try:
            shown = repr(value)
        except Exception:  # noqa: BLE001 - a number of 5000 digits, a list 1000 deep: refused like any other
            shown = f"<{type(value).__name__}>"
        if len(shown) > 80:  # noqa: PLR2004 - a line of a log
            shown = f"{shown[:77]}... ({len(shown)} characters)"
        message = f"{field}={shown} is not acceptable; allowed: {allowed}. Nothing was submitted or spent."
        return cls(message, field=field, value=shown, allowed=allowed)


class Veo3CreditLimitError(Veo3Error, AirflowFailException):
    """A generation that costs more than the task may spend; nothing was submitted or spent.

    :param estimate: its cost in credits by the API's price list; ``None`` where the list has no price.
    :param limit: the task's ``max_credits``.
    """

    def __init__(self, message: str, *, estimate: int | None = None, limit: int | None = None) -> None:
        super().__init__(message)
        self.estimate = estimate
        self.limit = limit


class Veo3ConnectionConfigError(Veo3Error, AirflowFailException):
    """An Airflow connection without a key, or with an unusable field."""


class Veo3ApiError(Veo3Error):
    """A failed call to the API.

    :param message: what happened, to which id, whether credits were spent, what to do next.
    :param status: HTTP status; ``None`` without a response.
    :param code: the vendor's error code, such as ``INVALID_MODEL``; ``None`` if absent.
    :param body: the start of the raw response body, secrets removed.
    :param retry_after: seconds that the API requested to wait; ``None`` if it requested none.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        code: str | None = None,
        body: str = "",
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.body = body
        self.retry_after = retry_after


class Veo3NoAnswerError(Veo3ApiError):
    """A request without a response.

    :param sent: whether the request may have reached the API. ``False`` is certain: a connection was never
        made, so that a submission cannot have been accepted.
    """

    def __init__(self, message: str, *, sent: bool = True, **details: Any) -> None:
        super().__init__(message, **details)
        self.sent = sent


class Veo3UnreadableAnswerError(Veo3ApiError):
    """A response that is not a JSON object, or lacks a required field.

    :param accepted: whether it confirms all the same that a submission was accepted.
    """

    def __init__(self, message: str, *, accepted: bool = False, **details: Any) -> None:
        super().__init__(message, **details)
        self.accepted = accepted


class Veo3RateLimitError(Veo3ApiError):
    """A rate limit (429): requests per minute or day, concurrency, or the API's queue."""


class Veo3ServerError(Veo3ApiError):
    """A failure on the API's side (5xx)."""


class Veo3VideoNotReadyError(Veo3ApiError):
    """A request for the files of a generation that is not completed yet."""


class Veo3NoVideosError(Veo3ApiError):
    """A completed generation for which the API lists no file."""


class Veo3PermanentApiError(Veo3ApiError, AirflowFailException):
    """A refusal of the API that a retry cannot change."""


class Veo3BadRequestError(Veo3PermanentApiError):
    """A request that the API does not accept."""


class Veo3ContentPolicyError(Veo3BadRequestError):
    """A prompt or image that the API refuses for its content."""


class Veo3FileTooLargeError(Veo3BadRequestError):
    """An image that the API refuses for its size."""


class Veo3AuthenticationError(Veo3PermanentApiError):
    """An API key that the API does not accept."""


class Veo3InsufficientCreditsError(Veo3PermanentApiError):
    """An account without the credits for a generation.

    :param required: credits the generation would cost; ``None`` if unknown.
    :param available: credits left in the account; ``None`` if unknown.
    """

    def __init__(
        self, message: str, *, required: int | None = None, available: int | None = None, **details: Any
    ) -> None:
        super().__init__(message, **details)
        self.required = required
        self.available = available


class Veo3GenerationNotFoundError(Veo3PermanentApiError):
    """An id that the API does not know: mistyped, of another account, or too old."""


class Veo3StateError(Veo3Error):
    """A record of the task's submission that cannot be used; nothing was submitted without it."""


class Veo3AmbiguousSubmissionError(Veo3Error, AirflowFailException):
    """An unclear or missing generation of an earlier attempt; a person decides."""


class Veo3GenerationError(Veo3Error):
    """A generation without a video.

    :param generation_id: its id.
    :param manifest: its last known state, as :meth:`Generation.manifest`; empty if unknown.
    """

    def __init__(
        self, message: str, *, generation_id: str = "", manifest: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(message)
        self.generation_id = generation_id
        self.manifest = dict(manifest or {})


class Veo3GenerationFailedError(Veo3GenerationError):
    """A failed generation; its credits were refunded.

    A retry of the submitting task submits anew.
    """


class Veo3GenerationRefusedError(Veo3GenerationFailedError, AirflowFailException):
    """A generation that failed for its content; the same prompt will fail again."""


class Veo3GenerationTimeoutError(Veo3GenerationError):
    """A generation still running at the deadline; it continues at the vendor."""


class Veo3SensorTimeoutError(Veo3GenerationTimeoutError, AirflowSensorTimeout):
    """The timeout of a sensor, which Airflow does not retry."""


class Veo3SensorFailedError(Veo3GenerationFailedError, AirflowFailException):
    """A failed generation found by a sensor, whose retry would not change it."""


class Veo3StorageError(Veo3Error):
    """A video that was not downloaded or stored; a retry costs no credits."""


class Veo3CorruptVideoError(Veo3StorageError):
    """Downloaded bytes that are not the video that the file host announced."""
