"""Clock of everything that waits; tests put another in the place of Python's ``time``."""

from __future__ import annotations

from typing import Protocol


class Clock(Protocol):
    """Clock that can sleep, such as the module ``time``."""

    def time(self) -> float:
        """Return the time in Unix seconds."""

    def monotonic(self) -> float:
        """Return seconds that never go back, from any origin."""

    def sleep(self, seconds: float, /) -> None:
        """Block for so many seconds."""
