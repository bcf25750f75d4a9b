"""Retry decisions for a call. Pure: no clock, no API."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from airflow_provider_veo3 import exceptions as errors
from airflow_provider_veo3.api.protocol import NOT_ACCEPTED

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_veo3.api.protocol import ApiRequest


@dataclass(frozen=True)
class Retries:
    """Number and back-off of the retries of a call within a task's attempt.

    :param attempts: tries in all, from 1. Default 4.
    :param first_pause: seconds before the second try; each further pause doubles. Default 1.
    :param longest_pause: seconds of the longest pause where the API gives no hint. Default 30.
    :param longest_hint: seconds of the longest hint of the API that is waited out. Default 120.
    :param jitter: returns 0 to 1, so that many tasks do not retry at the same instant.
    """

    attempts: int = 4
    first_pause: float = 1.0
    longest_pause: float = 30.0
    longest_hint: float = 120.0
    jitter: Callable[[], float] = random.random

    def pause_after(self, request: ApiRequest, error: errors.Veo3ApiError, attempt: int) -> float | None:
        """Return the seconds until the next try of a request; ``None`` to give up.

        :param attempt: number of tries so far, from 1.
        """
        return self.pause(attempt, error.retry_after) if may_repeat(request, error) else None

    def pause(self, attempt: int, hint: float | None) -> float | None:
        """Return the seconds until the next try of a repeatable step; ``None`` to give up.

        :param hint: seconds that the API requested to wait; ``None`` if it requested none.
        """
        if attempt >= self.attempts:
            return None
        jitter = self.jitter()
        pause = min(self.longest_pause, self.first_pause * 2.0 ** (attempt - 1))
        if hint is None:
            return pause * (1 + jitter) / 2
        return hint + pause * jitter if hint <= self.longest_hint else None


ONCE: Final = Retries(attempts=1)
"""A single try, for callers with a schedule of their own."""


def is_transient(error: errors.Veo3ApiError) -> bool:
    """Return whether the same request may succeed later."""
    return isinstance(
        error,
        errors.Veo3NoAnswerError
        | errors.Veo3RateLimitError
        | errors.Veo3ServerError
        | errors.Veo3UnreadableAnswerError,
    )


def may_repeat(request: ApiRequest, error: errors.Veo3ApiError) -> bool:
    """Return whether to repeat a request: a submission only if it cannot have been accepted."""
    if not request.spends_credits:
        # the list of files may lag a moment behind the status
        return is_transient(error) or isinstance(
            error, errors.Veo3NoVideosError | errors.Veo3VideoNotReadyError
        )
    return was_not_accepted(error) and is_transient(error)


def was_not_accepted(error: errors.Veo3ApiError) -> bool:
    """Return whether a submission was certainly not accepted: refused by the API itself, or never sent."""
    never_sent = isinstance(error, errors.Veo3NoAnswerError) and not error.sent
    return never_sent or (isinstance(error, NOT_ACCEPTED) and not error.may_be_accepted)


def was_accepted(error: errors.Veo3ApiError) -> bool:
    """Return whether a submission was certainly accepted, although its response has no usable id."""
    return isinstance(error, errors.Veo3UnreadableAnswerError) and error.accepted
