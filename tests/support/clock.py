"""Clock that moves only when someone sleeps on it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field


def _whole_seconds() -> float:
    return float(int(time.time()))


@dataclass
class FakeClock:
    """Clock for code that takes its clock as a parameter or a class attribute.

    :param now: Unix seconds.
    :param slept: seconds of each sleep so far.
    """

    now: float = field(default_factory=_whole_seconds)
    slept: list[float] = field(default_factory=list)

    def time(self) -> float:
        return self.now

    monotonic = time

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    async def sleep_async(self, seconds: float) -> None:
        self.sleep(seconds)
