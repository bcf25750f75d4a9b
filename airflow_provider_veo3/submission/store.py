"""Where the record of a submission is kept between the attempts of a task."""

from __future__ import annotations

import logging
import time
from datetime import timedelta
from typing import TYPE_CHECKING, ClassVar, Final, Protocol

from airflow_provider_veo3.exceptions import Veo3StateError
from airflow_provider_veo3.submission import record as submission
from airflow_provider_veo3.submission.record import RECORD_KEY, Phase, Record, Task

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_veo3.submission.record import Store

log = logging.getLogger(__name__)

RETENTION: Final = timedelta(days=90)
"""How long a record is kept; the files of a generation live one day."""


class Memory(Protocol):
    """Where the record of a task instance is kept between its attempts."""

    supposes: ClassVar[bool]
    """Whether an intent it tells of is only supposed, and may long have been known to be accepted."""

    def load(self, fingerprint: str) -> Record | None:
        """Return the record; ``None`` when nothing was ever sent."""

    def save(self, record: Record) -> None:
        """Keep the record."""


class StoredMemory:
    """Keeps the record in Airflow's task state store, which outlives retries and clears (Airflow 3.3)."""

    supposes: ClassVar[bool] = False

    def __init__(self, store: Store) -> None:
        self._store = store

    def load(self, fingerprint: str) -> Record | None:  # noqa: ARG002 - the record has its own
        """Return the record.

        :raises Veo3StateError: it cannot be read, which is not the same as its being absent.
        """
        try:
            value = self._store.get(RECORD_KEY)
        except Exception as error:  # whatever stands between here and the store
            raise Veo3StateError(
                f"The task's state cannot be read ({error}), so that it is not known whether an earlier "
                "attempt has paid. Nothing was submitted; a retry reads it again."
            ) from error
        return Record.from_json(value)

    def save(self, record: Record) -> None:
        """Keep the record.

        :raises Veo3StateError: it cannot be written.
        """
        try:
            self._store.set(RECORD_KEY, record.to_json(), retention=RETENTION)
        except Exception as error:
            raise Veo3StateError(
                f"The task's state cannot be written ({error}). Without it a retry could pay twice."
            ) from error


class HistoryMemory:
    """Stands in where Airflow keeps no task state (before 3.3): a later attempt asks the history.

    :param task: this attempt.
    :param pause: seconds that Airflow lets pass before it repeats an attempt, in which an answer was due.
    """

    supposes: ClassVar[bool] = True

    def __init__(self, task: Task, pause: float) -> None:
        self._task = task
        self._pause = pause

    def load(self, fingerprint: str) -> Record | None:
        """Suppose of every later attempt that an earlier one has sent the request since the run began."""
        if self._task.try_number <= 1:
            return None
        last = time.time() - min(self._pause, submission.ACCEPTANCE_SPAN)
        return Record(Phase.INTENT, fingerprint, self._task.run_started, last, self._task.max_tries)

    def save(self, record: Record) -> None:
        """Keep nothing: there is no place for it."""


class NoMemory:
    """For a task that shall submit at each attempt."""

    supposes: ClassVar[bool] = False

    def load(self, fingerprint: str) -> Record | None:  # noqa: ARG002
        """Know nothing."""
        return None

    def save(self, record: Record) -> None:
        """Keep nothing."""


def context_memory(context: Context, *, durable: bool) -> Memory:
    """Return where a task instance keeps its record: what the Airflow at hand offers."""
    if not durable:
        return NoMemory()
    store = context.get("task_state_store")  # Airflow 3.3 and later
    if store is not None:
        return StoredMemory(store)
    return HistoryMemory(context_task(context), context["task"].retry_delay.total_seconds())


def context_task(context: Context) -> Task:
    """Return what Airflow tells of this attempt."""
    ti, run = context["ti"], context["dag_run"]
    # clearing a task of a finished run starts the run anew, after what an earlier attempt has paid for
    started = run.run_after if run.clear_number else run.start_date
    return Task(ti.try_number, ti.max_tries, started.timestamp() if started else time.time())


def mark_delivered(memory: Memory, task: Task, generation_id: str) -> None:
    """Note that the task is about to succeed, so that a person who clears it gets a new video."""
    try:
        record = memory.load("")
        if record is not None and record.phase in (Phase.INTENT, Phase.SUBMITTED):
            # an intent: the acceptance could not be noted
            memory.save(submission.delivered(record, generation_id, task.max_tries))
    except Veo3StateError as error:
        log.warning("%s Clearing this task later takes up this generation again.", error)
