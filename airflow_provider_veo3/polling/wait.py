"""Meaning of each response for a task that waits, in every mode alike. Pure: no clock, no API."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeGuard

from airflow_provider_veo3 import exceptions as errors
from airflow_provider_veo3.api.retries import is_transient
from airflow_provider_veo3.polling.durations import Durations, pause_before_poll
from airflow_provider_veo3.polling.result import Ending, WaitResult, ended

if TYPE_CHECKING:
    from airflow_provider_veo3.api.models import Generation

LONGEST_BACKOFF: Final = 60.0
"""Seconds between two polls while the API is in trouble and gives no time."""


@dataclass(eq=False)
class Wait:
    """Wait for one generation.

    :param generation_id: the generation.
    :param deadline: Unix seconds; wall clock, so that it holds in another process too.
    :param poll_interval: seconds between two polls.
    :param accepted_at: Unix seconds when the generation was accepted, if known.
    :param model: its model, if known.
    :param durations: learned durations of generations.
    """

    generation_id: str
    deadline: float
    poll_interval: float
    accepted_at: float | None = None
    model: str | None = None
    durations: Durations = field(default_factory=Durations)
    _began: float | None = field(default=None, init=False)
    _last: Generation | None = field(default=None, init=False)
    _failures: int = field(default=0, init=False)
    _state: str = field(default="was not polled yet", init=False)

    def first_poll(self, now: float) -> float:
        """Return the seconds until the first poll: a waiter has just submitted, or just polled."""
        return max(0.0, min(self._pause(now), self.deadline - now))

    def on_generation(self, generation: Generation, now: float) -> WaitResult | float:
        """Judge a response: the end, or the seconds until the next poll."""
        known_since = self.accepted_at
        self._last, self._failures = generation, 0
        self.model = generation.model or self.model
        if self.accepted_at is None and generation.created_at is not None:
            self.accepted_at = accepted_at(generation, now)
        self.durations.learn(generation, None if known_since is None else now - known_since)
        if not generation.status.is_terminal:
            self._state = f"is still {generation.status.value}"
            return self.still_running(now)
        return ended(generation)

    def still_running(self, now: float) -> WaitResult | float:
        """Judge a generation that has not ended: the seconds until the next poll, or the timeout."""
        return self._next_poll(self._pause(now), now)

    def on_error(self, error: errors.Veo3Error, now: float) -> WaitResult | float:
        """Judge a failed poll: transient trouble is waited out, anything else ends the wait."""
        if not will_pass(error):
            return self.end_with(error)
        self._failures += 1
        self._state = f"cannot be polled ({error})"
        pause = backoff(self._failures, self.poll_interval, error.retry_after)
        return self._next_poll(pause, now)

    def end_with(self, error: errors.Veo3Error) -> WaitResult:
        """End the wait with a permanent error."""
        return WaitResult(
            self.generation_id, Ending.ERROR, str(error), type(error).__name__, self._manifest()
        )

    def time_out(self) -> WaitResult:
        """End the wait at its deadline."""
        message = (
            f"Timed out: generation {self.generation_id} {self._state} at the deadline. It was paid for and "
            "goes on at the vendor, which has no way to cancel it. Wait for this id with "
            "Veo3GenerationSensor, or store it with Veo3DownloadOperator within 24 hours of its completion."
        )
        return WaitResult(self.generation_id, Ending.TIMEOUT, message, manifest=self._manifest())

    def _pause(self, now: float) -> float:
        self._began = now if self._began is None else self._began
        earliest = self.durations.earliest(self.model, self.poll_interval)
        age = None if self.accepted_at is None else now - self.accepted_at
        return pause_before_poll(age, earliest, now - self._began, self.poll_interval)

    def _next_poll(self, pause: float, now: float) -> WaitResult | float:
        left = self.deadline - now
        return min(pause, left) if left > 0 else self.time_out()

    def _manifest(self) -> dict[str, Any]:
        return self._last.manifest() if self._last else {}


def accepted_at(generation: Generation, now: float) -> float:
    """Return when a generation was accepted, in Unix seconds; now where no time is given."""
    # the API's clock may be ahead of ours
    return now if generation.created_at is None else min(now, generation.created_at.timestamp())


def will_pass(error: errors.Veo3Error) -> TypeGuard[errors.Veo3ApiError]:
    """Return whether a later poll may succeed."""
    return isinstance(error, errors.Veo3ApiError) and is_transient(error)


def backoff(failures: int, poll_interval: float, hint: float | None) -> float:
    """Return the seconds to leave the API alone after trouble.

    :param failures: polls that failed in a row, from 1.
    :param hint: seconds the API asked to wait.
    """
    grown = min(LONGEST_BACKOFF, poll_interval * 2.0 ** min(failures - 1, 10))
    return max(poll_interval, grown, hint or 0.0)
