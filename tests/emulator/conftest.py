"""Emulators on loopback sockets with a frozen clock, and clients of them."""

from __future__ import annotations

import socket
from contextlib import ExitStack
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from airflow_provider_veo3.emulator import Emulator, FrozenClock, Settings
from tests.support.emulator_client import Client, picture

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture
def connect() -> Iterator[Callable[[Client | Emulator, str | None], Client]]:
    """Make a client of an emulator, or of another client's emulator, with a key or without."""
    with ExitStack() as stack:

        def connected(target: Client | Emulator, key: str | None) -> Client:
            client = Client(target.emulator if isinstance(target, Client) else target, key)
            stack.callback(client.http.close)
            return client

        yield connected


@pytest.fixture
def start(connect: Callable[[Client | Emulator, str | None], Client]) -> Iterator[Callable[..., Client]]:
    """Start an emulator with some settings at a time, and make a client with the default key."""
    with ExitStack() as stack:

        def started(at: str = "2026-01-01T00:00:00Z", **settings: Any) -> Client:
            chosen = Settings(**{"height": 32, "requests_per_minute": None, **settings})
            clock = FrozenClock(datetime.fromisoformat(at).timestamp())
            emulator = stack.enter_context(Emulator(chosen, clock=clock))
            return connect(emulator, emulator.api_key)

        yield started


@pytest.fixture
def api(start: Callable[..., Client]) -> Client:
    """A client of an emulator with default settings, except for the limit per minute."""
    return start()


@pytest.fixture
def png() -> bytes:
    return picture()


@pytest.fixture
def raw_status() -> Callable[[Client, str], int]:
    """Request a path and query of the file host exactly as they are spelled, and return the status."""

    def requested(client: Client, target: str) -> int:
        host = client.emulator.files_url.removeprefix("http://")
        address = urlsplit(client.emulator.files_url)
        with socket.create_connection((address.hostname, address.port), timeout=60) as raw:
            raw.sendall(f"GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
            with raw.makefile("rb") as received:
                return int(received.readline().split()[1])

    return requested
