"""Waiting for events in a real Airflow."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

WAIT: Final = 600
"""Seconds that are enough for any event, on a busy machine too."""


def until(description: str, poll: Callable[[], T | None]) -> T:
    """Poll until there is a result, and return it.

    :param description: of the event, for the failure.
    :param poll: returns ``None`` if the event has not come yet.
    """
    deadline = time.monotonic() + WAIT
    while (result := poll()) is None:
        assert time.monotonic() < deadline, f"{description}: not within {WAIT} seconds"
        time.sleep(0.5)  # each poll costs Airflow's API time that the event needs
    return result
