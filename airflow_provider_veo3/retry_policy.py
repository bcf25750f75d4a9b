"""A ready retry policy: do not retry what a retry cannot mend, and come back when the API says."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSensorTimeout

from airflow_provider_veo3.exceptions import Veo3ApiError, Veo3Error, Veo3ValidationError
from airflow_provider_veo3.parameters import LONGEST_WAIT

try:
    from airflow.sdk import RetryDecision, RetryPolicy
except ImportError as error:
    raise ImportError(
        "Veo3RetryPolicy needs Airflow 3.3 or later, which brings retry policies. Before, the errors of this "
        "provider fail a task at once where a retry cannot help; only the delay is Airflow's own."
    ) from error

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

E = TypeVar("E", bound=Veo3Error)

SPREAD = timedelta(seconds=1)
"""Added to what the API asks for: it counts its seconds by its own clock."""


class Veo3RetryPolicy(RetryPolicy):
    """Decide by what went wrong whether, and when, a task is tried again.

    For ``retry_policy=Veo3RetryPolicy()`` on any task, also one of your own that uses ``Veo3Hook``. It fails
    at once where a retry cannot help: a bad parameter, a refused key, content or account without credits, an
    unknown id, a sensor's failure, also where such an error is only the cause of another. Where the API asked
    to wait (``retry_after``), the task is tried again when that has passed, if that is later than its own
    ``retry_delay``. Everything else is left to Airflow. ``retries`` stays the bound.

    :param longest: the longest delay; an API that asks for more, as at the end of a day's requests, fails the
        task at once. Default ``None``: no bound.
    :raises Veo3ValidationError: ``longest`` is something else.
    """

    def __init__(self, longest: timedelta | None = None) -> None:
        if longest is not None and not (isinstance(longest, timedelta) and longest > timedelta(0)):
            raise Veo3ValidationError.of("longest", longest, "a timedelta above 0, or None for no bound")
        self.longest = longest

    def evaluate(
        self,
        exception: BaseException,
        try_number: int,  # noqa: ARG002 - Airflow's
        max_tries: int,  # noqa: ARG002 - Airflow's
        context: Context | None = None,
    ) -> RetryDecision:
        """Decide; asked in the worker, when the task has failed."""
        ours = _first(exception, Veo3Error)
        if isinstance(ours, AirflowFailException | AirflowSensorTimeout):
            return RetryDecision.fail(f"{type(ours).__name__}: a retry would fail alike")
        asked = _first(exception, Veo3ApiError)  # it may be why something else of ours has failed
        if ours is None or asked is None or asked.retry_after is None:
            return RetryDecision.default()
        hint = min(asked.retry_after, LONGEST_WAIT)
        if self.longest is not None and timedelta(seconds=hint) > self.longest:
            return RetryDecision.fail(f"{type(ours).__name__}: the API asks to wait {hint:.0f} s")
        delay = timedelta(seconds=hint) + SPREAD
        if delay <= _own_delay(context):
            return RetryDecision.default()
        return RetryDecision.retry(delay, f"{type(ours).__name__}: the API asks to wait {hint:.0f} s")

    def serialize(self) -> dict[str, Any]:
        """Return it as JSON."""
        seconds = None if self.longest is None else self.longest.total_seconds()
        return {"__type": f"{type(self).__module__}.{type(self).__qualname__}", "longest": seconds}

    @classmethod
    def deserialize(cls, data: dict[str, Any]) -> Veo3RetryPolicy:
        """Read it back."""
        seconds = data.get("longest")
        return cls(None if seconds is None else timedelta(seconds=seconds))


def _first(exception: BaseException | None, kind: type[E]) -> E | None:
    """Return the first error of a kind: the exception itself, or what it was raised from."""
    seen: set[int] = set()
    while exception is not None and id(exception) not in seen:
        if isinstance(exception, kind):
            return exception
        seen.add(id(exception))
        exception = exception.__cause__
    return None


def _own_delay(context: Context | None) -> timedelta:
    """Return the task's own delay, without the backoff that may be on top."""
    delay = getattr(context["ti"].task, "retry_delay", None) if context else None
    return delay if isinstance(delay, timedelta) else timedelta(0)
