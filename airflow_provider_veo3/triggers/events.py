"""Keys of event payloads beside a trigger's result, and the times of events."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from airflow_provider_veo3.airflow_names import Context

TRY_NUMBER: Final = "try_number"
"""Key of the try that has deferred, as Airflow counts tries."""

CONTINUE_IN_WORKER: Final = "go_on_in_worker"
"""Key of an event that hands the wait to a worker; its value is the reason."""


EVENT_LAG: Final = 5.0
"""Seconds from a deferral in which no trigger fires.

The scheduler hears of the worker's end only when it polls its executor, a second or more after the deferral.
If the task is scheduled again by then, Airflow 3.0 and 3.1 fail the task, and later versions if it is queued
already: they take the end of that worker for the end of the next one.
"""


def earliest_event(now: float) -> float:
    """Return when the trigger of a task that defers now may fire, in Unix seconds."""
    return now + EVENT_LAG


def with_try_number(payload: Mapping[str, Any], try_number: int | None) -> dict[str, Any]:
    """Return a payload with the number of the try that waits for it.

    :param try_number: ``None`` leaves it out.
    """
    return {**payload, **({} if try_number is None else {TRY_NUMBER: try_number})}


def is_stale(next_kwargs: Mapping[str, Any] | None, context: Context) -> bool:
    """Return whether a task resumes with the event of an earlier try.

    Airflow 3.0 keeps the event of a try that fails, and resumes the retry with it. A completed generation is
    useful in any try.
    """
    from airflow_provider_veo3.polling.result import Ending

    event = (next_kwargs or {}).get("event")
    if not isinstance(event, Mapping) or event.get("ending") == Ending.COMPLETED:
        return False
    return event.get(TRY_NUMBER) not in (None, context["ti"].try_number)
