"""Wait for what a real Airflow does in its own time."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

WAIT: Final = 600
"""Seconds after which it will not come any more, on a busy machine too."""


def until(what: str, ask: Callable[[], T | None]) -> T:
    """Ask until there is an answer."""
    deadline = time.monotonic() + WAIT
    while (answer := ask()) is None:
        assert time.monotonic() < deadline, f"{what}: not within {WAIT} seconds"
        time.sleep(0.2)
    return answer
