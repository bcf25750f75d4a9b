"""Ask how generations stand until they are done: without blocking for triggers, blocking for workers."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from airflow_provider_veo3.api import flows
from airflow_provider_veo3.api.retries import Retries
from airflow_provider_veo3.exceptions import Veo3Error
from airflow_provider_veo3.hooks.veo3 import Veo3Hook
from airflow_provider_veo3.waiting import Wait, WaitResult

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from airflow_provider_veo3.api.transport import AsyncTransport

log = logging.getLogger(__name__)

CONNECTION_PAUSES = (1.0, 3.0, 9.0, 27.0)
"""Seconds between tries to read the Airflow connection in the triggerer."""

JITTER = 0.1
"""Share of a pause by which looks are spread: tasks deferred together do not ask together."""

LONGEST_JITTER = 10.0
"""Seconds; well below the margin that Airflow's own timeout leaves behind a deadline."""

ONCE = Retries(attempts=1)
"""A look that fails is judged by the wait, which knows its deadline; the call itself does not insist."""


@dataclass
class _Line:
    """The one transport that everyone who waits on a connection in an event loop asks through."""

    opening: asyncio.Task[tuple[Veo3Hook, AsyncTransport]]
    waiters: int = 0

    async def close(self) -> None:
        """Close what has been opened, or stop opening it."""
        self.opening.cancel()
        await asyncio.wait([self.opening])
        if not self.opening.cancelled() and self.opening.exception() is None:
            await self.opening.result()[1].close()


_lines: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, _Line]] = WeakKeyDictionary()


async def wait_for_generation(
    veo3_conn_id: str, generation_id: str, deadline: float, poll_interval: float | None
) -> WaitResult:
    """Wait until a generation has ended or the deadline passes, without blocking the event loop.

    :param deadline: Unix seconds.
    :param poll_interval: seconds between two looks; ``None`` takes the connection's.
    """
    async with _line(veo3_conn_id) as opening:
        try:
            # whoever stops waiting must not stop it for the others
            hook, transport = await asyncio.shield(opening)
        except Veo3Error as error:
            return Wait(generation_id, deadline, 0.0).end_with(error)
        interval = poll_interval or hook.settings.poll_interval
        return await _poll(hook.settings.base_url, transport, Wait(generation_id, deadline, interval))


async def _poll(base_url: str, transport: AsyncTransport, wait: Wait) -> WaitResult:
    verdict: WaitResult | float = wait.first_look(time.time())
    while not isinstance(verdict, WaitResult):
        jitter = random.uniform(0, min(JITTER * verdict, LONGEST_JITTER))  # noqa: S311
        await asyncio.sleep(verdict + jitter)
        try:
            generation = await transport.run(flows.get_generation(wait.generation_id, base_url, ONCE))
        except Veo3Error as error:
            verdict = _judge(wait, error)
        else:
            verdict = wait.on_generation(generation, time.time())
    return verdict


def _judge(wait: Wait, error: Veo3Error) -> WaitResult | float:
    verdict = wait.on_error(error, time.time())
    if not isinstance(verdict, WaitResult):
        log.warning("%s Asking again in %.0f s.", error, verdict)
    return verdict


@asynccontextmanager
async def _line(veo3_conn_id: str) -> AsyncIterator[asyncio.Task[tuple[Veo3Hook, AsyncTransport]]]:
    """Join those who wait on a connection; the first opens the line, the last closes it."""
    lines = _lines.setdefault(asyncio.get_running_loop(), {})
    line = lines.get(veo3_conn_id)
    if line is None:
        line = lines[veo3_conn_id] = _Line(asyncio.create_task(_connect(veo3_conn_id)))
    line.waiters += 1
    try:
        yield line.opening
    finally:
        line.waiters -= 1
        if line.waiters == 0:
            del lines[veo3_conn_id]
            await line.close()


async def _connect(veo3_conn_id: str) -> tuple[Veo3Hook, AsyncTransport]:
    """Read the connection; where Airflow cannot give it just now, ask again for a while.

    A worker has used this connection before the wait began, so that one which is gone in the triggerer most
    likely cannot be read at the moment: Airflow reports both alike.
    """
    hook = Veo3Hook(veo3_conn_id)
    pauses = list(CONNECTION_PAUSES)
    while True:
        try:
            return hook, await hook.aget_conn()
        except Veo3Error:
            raise
        except Exception as error:  # whatever a secrets backend raises
            if not pauses:
                raise Veo3Error(
                    f"The Airflow connection {veo3_conn_id!r} cannot be read in the triggerer: {error}. The "
                    "generation goes on; a retry takes up the wait."
                ) from error
            log.warning("Cannot read the connection %s (%s); trying again.", veo3_conn_id, error)
        await asyncio.sleep(pauses.pop(0))


def wait_blocking(hook: Veo3Hook, wait: Wait) -> WaitResult:
    """Wait in a worker until a generation has ended or the deadline passes."""
    verdict: WaitResult | float = wait.first_look(time.time())
    while not isinstance(verdict, WaitResult):
        time.sleep(verdict)
        verdict = look(hook, wait)
    return verdict


def look(hook: Veo3Hook, wait: Wait) -> WaitResult | float:
    """Ask once: the end of the wait, or the seconds until it makes sense to ask again."""
    try:
        generation = hook.get_conn().run(
            flows.get_generation(wait.generation_id, hook.settings.base_url, ONCE)
        )
    except Veo3Error as error:
        return _judge(wait, error)
    return wait.on_generation(generation, time.time())
