"""What the tests of the protocol share: a scripted server, and one body for both transports."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.support.drive import Clock, Driver
from tests.support.raw_server import RawServer, running_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Loopback is asked directly, whatever the machine's proxy settings."""
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setenv("no_proxy", "*")


@pytest.fixture
def server() -> Iterator[RawServer]:
    with running_server() as server:
        yield server


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Time that passes only when the transport sleeps."""
    clock = Clock()
    clock.put_into(monkeypatch)
    return clock


@pytest.fixture(params=["sync", "async"])
def drive(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """Runs flows over a fresh transport of either kind, and returns what the last of them returned."""
    return Driver(request.param)
