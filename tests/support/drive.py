"""Flows driven over either transport, on a clock of the test's own."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_provider_veo3.api.transport import AsyncTransport, Endpoint, SyncTransport

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_veo3.api.flows import Flow

KEY = "veo3_thesecretkey"


@dataclass
class Clock:
    """A clock that moves only when a transport sleeps, and records how long.

    :param on_sleep: called with the seconds of each sleep.
    """

    now: float = 1000.0
    slept: list[float] = field(default_factory=list)
    on_sleep: Callable[[float], None] = lambda seconds: None

    @property
    def pauses(self) -> list[float]:
        """The sleeps that took time."""
        return [seconds for seconds in self.slept if seconds]

    def time(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        self.on_sleep(seconds)

    async def sleep_async(self, seconds: float) -> None:
        self.sleep(seconds)


@dataclass(frozen=True)
class Driver:
    """Runs a test's flows over a transport of either kind."""

    kind: str
    clock: Clock = field(default_factory=Clock)

    def __call__(
        self,
        base_url: str,
        *flows: Flow[Any],
        timeout: float = 60.0,
        longest_response: float = 90.0,
        per_minute: float = 6e4,
        key: str = KEY,
    ) -> Any:
        """Run flows one after the other over one transport; return the last one's result."""
        endpoint = Endpoint(base_url, key, timeout, per_minute, longest_response)
        if self.kind == "async":
            return asyncio.run(self._drive_async(endpoint, flows))
        driven = SyncTransport(endpoint, clock=self.clock)
        try:
            return [driven.run(flow) for flow in flows][-1]
        finally:
            driven.close()

    async def _drive_async(self, endpoint: Endpoint, flows: tuple[Flow[Any], ...]) -> Any:
        driven = AsyncTransport(endpoint, clock=self.clock, sleep=self.clock.sleep_async)
        try:
            return [await driven.run(flow) for flow in flows][-1]
        finally:
            await driven.close()
