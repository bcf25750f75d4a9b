"""Trigger that waits out the back-off of a rate-limited submission."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, ClassVar, Final

from airflow.triggers.base import BaseTrigger, TriggerEvent

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from airflow_provider_veo3.api.clock import Clock

LONGEST_SLEEP: Final = 60.0
"""Seconds between two checks of the wall clock, which may have been set meanwhile."""


class Veo3BackoffTrigger(BaseTrigger):
    """Wait until a rate-limited submission may be retried, then resume its task.

    It sends no requests.

    :param until: Unix seconds of the retry; wall clock, so that a restarted triggerer does not start anew.
    :param event: payload that the task resumes with (``RateLimitBackoff.to_event``): plain JSON, nothing
        secret.
    """

    clock: ClassVar[Clock] = time
    """Clock of the wait; tests put another one in its place."""
    sleep = staticmethod(asyncio.sleep)
    """Sleep of the wait, in seconds; tests put another one in its place."""

    def __init__(self, *, until: float, event: dict[str, Any]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.until = until
        self.event = event

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and arguments that recreate this trigger."""
        return (
            f"{type(self).__module__}.{type(self).__qualname__}",
            {"until": self.until, "event": self.event},
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield the one event when the wait is over."""
        while (left := self.until - self.clock.time()) > 0:
            await self.sleep(min(left, LONGEST_SLEEP))
        yield TriggerEvent(self.event)
