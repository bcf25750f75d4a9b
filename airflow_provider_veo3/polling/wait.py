"""Meaning of each response for a task that waits, in every mode alike. Pure: no clock, no API."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeGuard

from airflow_provider_veo3 import exceptions as errors
from airflow_provider_veo3.api.json_values import read_time
from airflow_provider_veo3.api.models import Status
from airflow_provider_veo3.polling.durations import Durations, pause_before_poll
from airflow_provider_veo3.polling.result import Ending, WaitResult, ended
from airflow_provider_veo3.polling.trouble import Trouble, kind_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from airflow_provider_veo3.api.models import Generation

LONGEST_BACKOFF: Final = 60.0
"""Seconds between two polls while the API is in trouble and gives no time."""

LONGEST_HOLD: Final = 900.0
"""Most seconds for which the API is left alone at its request: the unit of its hint may be another."""

LISTING_LAG: Final = 120.0
"""Seconds from its acceptance in which the API may not know a generation yet."""

FAILURE_CONFIRMATION: Final = 30.0
"""Seconds between the two responses that report a generation as failed, or the poll interval if longer."""

CONFIRMATION_POLLS: Final = 6
"""Poll intervals between the two, if that is sooner: of waits that poll more often than every 5 s."""

LATE: Final = 1.15
"""Share of that time after which the second is requested: polls for several waiters come a little early."""

TROUBLE_EVERY: Final = 300.0
"""Seconds between two warnings of a wait about the same trouble."""

PARTS: Final = 4
"""Parts of the time to the deadline; a line in the log ends each."""

_ID_WITH_TIME: Final = re.compile(r"veo_(\d{13})_")
_DAY: Final = 86_400.0


class Line(NamedTuple):
    """A line for the log of the task that waits."""

    level: int
    text: str


@dataclass(eq=False)
class Wait:
    """Wait for one generation.

    :param generation_id: the generation.
    :param deadline: Unix seconds; wall clock, so that it holds in another process too.
    :param poll_interval: seconds between two polls.
    :param accepted_at: Unix seconds when the generation was accepted, if known.
    :param model: its model, if known.
    :param durations: learned durations of generations.
    :param find_acceptance: returns ``accepted_at`` when it is needed, at some cost; called once.
    :param began: Unix seconds when the wait began, if earlier than in this process.
    """

    generation_id: str
    deadline: float
    poll_interval: float
    accepted_at: float | None = None
    model: str | None = None
    durations: Durations = field(default_factory=Durations)
    find_acceptance: Callable[[], float | None] | None = None
    began: float | None = None
    _polling_since: float | None = field(default=None, init=False)
    _last: Generation | None = field(default=None, init=False)
    _failures: int = field(default=0, init=False)
    _state: str = field(default="was not polled yet", init=False)
    _failed_since: float | None = field(default=None, init=False)
    _accepted_by_id: float | None = field(default=None, init=False)
    _trouble: Trouble = field(default_factory=lambda: Trouble(TROUBLE_EVERY), init=False)
    _lines: list[Line] = field(default_factory=list, init=False)
    _parts_passed: int | None = field(default=None, init=False)

    @property
    def needs_confirmation(self) -> bool:
        """Return whether the last response reported a failure that a second has to confirm."""
        return self._failed_since is not None

    def take_lines(self) -> list[Line]:
        """Return once each: the lines for the log of the task."""
        lines, self._lines = self._lines, []
        return lines

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
        if generation.status is Status.FAILED:
            return self._on_failure(generation, now)
        if self._failed_since is not None:
            self._failed_since = None
            self._log(logging.INFO, f"Generation {self.generation_id} is no longer reported as failed.")
        if generation.status is Status.COMPLETED:
            return ended(generation)
        self._state = f"is still {generation.status.value}"
        if generation.raw_status is not None:
            self._state += f" (the API's word is {errors.shown(generation.raw_status)}, which is not known)"
        return self.still_running(now)

    def still_running(self, now: float) -> WaitResult | float:
        """Judge a generation that has not ended: the seconds until the next poll, or the timeout."""
        return self._next_poll(self._pause(now), now)

    def on_error(self, error: errors.Veo3Error, now: float) -> WaitResult | float:
        """Judge a failed poll: transient trouble is waited out, anything else ends the wait."""
        if isinstance(error, errors.Veo3GenerationNotFoundError) and self._may_be_unlisted(now):
            return self._on_unlisted(error, now)
        if not will_pass(error):
            return self.end_with(error)
        self._failures += 1
        self._state = f"cannot be polled ({error})"
        pause = self._next_poll(backoff(self._failures, self.poll_interval, error.retry_after), now)
        self._warn(error, str(error), pause, now)
        return pause

    def end_with(self, error: errors.Veo3Error) -> WaitResult:
        """End the wait with a permanent error, which may concern the whole connection."""
        message = str(error)
        if not isinstance(error, errors.Veo3GenerationNotFoundError):
            message += (
                f" Generation {self.generation_id} was paid for and may go on. Wait for it "
                "with Veo3GenerationSensor, or store it with Veo3DownloadOperator within 24 hours of its "
                "completion."
            )
        return WaitResult(self.generation_id, Ending.ERROR, message, type(error).__name__, self._manifest())

    def time_out(self) -> WaitResult:
        """End the wait at its deadline."""
        if self._failed_since is not None and self._last is not None:
            return ended(self._last)
        message = (
            f"Timed out: generation {self.generation_id} {self._state} at the deadline. It was paid for and "
            "goes on at the vendor, which has no way to cancel it. Wait for this id with "
            "Veo3GenerationSensor, or store it with Veo3DownloadOperator within 24 hours of its completion."
        )
        return WaitResult(self.generation_id, Ending.TIMEOUT, message, manifest=self._manifest())

    def next_progress(self) -> float:
        """Return when :meth:`log_progress` has the next line, in Unix seconds; never after the deadline."""
        part = (self._parts_passed or 0) + 1
        return self._end_of_part(part) if part <= PARTS else float("inf")

    def log_progress(self, now: float) -> None:
        """Log the state of the wait at its beginning and after each quarter."""
        is_first = self._parts_passed is None
        if self.began is None:
            self.began = now
        passed = next((part for part in range(PARTS, 0, -1) if now >= self._end_of_part(part)), 0)
        if not is_first and passed <= (self._parts_passed or 0):
            return
        self._parts_passed = passed
        if passed == PARTS:  # the result says it
            return
        state = f"Waiting for generation {self.generation_id}"
        if passed:
            state = f"Generation {self.generation_id} {self._state}"
        self._log(logging.INFO, f"{state}: {', '.join(self._progress(now))}.")

    def _progress(self, now: float) -> list[str]:
        usual = self.durations.usual(self.model)
        return [
            "accepted at an unknown time"
            if self.accepted_at is None
            else f"accepted {_span(now - self.accepted_at)} ago",
            *([] if usual is None else [f"usually completed after about {_span(usual)}"]),
            f"given up in {_span(self.deadline - now)} ({iso(self.deadline)})",
        ]

    def _on_failure(self, generation: Generation, now: float) -> WaitResult | float:
        """Judge a reported failure: it ends the wait once a second, later response has confirmed it.

        The vendor has taken such a report back; the task would have failed for a video that was paid for.
        """
        required = max(self.poll_interval, min(FAILURE_CONFIRMATION, CONFIRMATION_POLLS * self.poll_interval))
        since = now if self._failed_since is None else self._failed_since
        if now >= self.deadline or now - since >= required:
            return ended(generation)
        pause = min(required * LATE - (now - since), self.deadline - now)
        if self._failed_since is None:
            self._failed_since = now
            self._log(
                logging.WARNING,
                f"Generation {self.generation_id} is reported as failed; polling again in {pause:.0f} s, "
                "before the wait ends for that.",
            )
        return pause

    def _on_unlisted(self, error: errors.Veo3Error, now: float) -> WaitResult | float:
        """Judge an id that is not known so soon after its acceptance."""
        self._state = "is not known to the API yet"
        pause = self._next_poll(self.poll_interval, now)
        what = (
            f"The API does not know generation {self.generation_id} yet, which it accepted less than "
            f"{LISTING_LAG:.0f} s ago. No credits were spent by polling."
        )
        self._warn(error, what, pause, now)
        return pause

    def _may_be_unlisted(self, now: float) -> bool:
        """Return whether the API's list may lag behind the acceptance.

        Where nothing else gives the time of the acceptance, the id may.
        """
        if self.accepted_at is None and self.find_acceptance is not None:
            self.accepted_at, self.find_acceptance = self.find_acceptance(), None
        if self.accepted_at is None and self._accepted_by_id is None:
            self._accepted_by_id = _time_in_id(self.generation_id, now)
        accepted = self._accepted_by_id if self.accepted_at is None else self.accepted_at
        return accepted is not None and now - accepted < LISTING_LAG

    def _pause(self, now: float) -> float:
        self._polling_since = now if self._polling_since is None else self._polling_since
        earliest = self.durations.earliest(self.model, self.poll_interval)
        age = None if self.accepted_at is None else now - self.accepted_at
        return pause_before_poll(age, earliest, now - self._polling_since, self.poll_interval)

    def _next_poll(self, pause: float, now: float) -> WaitResult | float:
        left = self.deadline - now
        return min(pause, left) if left > 0 else self.time_out()

    def _manifest(self) -> dict[str, Any]:
        return self._last.manifest() if self._last else {}

    def _end_of_part(self, part: int) -> float:
        began = self.deadline if self.began is None else self.began
        return began + (self.deadline - began) * part / PARTS

    def _warn(self, error: errors.Veo3Error, what: str, pause: WaitResult | float, now: float) -> None:
        """Log a failed poll, unless the same trouble was logged a short time ago."""
        failures = self._trouble.note(now, kind_of(error))
        if failures is None or isinstance(pause, WaitResult):
            return
        again = f" {failures.number} polls have failed since {iso(failures.since)}." * (failures.number > 1)
        self._log(logging.WARNING, f"{what}{again} Polling again in {pause:.0f} s.")

    def _log(self, level: int, text: str) -> None:
        self._lines.append(Line(level, text))


def accepted_at(generation: Generation, now: float) -> float:
    """Return when a generation was accepted, in Unix seconds; now where no time is given."""
    # the API's clock may be ahead of ours
    return now if generation.created_at is None else min(now, generation.created_at.timestamp())


def acceptance_of(manifest: Mapping[str, Any], now: float) -> float | None:
    """Return when the generation of a manifest was accepted, in Unix seconds; ``None`` if it does not say."""
    times = map(read_time, (manifest.get("accepted_at"), manifest.get("created_at")))
    return next((min(now, time.timestamp()) for time in times if time is not None), None)


def _time_in_id(generation_id: str, now: float) -> float | None:
    """Return the time in an id of the vendor's form, in Unix seconds; ``None`` unless it is of these days."""
    match = _ID_WITH_TIME.match(generation_id)
    time = int(match[1]) / 1000 if match else 0.0
    return min(now, time) if abs(now - time) < _DAY else None


def will_pass(error: errors.Veo3Error) -> TypeGuard[errors.Veo3ApiError]:
    """Return whether a later poll may succeed."""
    return isinstance(error, errors.Veo3ApiError) and not isinstance(error, errors.Veo3PermanentApiError)


def backoff(failures: int, poll_interval: float, hint: float | None) -> float:
    """Return the seconds to leave the API alone after trouble.

    :param failures: polls that failed in a row, from 1.
    :param hint: seconds the API asked to wait.
    """
    grown = min(LONGEST_BACKOFF, poll_interval * 2.0 ** min(failures - 1, 10))
    return max(poll_interval, grown, min(hint or 0.0, LONGEST_HOLD))


def iso(moment: float) -> str:
    """Return a time in Unix seconds as text, in UTC."""
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="seconds")


def _span(seconds: float) -> str:
    """Return a span of time in the unit that a person would use."""
    for unit, name in ((3600, "h"), (60, "min")):
        if seconds >= 2 * unit:
            return f"{seconds / unit:.0f} {name}"
    return f"{max(0.0, seconds):.0f} s"
