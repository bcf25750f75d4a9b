"""Object stores on the network, and a VEO3 emulator with files of several parts."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_veo3.emulator import Emulator
    from tests.support.servers import Store

CHOSEN = os.environ.get("STORAGES", "").split()

# The tests need servers and providers that only `make test-storages` installs; it names the stores.
collect_ignore_glob = [] if CHOSEN else ["test_*.py"]


def pytest_configure(config: pytest.Config) -> None:
    """Ignore a warning of the library below Azure's; all other warnings stay errors."""
    config.addinivalue_line("filterwarnings", "ignore:Sending a large body directly:ResourceWarning")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each test on each chosen store, one store after the other."""
    if "_server" in metafunc.fixturenames:
        without = getattr(metafunc.function, "without", ())
        wanted = [name for name in CHOSEN if name not in without]
        metafunc.parametrize("_server", wanted, indirect=True, scope="session")


@pytest.fixture(scope="session")
def _server(request: pytest.FixtureRequest) -> Iterator[Store]:
    """Running store; one that cannot start fails its tests with the reason."""
    from tests.support import servers

    # else gcsfs asks over gRPC, and TLS, what kind of bucket it is, which an emulator does not speak
    os.environ["GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT"] = "false"
    with servers.STORES[request.param]() as store:
        yield store


@pytest.fixture
def store(_server: Store, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """An empty bucket, and the Airflow connection to it."""
    from airflow.sdk.io.store import _STORE_CACHE

    from tests.support import servers

    _server.clear()
    monkeypatch.setenv(*servers.environment(_server))
    yield _server
    _STORE_CACHE.clear()


@pytest.fixture
def files(emulator: Emulator) -> Any:
    """Function that sets the size of the emulator's files."""
    return lambda size: emulator.configure(file_size=size)
