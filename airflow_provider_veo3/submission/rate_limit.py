"""Back-off of a submission that the API refuses for now (429). Pure: no clock, no API.

``Submitter._pause_or_raise`` applies it to submissions, which are sent with ``ONCE``. The pauses of
:class:`BriefRetries` are those between reads of the API.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_veo3.api.json_values import is_unix_time
from airflow_provider_veo3.api.retries import Retries
from airflow_provider_veo3.api.retry_after import RATE_LIMIT_FALLBACK
from airflow_provider_veo3.exceptions import Veo3GenerationError, Veo3RateLimitError, shown

if TYPE_CHECKING:
    from airflow_provider_veo3.api.protocol import ApiRequest
    from airflow_provider_veo3.exceptions import Veo3ApiError

WORTH_DEFERRING: Final = 5.0
"""Seconds up to which a worker waits by itself: starting a new worker costs as much."""

SPREAD: Final = 0.25
"""Share of a pause by which tasks that were refused together are spread; doubles with each refusal."""

LONGEST_SPREAD: Final = 60.0
"""Seconds of the widest spread: even then every task returns within a minute of the hint."""

_TIMES: Final = ("give_up_at", "refused_since")


@dataclass(frozen=True)
class RateLimitBackoff:
    """Back-off state of a rate-limited submission; travels through the deferral in the trigger's event.

    :param give_up_at: Unix seconds from which a refusal is final; wall clock, for any process.
    :param refused_since: Unix seconds of the first refusal; ``None`` before.
    :param refusals: deferrals so far.
    """

    give_up_at: float
    refused_since: float | None = None
    refusals: int = 0

    def after(self, error: Veo3RateLimitError, now: float, jitter: float) -> tuple[float, RateLimitBackoff]:
        """Return when to submit again, in Unix seconds, and the state until then.

        :param jitter: 0 to 1, so that many tasks do not return at the same instant.
        :raises Veo3RateLimitError: the API asks for a longer pause than the task may wait.
        """
        hint = RATE_LIMIT_FALLBACK if error.retry_after is None else error.retry_after
        since = now if self.refused_since is None else self.refused_since
        following = RateLimitBackoff(self.give_up_at, since, self.refusals + 1)
        left = self.give_up_at - now
        if left <= 0 or hint > left:
            raise Veo3RateLimitError(
                f"{error} The API has refused this for {now - since:.0f} seconds now and asks for a pause "
                f"of {hint:.0f} s; the task's 'timeout' ends in {max(left, 0.0):.0f} s. A retry "
                "submits again; a generation that an earlier attempt paid for is still reused.",
                status=error.status,
                code=error.code,
                body=error.body,
                retry_after=error.retry_after,
            )
        return min(now + pause(hint, following.refusals, jitter), self.give_up_at), following

    def to_event(self) -> dict[str, Any]:
        """Return the state as plain JSON."""
        return {
            "version": 1,
            "give_up_at": self.give_up_at,
            "refused_since": self.refused_since,
            "refusals": self.refusals,
        }

    @classmethod
    def from_event(cls, event: object) -> RateLimitBackoff:
        """Read an event as untrusted input.

        :raises Veo3GenerationError: the event is none of ours; nothing is submitted for it.
        """
        payload = event if isinstance(event, Mapping) else {}
        refusals = payload.get("refusals")
        if (
            payload.get("version") == 1
            and type(refusals) is int
            and refusals > 0
            and all(is_unix_time(payload.get(name)) for name in _TIMES)
        ):
            return cls(payload["give_up_at"], payload["refused_since"], refusals)
        raise Veo3GenerationError(
            f"The trigger's event cannot be used: {shown(event)}. Nothing was submitted for it, and no "
            "credits were spent. Clear the task to start again."
        )


def pause(hint: float, refusals: int, jitter: float) -> float:
    """Return the seconds of a pause, never fewer than the API asks for.

    :param hint: seconds the API asks for. A shorter hint is raised to ``WORTH_DEFERRING``, since the worker
        has already waited that long in vain.
    :param refusals: deferrals so far, from 1.
    """
    least = max(hint, WORTH_DEFERRING)
    return least + jitter * min(LONGEST_SPREAD, SPREAD * least * 2.0 ** min(refusals - 1, 10))


def is_worth_deferring(error: Veo3ApiError) -> bool:
    """Return whether the API asks for a longer pause than a worker is held."""
    return isinstance(error, Veo3RateLimitError) and (error.retry_after or 0.0) > WORTH_DEFERRING


@dataclass(frozen=True)
class BriefRetries(Retries):
    """Retries of reads by a task that can defer: only 429s with a short hint are waited out in the worker.

    A submission is sent with ``ONCE``; ``Submitter._pause_or_raise`` decides on its pauses.
    """

    def pause_after(self, request: ApiRequest, error: Veo3ApiError, attempt: int) -> float | None:
        """Return the seconds until the next try; ``None`` to give up or to defer."""
        return None if is_worth_deferring(error) else super().pause_after(request, error, attempt)
