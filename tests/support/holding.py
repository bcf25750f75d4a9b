"""Requests that the emulator holds until a test releases them."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_veo3.emulator.http.connection import Connection


class Hold:
    """A hold on every request that meets a fault ``delay`` or ``stall``."""

    def __init__(self) -> None:
        self._over = threading.Event()

    def end(self) -> None:
        """Release the held requests."""
        self._over.set()

    async def pause(self, connection: Connection) -> None:
        """Wait in the emulator's thread for the release, or for the end of the emulator."""
        while not (self._over.is_set() or connection.stopping.is_set()):  # noqa: ASYNC110 - ends elsewhere
            await asyncio.sleep(0.002)


@pytest.fixture
def hold(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hold]:
    """A hold in every emulator of this process, in place of the seconds of the fault."""
    from airflow_provider_veo3.emulator.http.connection import Connection

    held = Hold()
    monkeypatch.setattr(Connection, "pause", lambda connection, _: held.pause(connection))
    yield held
    held.end()
