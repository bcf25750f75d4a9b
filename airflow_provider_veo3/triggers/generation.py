"""Trigger that waits for a generation, and the deferral to it."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Final, NoReturn

from airflow.triggers.base import BaseTrigger, TriggerEvent

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from airflow_provider_veo3.airflow_names import BaseOperator, Context
    from airflow_provider_veo3.api.clock import Clock

DEFERRAL_MARGIN: Final = 120.0
"""Seconds from our deadline to Airflow's timeout of the deferral, so that our message comes first."""


class Veo3GenerationTrigger(BaseTrigger):
    """Wait for a generation, and report its result in one event (``WaitResult.to_event``).

    It never submits. Transient errors (network, 429, 5xx, unreadable responses) are waited out until the
    deadline; permanent errors (unknown id, refused key) end the wait at once.

    :param generation_id: generation to wait for.
    :param veo3_conn_id: Airflow connection of type ``veo3``.
    :param deadline: Unix seconds at which the wait gives up; wall clock, so that a restarted triggerer does
        not start anew.
    :param poll_interval: seconds between two polls; ``None`` takes the connection's (10 unless set).
    :param accepted_at: Unix seconds when the API accepted the generation, if known: the first poll comes when
        it can have ended.
    :param model: its model, if known, which suggests how long it takes.
    :param try_number: number of the task's try, which is added to the event.
    :param not_before: Unix seconds before which the event is held back; ``None`` never does. Airflow fails a
        task whose trigger fires in the first seconds after the deferral (``EVENT_LAG``).
    """

    clock: ClassVar[Clock] = time
    """Clock of the wait for ``not_before``; tests put another one in its place."""
    sleep = staticmethod(asyncio.sleep)
    """Sleep until ``not_before``, in seconds; tests put another one in its place."""

    def __init__(
        self,
        *,
        generation_id: str,
        veo3_conn_id: str,
        deadline: float,
        poll_interval: float | None = None,
        accepted_at: float | None = None,
        model: str | None = None,
        try_number: int | None = None,
        not_before: float | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.generation_id = generation_id
        self.veo3_conn_id = veo3_conn_id
        self.deadline = deadline
        self.poll_interval = poll_interval
        self.accepted_at = accepted_at
        self.model = model
        self.try_number = try_number
        self.not_before = not_before

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and arguments that recreate this trigger; nothing secret."""
        names = ("accepted_at", "model", "try_number", "not_before")
        optional = {name: getattr(self, name) for name in names}
        return (
            f"{type(self).__module__}.{type(self).__qualname__}",
            {
                "generation_id": self.generation_id,
                "veo3_conn_id": self.veo3_conn_id,
                "deadline": self.deadline,
                "poll_interval": self.poll_interval,
                **{name: value for name, value in optional.items() if value is not None},
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield the one event when the wait is over."""
        from airflow_provider_veo3.polling.shared import wait_for_generation
        from airflow_provider_veo3.triggers.events import EVENT_LAG, with_try_number

        result = await wait_for_generation(
            self.veo3_conn_id,
            self.generation_id,
            self.deadline,
            self.poll_interval,
            accepted_at=self.accepted_at,
            model=self.model,
        )
        self.log.info("%s", result.message)
        if self.not_before is not None:
            await self.sleep(min(EVENT_LAG, max(0.0, self.not_before - self.clock.time())))
        yield TriggerEvent(with_try_number(result.to_event(), self.try_number))

    async def on_kill(self) -> None:
        """Log that the generation continues when a user ends the task (Airflow 3.3+)."""
        self.log.warning(
            "The wait for generation %s was ended. The API has no way to cancel a generation: it goes on and "
            "stays paid for. Store it with Veo3DownloadOperator within 24 hours of its completion.",
            self.generation_id,
        )


def defer_wait(
    task: BaseOperator,
    context: Context,
    generation_id: str,
    veo3_conn_id: str,
    timeout: float,
    *,
    poll_interval: float | None,
    accepted_at: float | None = None,
    model: str | None = None,
    clock: Clock = time,
) -> NoReturn:
    """Defer a task until its generation has ended; it resumes in ``execute_complete``.

    :param timeout: seconds from now until the wait gives up.
    :param poll_interval: seconds between two polls; ``None`` takes the connection's.
    :param accepted_at: Unix seconds when the generation was accepted, if known.
    :param model: its model, if known.
    :param clock: wall clock.
    """
    from airflow_provider_veo3.triggers.events import earliest_event

    now = clock.time()
    task.defer(
        trigger=Veo3GenerationTrigger(
            generation_id=generation_id,
            veo3_conn_id=veo3_conn_id,
            deadline=now + timeout,
            poll_interval=poll_interval,
            accepted_at=accepted_at,
            model=model,
            try_number=context["ti"].try_number,
            not_before=earliest_event(now),
        ),
        method_name="execute_complete",
        timeout=timedelta(seconds=timeout + DEFERRAL_MARGIN),
    )
