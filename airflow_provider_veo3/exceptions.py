"""The errors that this provider raises on purpose.

::

    Veo3Error                                  (AirflowException)
    ├── Veo3ValidationError                    bad parameter; nothing was sent                       x
    ├── Veo3CreditLimitError                   cost above max_credits, or unknown; nothing was sent  x
    ├── Veo3ConnectionConfigError              unusable Airflow connection                           x
    ├── Veo3ApiError                           failed call to the API
    │   ├── Veo3NoAnswerError                  no response: network, timeout, cut connection
    │   ├── Veo3UnreadableAnswerError          unusable response
    │   ├── Veo3RateLimitError                 429
    │   ├── Veo3ServerError                    5xx
    │   ├── Veo3VideoNotReadyError             400 VIDEO_NOT_READY
    │   ├── Veo3NoVideosError                  404 NO_VIDEOS, or a completed generation without a file
    │   └── Veo3PermanentApiError              refused; a retry cannot succeed                       x
    │       ├── Veo3BadRequestError            any other 4xx
    │       │   ├── Veo3ContentPolicyError     CONTENT_POLICY_VIOLATION
    │       │   └── Veo3FileTooLargeError      413
    │       ├── Veo3AuthenticationError        401, 403
    │       ├── Veo3InsufficientCreditsError   402
    │       ├── Veo3EnvironmentError           certificate or environment (also Veo3ConnectionConfigError)
    │       └── Veo3GenerationNotFoundError    404 TASK_NOT_FOUND
    ├── Veo3StateError                         unusable record of the task's submission
    ├── Veo3AmbiguousSubmissionError           unclear which generation was paid for, or its id      x
    ├── Veo3GenerationError                    no video from a generation
    │   ├── Veo3GenerationFailedError          failed; its credits were refunded
    │   │   ├── Veo3GenerationRefusedError     ... for its content                                   x
    │   │   └── Veo3SensorFailedError          ... found by a sensor                                 x
    │   └── Veo3GenerationTimeoutError         still running at the deadline
    │       └── Veo3SensorTimeoutError         ... of a sensor (AirflowSensorTimeout)
    └── Veo3StorageError                       video not downloaded or stored
        ├── Veo3CorruptVideoError              downloaded bytes that are not the announced video
        └── Veo3MissingVideosError             fewer videos than were requested

Classes marked ``x``, and those drawn below them, also derive from ``AirflowFailException``, so that Airflow
fails the task at once and uses no retry. Errors keep their data in keyword arguments only, so that every
class can be pickled.
"""

from __future__ import annotations

import logging
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_veo3.airflow_names import (
    AirflowException,
    AirflowFailException,
    AirflowNotFoundException,
    AirflowSensorTimeout,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

log = logging.getLogger(__name__)

SHOWN_LENGTH: Final = 80
"""Most characters of a value in a message: it may be an image, or a response of a hostile server."""

REASON_LENGTH: Final = 300
"""Most characters of a URI, or of the error of a library, in a message."""

MESSAGE_LENGTH: Final = 4000
"""Most characters of a whole message, whatever it is made of."""


def shown(value: object) -> str:
    """Return a value for a message, as Python spells it, cut to ``SHOWN_LENGTH``."""
    text: str | None
    if isinstance(value, str | bytes | bytearray):
        text = repr(value[:SHOWN_LENGTH])
        length = max(len(text), len(value))
    else:
        try:
            text = repr(value)
        except Exception:  # noqa: BLE001 - a number of 5000 digits, a list 1000 deep
            text = f"<{type(value).__name__}>"
        length = len(text)
    return _cut(text, length)


def shown_text(text: str, most: int = SHOWN_LENGTH) -> str:
    """Return a text for a message, such as an id, without quotes; escaped and cut as :func:`shown` does.

    :param most: most characters; ``REASON_LENGTH`` for a URI, or the error of a library.
    """
    return _cut(repr(text[:most])[1:-1], len(text), most)


def _cut(text: str, length: int, most: int = SHOWN_LENGTH) -> str:
    if max(len(text), length) <= most:
        return text
    mark = f"... ({length} characters)"
    return text[: most - len(mark)] + mark


def _without_middle(message: object) -> object:
    """Return a message of at most ``MESSAGE_LENGTH``: its start, and its end, which names the remedy."""
    if not isinstance(message, str) or len(message) <= MESSAGE_LENGTH:
        return message
    mark = f"... ({len(message)} characters) ..."
    start = (MESSAGE_LENGTH - len(mark)) // 2
    return message[:start] + mark + message[start + len(mark) - MESSAGE_LENGTH :]


@contextmanager
def logged_by_sentence() -> Iterator[None]:
    """Log each sentence of an error on a line of its own.

    Airflow's UI cuts a long line, and the last sentence names the remedy. A cause with a longer message than
    any of ours is left out of the traceback.
    """
    try:
        yield
    except (Veo3Error, AirflowNotFoundException) as error:
        _drop_long_causes(error)
        for line in re.split(r"(?<=[.!?])\s+(?=[A-Z])", str(error)):
            log.error("%s", line)  # noqa: TRY400 - Airflow logs the traceback
        raise


def _drop_long_causes(error: BaseException) -> None:
    """Drop the first cause with a message longer than ``MESSAGE_LENGTH``, and what is behind it."""
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if cause is None:
        return
    if len(str(cause)) > MESSAGE_LENGTH:
        error.__cause__ = error.__context__ = None
    else:
        _drop_long_causes(cause)


def counted(number: int, noun: str) -> str:
    """Return a number with its noun, in the plural unless it is one."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def sentence(text: str) -> str:
    """Return a text that ends in one full stop."""
    return f"{text.rstrip('. ')}."


class Veo3Error(AirflowException):
    """Root of the errors that this provider raises on purpose.

    :param args: the message, which is cut to ``MESSAGE_LENGTH``.
    """

    def __init__(self, *args: object) -> None:
        super().__init__(*map(_without_middle, args))


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

        :param value: the value, which is shown as :func:`shown` does.
        """
        text, allowed = shown(value), allowed.rstrip(".")
        message = f"{field}={text} is not acceptable; allowed: {allowed}. Nothing was submitted or spent."
        return cls(message, field=field, value=text, allowed=allowed)


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
    :param may_be_accepted: whether a submission that looks refused may have been accepted all the same, since
        the response has no code that the API documents.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        code: str | None = None,
        body: str = "",
        retry_after: float | None = None,
        may_be_accepted: bool = False,
    ) -> None:
        super().__init__(message)
        self.may_be_accepted = may_be_accepted
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


class Veo3EnvironmentError(Veo3ConnectionConfigError, Veo3PermanentApiError):
    """A certificate that cannot be verified, or an unusable variable of the environment.

    Nothing was sent.
    """


class Veo3GenerationNotFoundError(Veo3PermanentApiError):
    """An id that the API does not know: mistyped, of another account, or too old."""


class Veo3StateError(Veo3Error):
    """A record of the task's submission that cannot be used; nothing was submitted without it."""


class Veo3AmbiguousSubmissionError(Veo3Error, AirflowFailException):
    """Unclear which generation was paid for, or its id is unusable; a person decides."""


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


class Veo3MissingVideosError(Veo3StorageError):
    """A generation with fewer videos than were requested and charged; those that it has are stored."""
