"""Whether a call is tried again, and when: pure decisions."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_provider_veo3 import exceptions as errors

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_veo3.api.protocol import ApiRequest


@dataclass(frozen=True)
class Retries:
    """How often, and how patiently, one call is tried again within a task's attempt.

    :param attempts: tries in all, from 1.
    :param first_pause: seconds before the second try; doubles from there.
    :param longest_pause: seconds of the longest pause where the API gives no hint.
    :param longest_hint: seconds of the longest hint of the API that is waited out within the attempt.
    :param jitter: gives 0 to 1, so that many tasks do not ask at the same instant.
    """

    attempts: int = 4
    first_pause: float = 1.0
    longest_pause: float = 30.0
    longest_hint: float = 120.0
    jitter: Callable[[], float] = random.random

    def pause_after(self, request: ApiRequest, error: errors.Veo3ApiError, attempt: int) -> float | None:
        """Return the seconds until the next try, ``None`` to give up.

        :param attempt: how many tries were made, from 1.
        """
        return self.pause(attempt, error.retry_after) if may_repeat(request, error) else None

    def pause(self, attempt: int, hint: float | None) -> float | None:
        """Return the seconds until the next try of something that may be tried again.

        :param hint: seconds the API asked to wait.
        """
        if attempt >= self.attempts:
            return None
        jitter = self.jitter()
        pause = min(self.longest_pause, self.first_pause * 2.0 ** (attempt - 1))
        if hint is None:
            return pause * (1 + jitter) / 2
        return hint + pause * jitter if hint <= self.longest_hint else None


def is_transient(error: errors.Veo3ApiError) -> bool:
    """Whether the same question may get an answer later."""
    return isinstance(
        error,
        errors.Veo3NoAnswerError
        | errors.Veo3RateLimitError
        | errors.Veo3ServerError
        | errors.Veo3UnreadableAnswerError,
    )


def may_repeat(request: ApiRequest, error: errors.Veo3ApiError) -> bool:
    """Whether to send a request again: any question; a submission only if it cannot have been accepted."""
    if not request.spends:
        # the file list may lag a moment behind the status
        return is_transient(error) or isinstance(
            error, errors.Veo3NoVideosError | errors.Veo3VideoNotReadyError
        )
    return was_not_accepted(error) and is_transient(error)


def was_not_accepted(error: errors.Veo3ApiError) -> bool:
    """Whether a submission was certainly not accepted: refused, or never sent."""
    never_sent = isinstance(error, errors.Veo3NoAnswerError) and not error.sent
    return never_sent or isinstance(error, errors.Veo3RateLimitError | errors.Veo3PermanentApiError)


def was_accepted(error: errors.Veo3ApiError) -> bool:
    """Whether a submission was certainly accepted, although its answer tells no id that could be used."""
    return isinstance(error, errors.Veo3UnreadableAnswerError) and error.accepted
