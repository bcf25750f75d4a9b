"""What each answer means for a task that waits, in every mode alike. Pure: no clock, no API."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, Final, TypeGuard

from airflow_provider_veo3 import exceptions as errors
from airflow_provider_veo3 import metrics
from airflow_provider_veo3.api.models import Generation, Status
from airflow_provider_veo3.api.request import check_generation_id
from airflow_provider_veo3.api.retries import is_transient
from airflow_provider_veo3.pace import Pace, pause_before_look

CONTENT_POLICY: Final = "CONTENT_POLICY_VIOLATION"

LONGEST_BACKOFF: Final = 60.0
"""Seconds between two looks while the API is in trouble and does not say how long."""


class Ending(StrEnum):
    """How a wait ended."""

    COMPLETED = "completed"
    FAILED = "failed"
    TIMEOUT = "timeout"
    ERROR = "error"


_ERRORS: Final = {
    kind.__name__: kind
    for kind in (
        errors.Veo3BadRequestError,
        errors.Veo3AuthenticationError,
        errors.Veo3InsufficientCreditsError,
        errors.Veo3GenerationNotFoundError,
        errors.Veo3ConnectionConfigError,
        errors.Veo3ValidationError,
        errors.Veo3Error,
    )
}
"""What an ``ERROR`` can be, by the name that travels in the event."""


@dataclass(frozen=True)
class WaitResult:
    """The end of a wait; travels from the triggerer to the task as an event.

    :param generation_id: what was waited for.
    :param ending: how it ended.
    :param message: the sentence for the task's log or error.
    :param reason: name of the error class for ``ERROR``, the vendor's code for ``FAILED``.
    :param manifest: what the API last said of the generation; empty when it said nothing.
    """

    generation_id: str
    ending: Ending
    message: str
    reason: str | None = None
    manifest: Mapping[str, Any] = field(default_factory=dict)

    def to_event(self) -> dict[str, Any]:
        """Return the event's payload: plain JSON, nothing secret."""
        return {"version": 1, **asdict(self), "ending": self.ending.value}

    @classmethod
    def from_event(cls, event: object, expected_id: str | None = None) -> WaitResult:
        """Read an event as the untrusted input it is.

        :param expected_id: the generation that was waited for, where the task knows.
        :raises Veo3GenerationError: the event is not one of ours, or tells of another generation.
        """
        payload = event if isinstance(event, Mapping) else {}
        try:
            generation_id = check_generation_id(payload.get("generation_id"))
            ending = Ending(payload.get("ending", ""))
        except ValueError:
            raise _bad_event(event) from None
        message, reason, manifest = (payload.get(name) for name in ("message", "reason", "manifest"))
        if not isinstance(message, str) or not isinstance(manifest, Mapping) or payload.get("version") != 1:
            raise _bad_event(event)
        if expected_id not in (None, generation_id) or manifest.get("id", generation_id) != generation_id:
            raise _bad_event(event)
        return cls(generation_id, ending, message, reason if isinstance(reason, str) else None, manifest)

    def manifest_or_raise(self, *, sensor: bool = False) -> dict[str, Any]:
        """Return the manifest of a completed generation, else raise what the ending means.

        :param sensor: raise what Airflow does not retry, since asking again about a failed or timed out
            generation changes nothing, while a generating task can submit anew.
        """
        metrics.ended(self.ending.value, self.reason, self.manifest)  # here, once, the task learns of it
        about: dict[str, Any] = {"generation_id": self.generation_id, "manifest": self.manifest}
        match self.ending:
            case Ending.COMPLETED:
                return dict(self.manifest)
            case Ending.TIMEOUT:
                timeout = errors.Veo3SensorTimeoutError if sensor else errors.Veo3GenerationTimeoutError
                raise timeout(self.message, **about)
            case Ending.FAILED:
                failed = errors.Veo3SensorFailedError if sensor else errors.Veo3GenerationFailedError
                raise (errors.Veo3GenerationRefusedError if self.reason == CONTENT_POLICY else failed)(
                    self.message, **about
                )
            case Ending.ERROR:
                raise _ERRORS.get(self.reason or "", errors.Veo3PermanentApiError)(self.message)


def _bad_event(event: object) -> errors.Veo3GenerationError:
    shown = repr(event)[:200]
    return errors.Veo3GenerationError(
        f"The trigger's event cannot be used: {shown}. The generation, if any, goes on and stays paid for."
    )


def ended(generation: Generation) -> WaitResult:
    """Return the result for a generation that is completed or failed."""
    manifest = generation.manifest()
    if generation.status is Status.COMPLETED:
        message = f"Generation {generation.id} is completed."
        return WaitResult(generation.id, Ending.COMPLETED, message, manifest=manifest)
    why = generation.error or generation.error_code or "the API gives no reason"
    message = f"Generation {generation.id} failed: {why}. The vendor refunds the credits of a failed one."
    # the vendor documents the code for a refused request only; of a failed generation only a text is known
    refused = generation.error_code == CONTENT_POLICY or re.search(r"\bpolic(y|ies)\b", why, re.IGNORECASE)
    reason = CONTENT_POLICY if refused else generation.error_code
    return WaitResult(generation.id, Ending.FAILED, message, reason, manifest)


@dataclass(eq=False)
class Wait:
    """One wait for one generation.

    :param generation_id: what is waited for.
    :param deadline: Unix seconds; wall clock, so that a wait that moves to another process goes on there.
    :param poll_interval: seconds between two looks.
    :param accepted_at: Unix seconds when it was accepted, if that is known.
    :param model: its model, if that is known.
    :param pace: how long generations take.
    """

    generation_id: str
    deadline: float
    poll_interval: float
    accepted_at: float | None = None
    model: str | None = None
    pace: Pace = field(default_factory=Pace)
    _began: float | None = field(default=None, init=False)
    _last: Generation | None = field(default=None, init=False)
    _failures: int = field(default=0, init=False)
    _state: str = field(default="was not asked about", init=False)

    def first_look(self, now: float) -> float:
        """Return the seconds until the first look: whoever waits has just submitted, or just looked."""
        return max(0.0, min(self._pause(now), self.deadline - now))

    def on_generation(self, generation: Generation, now: float) -> WaitResult | float:
        """Judge an answer: the end, or the seconds until the next look."""
        known_since = self.accepted_at
        self._last, self._failures = generation, 0
        self.model = generation.model or self.model
        if self.accepted_at is None and generation.created_at is not None:
            self.accepted_at = accepted_at(generation, now)
        self.pace.learn(generation, None if known_since is None else now - known_since)
        if not generation.status.is_terminal:
            self._state = f"is still {generation.status.value}"
            return self.still_going(now)
        return ended(generation)

    def still_going(self, now: float) -> WaitResult | float:
        """Judge that it has not ended: the seconds until the next look, or the timeout."""
        return self._next_look(self._pause(now), now)

    def on_error(self, error: errors.Veo3Error, now: float) -> WaitResult | float:
        """Judge a failed look: trouble that passes is waited out, everything else ends the wait."""
        if not will_pass(error):
            return self.end_with(error)
        self._failures += 1
        self._state = f"cannot be asked about ({error})"
        pause = backoff(self._failures, self.poll_interval, error.retry_after)
        return self._next_look(pause, now)

    def end_with(self, error: errors.Veo3Error) -> WaitResult:
        """End the wait for a reason that will not pass."""
        return WaitResult(
            self.generation_id, Ending.ERROR, str(error), type(error).__name__, self._manifest()
        )

    def time_out(self) -> WaitResult:
        """End the wait at its deadline."""
        message = (
            f"Generation {self.generation_id} {self._state} at the deadline. It was paid for and goes on at "
            "the vendor, which has no way to cancel it: wait for this id with Veo3GenerationSensor, or store "
            "it with Veo3DownloadOperator, within 24 hours of its completion."
        )
        return WaitResult(self.generation_id, Ending.TIMEOUT, message, manifest=self._manifest())

    def _pause(self, now: float) -> float:
        self._began = now if self._began is None else self._began
        earliest = self.pace.earliest(self.model, self.poll_interval)
        age = None if self.accepted_at is None else now - self.accepted_at
        return pause_before_look(age, earliest, now - self._began, self.poll_interval)

    def _next_look(self, pause: float, now: float) -> WaitResult | float:
        left = self.deadline - now
        return min(pause, left) if left > 0 else self.time_out()

    def _manifest(self) -> dict[str, Any]:
        return self._last.manifest() if self._last else {}


def accepted_at(generation: Generation, now: float) -> float:
    """Return when a generation was accepted, in Unix seconds; now if it does not say, as an acceptance."""
    # the API's clock may be ahead of ours
    return now if generation.created_at is None else min(now, generation.created_at.timestamp())


def will_pass(error: errors.Veo3Error) -> TypeGuard[errors.Veo3ApiError]:
    """Whether a failed look says nothing of the next one."""
    return isinstance(error, errors.Veo3ApiError) and is_transient(error)


def backoff(failures: int, poll_interval: float, hint: float | None) -> float:
    """Return the seconds to stay away after trouble.

    :param failures: looks that failed in a row, from 1.
    :param hint: seconds the API asked to wait.
    """
    grown = min(LONGEST_BACKOFF, poll_interval * 2.0 ** min(failures - 1, 10))
    return max(poll_interval, grown, hint or 0.0)
