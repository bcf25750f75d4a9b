"""Retry policy: no retry that cannot succeed, and none before the API allows it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_provider_veo3.airflow_names import AirflowFailException, AirflowSensorTimeout
from airflow_provider_veo3.exceptions import Veo3ApiError, Veo3Error
from airflow_provider_veo3.parameters import LONGEST_WAIT, read_seconds

try:
    from airflow.sdk import RetryDecision, RetryPolicy
except ImportError as error:
    raise ImportError(
        "Veo3RetryPolicy needs Airflow 3.3 or later, which introduced retry policies. Remove it from the "
        "task: the errors of this provider fail a task at once where a retry cannot succeed on any Airflow; "
        "only the delay is then Airflow's own."
    ) from error

if TYPE_CHECKING:
    from airflow_provider_veo3.airflow_names import Context
    from airflow_provider_veo3.parameters import Seconds

E = TypeVar("E", bound=Veo3Error)

SPREAD = timedelta(seconds=1)
"""Margin on the delay that the API requests, since its clock differs."""


class Veo3RetryPolicy(RetryPolicy):
    """Retry policy that decides by the error whether and when Airflow retries a task.

    For ``retry_policy=Veo3RetryPolicy()`` on any task, also one of your own that uses ``Veo3Hook``. The task
    fails at once where a retry cannot succeed: a bad parameter, a refused key or content, too few credits, an
    unknown id, a sensor's failure; also where such an error is only the cause of another. Where the API
    requested a delay (``retry_after``), the task is retried after that time, if it is longer than the task's
    own ``retry_delay``. Every other error is left to Airflow. ``retries`` stays the limit.

    :param longest: the longest delay, a ``timedelta`` or seconds; where the API requests more, as at the end
        of a day's requests, the task fails at once. Default ``None``: no limit.
    :raises Veo3ValidationError: ``longest`` is not a time above 0, of at most a year.
    """

    def __init__(self, longest: Seconds | None = None) -> None:
        self.longest = None if longest is None else timedelta(seconds=read_seconds("longest", longest))

    def evaluate(
        self,
        exception: BaseException,
        try_number: int,  # noqa: ARG002 - Airflow's
        max_tries: int,  # noqa: ARG002 - Airflow's
        context: Context | None = None,
    ) -> RetryDecision:
        """Return the decision about a failed task; Airflow calls this in the worker."""
        ours = _first(exception, Veo3Error)
        if isinstance(ours, AirflowFailException | AirflowSensorTimeout):
            return RetryDecision.fail(f"{type(ours).__name__}: a retry cannot succeed")
        refusal = _first(exception, Veo3ApiError)  # perhaps the cause of another error of ours
        if ours is None or refusal is None or refusal.retry_after is None:
            return RetryDecision.default()
        hint = min(refusal.retry_after, LONGEST_WAIT)
        if self.longest is not None and timedelta(seconds=hint) > self.longest:
            return RetryDecision.fail(f"{type(ours).__name__}: the API requests a delay of {hint:.0f} s")
        delay = timedelta(seconds=hint) + SPREAD
        if delay <= _own_delay(context):
            return RetryDecision.default()
        return RetryDecision.retry(delay, f"{type(ours).__name__}: the API requests a delay of {hint:.0f} s")

    def serialize(self) -> dict[str, Any]:
        """Return the policy as JSON."""
        seconds = None if self.longest is None else self.longest.total_seconds()
        return {"__type": f"{type(self).__module__}.{type(self).__qualname__}", "longest": seconds}

    @classmethod
    def deserialize(cls, data: dict[str, Any]) -> Veo3RetryPolicy:
        """Return a policy from its JSON."""
        seconds = data.get("longest")
        return cls(None if seconds is None else timedelta(seconds=seconds))


def _first(exception: BaseException | None, kind: type[E]) -> E | None:
    """Return the first error of a class among an exception and its causes."""
    seen: set[int] = set()
    while exception is not None and id(exception) not in seen:
        if isinstance(exception, kind):
            return exception
        seen.add(id(exception))
        exception = exception.__cause__
    return None


def _own_delay(context: Context | None) -> timedelta:
    """Return the task's own retry delay, without exponential back-off."""
    delay = getattr(context["ti"].task, "retry_delay", None) if context else None
    return delay if isinstance(delay, timedelta) else timedelta(0)
