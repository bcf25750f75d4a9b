"""Requests that the emulator keeps waiting until a test says so, however long that takes."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_veo3.emulator.http.connection import Connection


class Hold:
    """What a fault ``delay`` or ``stall`` keeps waiting goes on at the end of this, and at no other time."""

    def __init__(self) -> None:
        self._over = threading.Event()

    def end(self) -> None:
        """Let everybody go on."""
        self._over.set()

    async def pause(self, connection: Connection) -> None:
        """Keep a request waiting, in the emulator's own thread."""
        while not (self._over.is_set() or connection._stopping.is_set()):  # noqa: ASYNC110 - ends elsewhere
            await asyncio.sleep(0.002)


@pytest.fixture
def hold(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hold]:
    """Keeps whatever a ``delay`` or ``stall`` of an emulator in this process meets."""
    from airflow_provider_veo3.emulator.http.connection import Connection

    held = Hold()
    monkeypatch.setattr(Connection, "pause", lambda connection, _: held.pause(connection))
    yield held
    held.end()
