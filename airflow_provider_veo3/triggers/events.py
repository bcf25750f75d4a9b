"""Whether what a deferred task is resumed with is of this attempt."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

TRY_NUMBER: Final = "try_number"
"""Key in an event: the try of the task that has deferred, as Airflow counts them."""


def is_stale(next_kwargs: Mapping[str, Any] | None, context: Context) -> bool:
    """Whether a task is resumed with the end of an earlier attempt's wait, so that it has to start over.

    Airflow 3.0 does not forget, when a task fails, what it was resumed with, and resumes the retry with it.
    What is completed is worth having in any attempt.
    """
    event = (next_kwargs or {}).get("event")
    if not isinstance(event, Mapping) or event.get("ending") == "completed":
        return False
    return event.get(TRY_NUMBER) not in (None, context["ti"].try_number)


def of_try(event: Mapping[str, Any], try_number: int | None) -> dict[str, Any]:
    """Return an event's payload with the try that waits for it."""
    return {**event, **({} if try_number is None else {TRY_NUMBER: try_number})}
