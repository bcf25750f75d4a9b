"""Every error this provider raises on purpose.

::

    Veo3Error                                  (AirflowException)
    ├── Veo3ValidationError                    bad parameter, found before anything was sent          x
    ├── Veo3CreditLimitError                   it would cost more than max_credits, or nobody knows    x
    ├── Veo3ConnectionConfigError              the Airflow connection cannot be used                  x
    ├── Veo3ApiError                           a call to the API went wrong
    │   ├── Veo3NoAnswerError                  no answer came: network, timeout, cut connection
    │   ├── Veo3UnreadableAnswerError          an answer came that makes no sense
    │   ├── Veo3RateLimitError                 429
    │   ├── Veo3ServerError                    5xx
    │   ├── Veo3VideoNotReadyError             400 VIDEO_NOT_READY
    │   ├── Veo3NoVideosError                  404 NO_VIDEOS, or a finished generation without a file
    │   └── Veo3PermanentApiError              what no retry can mend                                 x
    │       ├── Veo3BadRequestError            any other 4xx
    │       │   ├── Veo3ContentPolicyError     CONTENT_POLICY_VIOLATION
    │       │   └── Veo3FileTooLargeError      413
    │       ├── Veo3AuthenticationError        401, 403
    │       ├── Veo3InsufficientCreditsError   402
    │       └── Veo3GenerationNotFoundError    404 TASK_NOT_FOUND
    ├── Veo3StateError                         the task's memory of its submission cannot be used
    ├── Veo3AmbiguousSubmissionError           several generations may be the one an attempt paid for   x
    ├── Veo3GenerationError                    a generation did not become a video
    │   ├── Veo3GenerationFailedError          the API says failed; the credits were refunded
    │   │   └── Veo3GenerationRefusedError     ... for its content                                    x
    │   ├── Veo3GenerationTimeoutError         still running at our deadline
    │   │   └── Veo3SensorTimeoutError         ... of a sensor (AirflowSensorTimeout)
    │   └── Veo3SensorFailedError              a sensor found it failed: asking again changes nothing x
    └── Veo3StorageError                       the video could not be fetched or stored
        └── Veo3CorruptVideoError              what came is not the video that was announced

Classes marked ``x`` also derive from ``AirflowFailException``, so that Airflow fails the task at once and
burns no retry. The tree holds data in keyword arguments only, which keeps every class picklable.
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
    """Root of everything this provider raises on purpose."""


class Veo3ValidationError(Veo3Error, AirflowFailException, ValueError):
    """A parameter is not acceptable; nothing was sent and nothing was spent.

    :param message: the whole sentence.
    :param field: the parameter, as the user writes it.
    :param value: what it was, shortened for printing.
    :param allowed: what would have been accepted.
    """

    def __init__(self, message: str, *, field: str = "", value: str = "", allowed: str = "") -> None:
        super().__init__(message)
        self.field = field
        self.value = value
        self.allowed = allowed

    @classmethod
    def of(cls, field: str, value: object, allowed: str) -> Veo3ValidationError:
        """Name the field, the value (at most 80 characters of it) and what is allowed."""
        try:
            shown = repr(value)
        except Exception:  # noqa: BLE001 - a number of 5000 digits, a list 1000 deep: refused like any other
            shown = f"<{type(value).__name__}>"
        if len(shown) > 80:  # noqa: PLR2004 - a line of a log
            shown = f"{shown[:77]}... ({len(shown)} characters)"
        message = f"{field}={shown} is not acceptable; allowed: {allowed}. Nothing was submitted or spent."
        return cls(message, field=field, value=shown, allowed=allowed)


class Veo3CreditLimitError(Veo3Error, AirflowFailException):
    """The generation would cost more than the task may spend; nothing was submitted or spent.

    :param estimate: credits it would cost by the API's price list; ``None`` where that has no price for it.
    :param limit: the task's ``max_credits``.
    """

    def __init__(self, message: str, *, estimate: int | None = None, limit: int | None = None) -> None:
        super().__init__(message)
        self.estimate = estimate
        self.limit = limit


class Veo3ConnectionConfigError(Veo3Error, AirflowFailException):
    """The Airflow connection lacks a key, or holds something that cannot be used."""


class Veo3ApiError(Veo3Error):
    """A call to the API went wrong.

    :param message: what happened, to which id, whether credits were spent, what to do next.
    :param status: HTTP status; ``None`` when no answer came.
    :param code: the vendor's error code, such as ``INVALID_MODEL``; ``None`` when there was none.
    :param body: the start of the raw answer, secrets removed.
    :param retry_after: seconds the API asked to wait; ``None`` when it did not say.
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
    """No answer came.

    :param sent: whether the request may have reached the API. ``False`` is certain: a connection was never
        made, so a submission cannot have been accepted.
    """

    def __init__(self, message: str, *, sent: bool = True, **details: Any) -> None:
        super().__init__(message, **details)
        self.sent = sent


class Veo3UnreadableAnswerError(Veo3ApiError):
    """An answer came that is no JSON object, or lacks what it must have.

    :param accepted: whether it says all the same that a submission was accepted.
    """

    def __init__(self, message: str, *, accepted: bool = False, **details: Any) -> None:
        super().__init__(message, **details)
        self.accepted = accepted


class Veo3RateLimitError(Veo3ApiError):
    """The API refuses for now: requests per minute or day, concurrency, or its queue (429)."""


class Veo3ServerError(Veo3ApiError):
    """The API failed on its side (5xx)."""


class Veo3VideoNotReadyError(Veo3ApiError):
    """The files were asked for before the generation had finished."""


class Veo3NoVideosError(Veo3ApiError):
    """The generation finished, but the API lists no file for it."""


class Veo3PermanentApiError(Veo3ApiError, AirflowFailException):
    """The API refuses, and will again."""


class Veo3BadRequestError(Veo3PermanentApiError):
    """The API does not accept the request."""


class Veo3ContentPolicyError(Veo3BadRequestError):
    """The API refuses the prompt or image for its content."""


class Veo3FileTooLargeError(Veo3BadRequestError):
    """The API refuses the image for its size."""


class Veo3AuthenticationError(Veo3PermanentApiError):
    """The API does not accept the key."""


class Veo3InsufficientCreditsError(Veo3PermanentApiError):
    """The account cannot pay for the generation.

    :param required: credits the generation would cost; ``None`` when the API did not say.
    :param available: credits left in the account; ``None`` when the API did not say.
    """

    def __init__(
        self, message: str, *, required: int | None = None, available: int | None = None, **details: Any
    ) -> None:
        super().__init__(message, **details)
        self.required = required
        self.available = available


class Veo3GenerationNotFoundError(Veo3PermanentApiError):
    """The API does not know the id: mistyped, of another account, or too old."""


class Veo3StateError(Veo3Error):
    """The task's memory of its submission cannot be read or written; nothing was submitted without it."""


class Veo3AmbiguousSubmissionError(Veo3Error, AirflowFailException):
    """Which generation an earlier attempt paid for cannot be told, or not found; a person decides."""


class Veo3GenerationError(Veo3Error):
    """A generation did not become a video.

    :param generation_id: which one.
    :param manifest: what the API last said of it, as :meth:`Generation.manifest`; empty when it said nothing.
    """

    def __init__(
        self, message: str, *, generation_id: str = "", manifest: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(message)
        self.generation_id = generation_id
        self.manifest = dict(manifest or {})


class Veo3GenerationFailedError(Veo3GenerationError):
    """The generation failed and its credits were refunded; a retry of the submitting task submits anew."""


class Veo3GenerationRefusedError(Veo3GenerationFailedError, AirflowFailException):
    """The generation failed for its content; the same prompt will fail again."""


class Veo3GenerationTimeoutError(Veo3GenerationError):
    """The generation was still running at our deadline; it goes on at the vendor."""


class Veo3SensorTimeoutError(Veo3GenerationTimeoutError, AirflowSensorTimeout):
    """A sensor's timeout, which Airflow does not retry."""


class Veo3SensorFailedError(Veo3GenerationFailedError, AirflowFailException):
    """A sensor found the generation failed; asking again would change nothing."""


class Veo3StorageError(Veo3Error):
    """A finished video could not be fetched or stored; a retry may mend it, and costs no credits."""


class Veo3CorruptVideoError(Veo3StorageError):
    """What the file host sent is not the video it announced."""
