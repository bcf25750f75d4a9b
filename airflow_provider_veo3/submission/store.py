"""Stores of a submission's record between the attempts of a task."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Final, Protocol

from airflow_provider_veo3.exceptions import Veo3StateError
from airflow_provider_veo3.links import patiently
from airflow_provider_veo3.submission.decisions import PRODUCTION, Timings
from airflow_provider_veo3.submission.record import RECORD_KEY, Phase, Record

if TYPE_CHECKING:
    from airflow_provider_veo3.airflow_names import Context
    from airflow_provider_veo3.api.clock import Clock

log = logging.getLogger(__name__)

RETENTION: Final = timedelta(days=90)
"""Time for which a record is kept; the files of a generation live one day."""


@dataclass(frozen=True)
class Attempt:
    """One attempt of a task instance, as Airflow describes it.

    :param try_number: from 1.
    :param max_tries: Airflow's bound; clearing the task raises it.
    :param run_started: Unix seconds before which no attempt was made.
    """

    try_number: int
    max_tries: int
    run_started: float

    @classmethod
    def of(cls, context: Context, clock: Clock = time) -> Attempt:
        """Return the attempt at hand."""
        ti, run = context["ti"], context["dag_run"]
        # clearing a task of a finished run starts the run anew, after an earlier attempt may have paid
        started = run.run_after if run.clear_number else run.start_date
        return cls(ti.try_number, ti.max_tries, started.timestamp() if started else clock.time())


class RecordStore(Protocol):
    """Store of one task instance's record."""

    is_assumed: ClassVar[bool]
    """Whether a loaded intent is only assumed, so that its acceptance may long be counted."""

    def load(self, fingerprint: str) -> Record | None:
        """Return the record; ``None`` when no request was ever sent."""

    def save(self, record: Record) -> None:
        """Keep the record."""


class TaskStateStore:
    """Record in Airflow's task state store, which outlives retries and clears (Airflow 3.3 and later).

    :param state: Airflow's store of the task instance, or anything with its ``get`` and ``set``.
    """

    is_assumed: ClassVar[bool] = False

    def __init__(self, state: Any, clock: Clock = time, timings: Timings = PRODUCTION) -> None:
        self._state = state
        self._patiently = partial(patiently, clock=clock, patience=timings.airflow_patience)

    def load(self, fingerprint: str) -> Record | None:  # noqa: ARG002 - the record has its own
        """Return the record.

        :raises Veo3StateError: the record cannot be read, which does not mean that there is none.
        """
        try:
            value = self._patiently(lambda: self._state.get(RECORD_KEY))
        except Exception as error:  # whatever stands between here and the store
            raise Veo3StateError(
                f"The task's state cannot be read ({error}), so an earlier attempt may have paid for a "
                "generation. Nothing was submitted; a retry reads the state again."
            ) from error
        return Record.from_json(value)

    def save(self, record: Record) -> None:
        """Keep the record.

        :raises Veo3StateError: the record cannot be written.
        """
        try:
            self._patiently(lambda: self._state.set(RECORD_KEY, record.to_json(), retention=RETENTION))
        except Exception as error:
            raise Veo3StateError(
                f"The task's state cannot be written ({error}); without it a retry could pay twice."
            ) from error


class AssumedStore:
    """Assumed record where Airflow keeps no task state (before 3.3): a later attempt searches the history.

    :param attempt: the attempt at hand.
    :param retry_delay: seconds that Airflow lets pass before it repeats an attempt.
    """

    is_assumed: ClassVar[bool] = True

    def __init__(self, attempt: Attempt, retry_delay: float, clock: Clock, timings: Timings) -> None:
        self._attempt = attempt
        self._retry_delay = retry_delay
        self._clock = clock
        self._timings = timings

    def load(self, fingerprint: str) -> Record | None:
        """Assume for later attempts that the request was sent since the run began."""
        if self._attempt.try_number <= 1:
            return None
        last = self._clock.time() - min(self._retry_delay, self._timings.acceptance_span)
        return Record(Phase.INTENT, fingerprint, self._attempt.run_started, last, self._attempt.max_tries)

    def save(self, record: Record) -> None:
        """Keep nothing: Airflow has no place for the record."""


class NoStore:
    """No record, for a task that submits at each attempt (``durable=False``)."""

    is_assumed: ClassVar[bool] = False

    def load(self, fingerprint: str) -> Record | None:  # noqa: ARG002
        """Return nothing."""
        return None

    def save(self, record: Record) -> None:
        """Keep nothing."""


def record_store(
    context: Context, *, durable: bool, clock: Clock = time, timings: Timings = PRODUCTION
) -> RecordStore:
    """Return the record store that the installed Airflow offers to a task instance."""
    if not durable:
        return NoStore()
    state = context.get("task_state_store")  # Airflow 3.3 and later
    if state is not None:
        return TaskStateStore(state, clock, timings)
    retry_delay = context["task"].retry_delay.total_seconds()
    return AssumedStore(Attempt.of(context, clock), retry_delay, clock, timings)


def mark_delivered(
    store: RecordStore, attempt: Attempt, generation_id: str, record: Record | None = None
) -> None:
    """Record that the task is about to succeed, so that clearing makes a new video.

    :param record: the record, if this process has it; ``None`` reads it.
    """
    try:
        record = store.load("") if record is None else record
        if record is not None and record.phase in (Phase.INTENT, Phase.SUBMITTED):
            # an intent: the acceptance could not be recorded
            store.save(record.delivered(generation_id, attempt.max_tries))
    except Veo3StateError as error:
        log.warning("%s Clearing this task later reuses this generation.", error)
