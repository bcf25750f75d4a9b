"""The trigger that stays away from an API which refuses for now."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

LONGEST_SLEEP = 60.0
"""Seconds; the wall clock may be set meanwhile."""


class Veo3BackoffTrigger(BaseTrigger):
    """Wait for a point in time, and send the task back to its worker with what it shall remember.

    It asks nobody anything and submits nothing.

    :param until: Unix seconds at which the task is to try again; wall clock, so that a restarted or another
        triggerer goes on with the same wait.
    :param event: what the task reads when it goes on (``Admission.to_event``): plain JSON, nothing secret.
    """

    def __init__(self, *, until: float, event: dict[str, Any]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.until = until
        self.event = event

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return what the triggerer needs to make this trigger again."""
        return (
            f"{type(self).__module__}.{type(self).__qualname__}",
            {"until": self.until, "event": self.event},
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield exactly one event."""
        while (left := self.until - time.time()) > 0:  # noqa: ASYNC110 - it is the time that is waited for
            await asyncio.sleep(min(left, LONGEST_SLEEP))
        yield TriggerEvent(self.event)
