"""Drive flows over either transport, on a clock of the test's own."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from airflow_provider_veo3.api import transport
from airflow_provider_veo3.api.transport import AsyncTransport, Endpoint, SyncTransport

if TYPE_CHECKING:
    import pytest

    from airflow_provider_veo3.api.flows import Flow

KEY = "veo3_thesecretkey"


@dataclass
class Clock:
    """A clock that moves when the transport sleeps, and writes down how long."""

    now: float = 1000.0
    slept: list[float] = field(default_factory=list)

    @property
    def pauses(self) -> list[float]:
        """The sleeps that took time."""
        return [seconds for seconds in self.slept if seconds]

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    async def sleep_async(self, seconds: float) -> None:
        self.sleep(seconds)

    def put_into(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Replace the names that the transport module, and only it, looks up."""
        clock = SimpleNamespace(sleep=self.sleep, monotonic=lambda: self.now, time=time.time)
        monkeypatch.setattr(transport, "time", clock)
        monkeypatch.setattr(transport, "asyncio", SimpleNamespace(sleep=self.sleep_async))


@dataclass(frozen=True)
class Driver:
    """One test body for both worlds."""

    kind: str

    def __call__(
        self, base_url: str, *flows: Flow[Any], timeout: float = 60.0, per_minute: float = 6e4, key: str = KEY
    ) -> Any:
        """Run flows one after the other over one transport; return the last one's result."""
        endpoint = Endpoint(base_url, key, timeout, per_minute)
        if self.kind == "async":
            return asyncio.run(self._drive_async(endpoint, flows))
        driven = SyncTransport(endpoint)
        try:
            return [driven.run(flow) for flow in flows][-1]
        finally:
            driven.close()

    async def _drive_async(self, endpoint: Endpoint, flows: tuple[Flow[Any], ...]) -> Any:
        driven = AsyncTransport(endpoint)
        try:
            return [await driven.run(flow) for flow in flows][-1]
        finally:
            await driven.close()
