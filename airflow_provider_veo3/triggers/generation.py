"""The trigger that waits for a generation in the triggerer."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, NoReturn

from airflow.triggers.base import BaseTrigger, TriggerEvent

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from airflow.providers.common.compat.sdk import BaseOperator, Context

DEFERRAL_MARGIN: Final = 120.0
"""Seconds by which Airflow's own timeout of a deferral lies behind ours, so that our message wins."""


class Veo3GenerationTrigger(BaseTrigger):
    """Wait for a generation and tell its end in one event (``WaitResult.to_event``).

    It only asks and never submits. Passing trouble (network, 429, 5xx, unreadable answers) is waited out
    until the deadline; what will not pass (unknown id, refused key) ends the wait at once.

    :param generation_id: what to wait for.
    :param veo3_conn_id: Airflow connection of type ``veo3``.
    :param deadline: Unix seconds at which the wait gives up; wall clock, so that a restarted triggerer does
        not start anew.
    :param poll_interval: seconds between two looks; ``None`` takes the connection's (10 unless set).
    :param accepted_at: Unix seconds when the API accepted it, if known: nobody asks before it can be done.
    :param model: its model, if known, which tells how long it takes.
    :param try_number: the try of the task that waits, which the event then tells.
    """

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
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.generation_id = generation_id
        self.veo3_conn_id = veo3_conn_id
        self.deadline = deadline
        self.poll_interval = poll_interval
        self.accepted_at = accepted_at
        self.model = model
        self.try_number = try_number

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return what the triggerer needs to make this trigger again: nothing secret."""
        known = {"accepted_at": self.accepted_at, "model": self.model, "try_number": self.try_number}
        return (
            f"{type(self).__module__}.{type(self).__qualname__}",
            {
                "generation_id": self.generation_id,
                "veo3_conn_id": self.veo3_conn_id,
                "deadline": self.deadline,
                "poll_interval": self.poll_interval,
                **{name: value for name, value in known.items() if value is not None},
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield exactly one event."""
        from airflow_provider_veo3.polling.shared import wait_for_generation
        from airflow_provider_veo3.triggers.events import of_try

        result = await wait_for_generation(
            self.veo3_conn_id,
            self.generation_id,
            self.deadline,
            self.poll_interval,
            accepted_at=self.accepted_at,
            model=self.model,
        )
        self.log.info("%s", result.message)
        yield TriggerEvent(of_try(result.to_event(), self.try_number))

    async def on_kill(self) -> None:
        """Say what a person who ends the task should know (Airflow 3.3 and later)."""
        self.log.warning(
            "The wait for generation %s was ended. The API has no way to cancel a generation: it goes on and "
            "stays paid for. Store it with Veo3DownloadOperator within 24 hours of its completion.",
            self.generation_id,
        )


def defer_until_done(
    task: BaseOperator,
    context: Context,
    generation_id: str,
    veo3_conn_id: str,
    timeout: float,
    *,
    poll_interval: float | None,
    accepted_at: float | None = None,
    model: str | None = None,
) -> NoReturn:
    """Hand a task's wait to the triggerer; the task goes on in its ``execute_complete``.

    :param timeout: seconds from now until the wait gives up.
    :param accepted_at: Unix seconds when the generation was accepted, if known.
    :param model: its model, if known.
    """
    task.defer(
        trigger=Veo3GenerationTrigger(
            generation_id=generation_id,
            veo3_conn_id=veo3_conn_id,
            deadline=time.time() + timeout,
            poll_interval=poll_interval,
            accepted_at=accepted_at,
            model=model,
            try_number=context["ti"].try_number,
        ),
        method_name="execute_complete",
        timeout=timedelta(seconds=timeout + DEFERRAL_MARGIN),
    )
