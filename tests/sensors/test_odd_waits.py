"""Waits of tasks through odd responses and certificates, in a worker and deferred, through Airflow."""

from __future__ import annotations

import ssl
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.support import samples
from tests.support.connections import use_connection
from tests.support.raw_server import reply, running_server
from tests.support.runs import DEFER, TASK, each_wait, paid_once, start, submissions, succeed
from tests.support.tls import self_signed
from tests.support.waits import status_requests, submit

if TYPE_CHECKING:
    import socket
    from pathlib import Path

    from airflow_provider_veo3.emulator import Emulator
    from tests.support.task_runs import Ended


@each_wait
@pytest.mark.parametrize("word", ["finished", "READY", "Done", "levitating"])
def test_a_generation_with_videos_is_completed_whatever_the_word(
    word: str, shape: dict[str, Any], emulator: Emulator
) -> None:
    emulator.configure(completed_word=word)
    ended = start(**shape).attempt(TASK)
    paid_once(emulator, succeed(ended))
    assert ended.manifest["status"] == "completed"


@each_wait
@pytest.mark.parametrize("word", ["expired", "Canceled", "cancelled", "REJECTED", "blocked", "moderation"])
def test_a_word_of_failure_fails_the_task(word: str, shape: dict[str, Any], emulator: Emulator) -> None:
    emulator.configure(failed_word=word)
    emulator.inject({"kind": "fail_generation", "error": "the vendor's reason"})
    ended = start(**shape).attempt(TASK)
    assert ended.error_name == "Veo3GenerationFailedError"
    assert "the vendor's reason" in str(ended.error)


@each_wait
def test_a_timeout_names_the_word_that_is_not_known(shape: dict[str, Any], emulator: Emulator) -> None:
    emulator.configure(processing_seconds=3600, processing_word="levitating")
    ended = start(**shape, timeout=0.3).attempt(TASK)
    assert ended.error_name == "Veo3GenerationTimeoutError"
    assert "the API's word is 'levitating', which is not known" in str(ended.error)


@each_wait
@pytest.mark.parametrize("status", [401, 403, 404, 405, 407, 409, 421, 425, 451, 502])
def test_a_page_of_a_gateway_on_a_poll_is_waited_out(
    status: int, shape: dict[str, Any], emulator: Emulator
) -> None:
    page = {"status": status, "body": "<html>Blocked</html>", "content_type": "text/html"}
    emulator.inject({"kind": "status", "endpoint": "status", "times": 2, **page})
    paid_once(emulator, succeed(start(**shape).attempt(TASK)))
    assert status_requests(emulator) == 3
    assert submissions(emulator) == 1


def wait_for(generation_id: str, *, deferrable: bool) -> Ended:
    """Wait for a generation with a sensor."""
    from airflow.sdk import DAG

    from airflow_provider_veo3.sensors.generation import Veo3GenerationSensor
    from tests.support.task_runs import Run

    with DAG(f"odd_{generation_id}_{deferrable}_{time.monotonic_ns()}") as dag:
        Veo3GenerationSensor(
            task_id="wait",
            generation_id=generation_id,
            deferrable=deferrable,
            poke_interval=0.01,
            retries=3,
        )
    (ended,) = Run(dag).finish().values()
    return ended


@pytest.mark.parametrize("envelope", ["flat", "nested"])
@pytest.mark.parametrize("deferrable", [False, True])
def test_an_unknown_id_inside_a_success_ends_the_wait(
    envelope: str, emulator: Emulator, *, deferrable: bool
) -> None:
    emulator.configure(error_envelope=envelope)
    unknown = {"code": "TASK_NOT_FOUND", "status": 200, "error": "the vendor's words", "times": None}
    emulator.inject({"kind": "refuse", "endpoint": "status", **unknown})
    # its id says that it was accepted long ago
    ended = wait_for("veo_1703123456789_abc123def", deferrable=deferrable)
    assert (ended.error_name, ended.state) == ("Veo3GenerationNotFoundError", "failed")
    assert "the vendor's words" in str(ended.error)
    assert "veo_1703123456789_abc123def" in str(ended.error)
    assert status_requests(emulator) == 1


@pytest.mark.parametrize("envelope", ["flat", "nested"])
@pytest.mark.parametrize("deferrable", [False, True])
@pytest.mark.parametrize(("times", "state"), [(1, "success"), (None, "failed")])
def test_a_failure_inside_a_success_ends_the_wait_once_it_is_confirmed(
    times: int | None, state: str, envelope: str, emulator: Emulator, *, deferrable: bool
) -> None:
    emulator.configure(error_envelope=envelope)
    failed = {"code": "GENERATION_FAILED", "status": 200, "error": "the vendor's words", "times": times}
    emulator.inject({"kind": "refuse", "endpoint": "status", **failed})
    ended = wait_for(submit(), deferrable=deferrable)
    assert ended.state == state
    if state == "failed":
        assert ended.error_name == "Veo3SensorFailedError"
        assert "the vendor's words" in str(ended.error)
    assert status_requests(emulator) == 2


class Renewing:
    """TLS server that answers a submission, then has a certificate that nobody trusts.

    :param folder: place of the certificates; ``trusted.pem`` is the first.
    """

    def __init__(self, folder: Path) -> None:
        self.trusted = folder / "trusted.pem"
        self._renewed = folder / "renewed.pem"
        for path in (self.trusted, self._renewed):
            path.write_bytes(self_signed())
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(self.trusted)

    def accept(self, connection: socket.socket) -> None:
        self.context.load_cert_chain(self._renewed)
        reply(202, samples.ACCEPTED)(connection)


@each_wait
def test_a_certificate_that_cannot_be_verified_ends_a_wait_at_once(
    shape: dict[str, Any], emulator: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
    renewing = Renewing(tmp_path)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(renewing.trusted))
    with running_server(renewing.context) as server:
        server.script = [renewing.accept, reply(500)]
        use_connection(monkeypatch, emulator, host=server.url)
        began = time.monotonic()
        ended = start(timeout=600, **shape).attempt(TASK)
        assert time.monotonic() - began < 60
        assert [request.method for request in server.received] == ["POST"]
        assert server.connections == 2, "one poll, which is not repeated"
    assert (ended.error_name, ended.state) == ("Veo3EnvironmentError", "failed")
    assert "CERTIFICATE_VERIFY_FAILED" in str(ended.error)
    assert f"REQUESTS_CA_BUNDLE='{renewing.trusted}'"[:40] in str(ended.error)
    assert len(ended.events) == (shape is DEFER)
