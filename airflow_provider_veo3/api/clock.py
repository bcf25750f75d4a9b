"""Wall clock that can sleep; tests put another one in its place."""

from __future__ import annotations

import time
from typing import Final


class Clock:
    """The system's clock."""

    def time(self) -> float:
        """Return the time in Unix seconds."""
        return time.time()

    def sleep(self, seconds: float) -> None:
        """Block for so many seconds."""
        time.sleep(seconds)


SYSTEM_CLOCK: Final = Clock()
