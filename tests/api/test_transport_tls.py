"""TLS: whether a submission was sent before a failure, and connections that are broken."""

from __future__ import annotations

import socket
import ssl
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from airflow_provider_veo3 import exceptions as errors
from airflow_provider_veo3.api import flows
from airflow_provider_veo3.api.connections import break_connections
from airflow_provider_veo3.api.request import GenerationRequest
from airflow_provider_veo3.api.retries import Retries, is_transient, was_not_accepted
from airflow_provider_veo3.api.transport import open_file
from tests.support import samples
from tests.support.raw_server import RawServer, reply, running_server
from tests.support.samples import ID
from tests.support.tls import self_signed
from tests.support.until import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.drive import Clock, Driver


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate of 127.0.0.1, signed by itself, and its key, in one file."""
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    path.write_bytes(self_signed())
    return path


@pytest.fixture
def tls_server(certificate: Path) -> Iterator[RawServer]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with running_server(context) as server:
        yield server


@pytest.fixture
def trusted(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.setenv(name, str(certificate))


def submit(url: str) -> flows.Flow[object]:
    return flows.submit(GenerationRequest("text-to-video", "x"), url, {}, Retries(attempts=3))


@pytest.mark.usefixtures("trusted")
def test_a_trusted_server_is_used(tls_server: RawServer, drive: Driver) -> None:
    tls_server.script = [reply(202, samples.ACCEPTED)]
    assert drive(tls_server.url, submit(tls_server.url)).id == ID


def test_a_server_that_is_not_trusted_sees_no_key_and_nothing_was_sent(
    tls_server: RawServer, drive: Driver, clock: Clock
) -> None:
    tls_server.script = [reply(202, samples.ACCEPTED)]
    with pytest.raises(errors.Veo3EnvironmentError, match="CERTIFICATE_VERIFY_FAILED") as caught:
        drive(tls_server.url, submit(tls_server.url))
    assert was_not_accepted(caught.value)
    assert not is_transient(caught.value)
    assert "The request was never sent; no credits were spent." in str(caught.value)
    assert "REQUESTS_CA_BUNDLE" in str(caught.value)
    assert tls_server.received == []
    assert clock.pauses == []


@pytest.mark.usefixtures("trusted")
def test_after_a_tls_error_behind_the_request_it_may_have_been_accepted(
    tls_server: RawServer, drive: Driver, clock: Clock
) -> None:
    def garble(connection: socket.socket) -> None:
        with socket.socket(fileno=connection.detach()) as plain:
            plain.sendall(b"this is no TLS record at all" * 10)

    tls_server.script = [garble]
    with pytest.raises(errors.Veo3NoAnswerError, match="may have been accepted and charged") as caught:
        drive(tls_server.url, submit(tls_server.url))
    assert caught.value.sent is True
    assert len(tls_server.received) == 1
    assert clock.pauses == []


@pytest.mark.usefixtures("trusted")
@pytest.mark.parametrize("is_encrypted", [True, False])
@pytest.mark.parametrize("sent", [None, 3], ids=["no head", "half a body"])
def test_broken_connections_end_a_read_at_once(
    server: RawServer, tls_server: RawServer, is_encrypted: bool, sent: int | None
) -> None:
    host = tls_server if is_encrypted else server

    def stall(connection: socket.socket) -> None:
        if sent is not None:
            reply(200, b"a video", cut=sent)(connection)
        host.hang(connection)

    def read() -> None:
        with open_file(f"{host.url}/a.mp4", timeout=600) as response:
            for _ in response.iter_bytes(1):
                started.set()

    host.script = [stall]
    started = threading.Event()
    with ThreadPoolExecutor() as pool:
        reading = pool.submit(read)
        if sent is None:
            until("the request", lambda: host.received or None)
        else:
            assert started.wait(60)
        break_connections()
        with pytest.raises(errors.Veo3NoAnswerError):
            reading.result(30)
