"""Fixtures of the protocol's tests: a scripted server, and one test body for both transports."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.drive import Clock, Driver
from tests.support.raw_server import RawServer, running_server

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests to loopback go directly, whatever the machine's proxy settings."""
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setenv("no_proxy", "*")


@pytest.fixture
def server() -> Iterator[RawServer]:
    with running_server() as server:
        yield server


@pytest.fixture
def clock() -> Clock:
    """The clock of ``drive``, which moves only when the transport sleeps."""
    return Clock()


@pytest.fixture(params=["sync", "async"])
def drive(request: pytest.FixtureRequest, clock: Clock) -> Driver:
    """Runs flows over a new transport of either kind; returns the last result."""
    return Driver(request.param, clock)
