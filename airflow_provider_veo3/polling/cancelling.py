"""End asyncio tasks for certain."""

from __future__ import annotations

import asyncio
from typing import Any, Final

AGAIN: Final = 0.25
"""Seconds after which a task that goes on is told again."""


async def cancel(*tasks: asyncio.Task[Any]) -> None:
    """Cancel tasks, and wait until they are over.

    A cancellation can be lost: the anyio that came with Airflow 3.0 swallows one that arrives in the moment a
    connection is made, and the task would ask on and on for nobody.
    """
    going_on = set(tasks)
    while going_on:
        for task in going_on:
            task.cancel()
        _, going_on = await asyncio.wait(going_on, timeout=AGAIN)
