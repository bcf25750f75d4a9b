"""The demo's client of Airflow's REST API, against a server that has trouble."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from testbed import airflow_api
from testbed.airflow_api import READS_AGAIN, AirflowApi, AirflowApiError

if TYPE_CHECKING:
    from collections.abc import Iterator


class Troubled(BaseHTTPRequestHandler):
    """Signs everybody in, and fails so many calls before one succeeds."""

    failures = 0
    calls = 0

    def _answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        status, body = 200, b'{"access_token": "t", "dags": [{"dag_id": "one"}]}'
        if self.path != "/auth/token":
            type(self).calls += 1
            if type(self).failures:
                type(self).failures -= 1
                status, body = 500, b"database is locked"
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = _answer  # noqa: N815 - names of the library

    def log_message(self, *_: object) -> None:
        """Tell nothing."""


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[AirflowApi]:
    monkeypatch.setattr(airflow_api, "time", SimpleNamespace(sleep=lambda _: None))
    monkeypatch.setattr(Troubled, "calls", 0)
    with ThreadingHTTPServer(("127.0.0.1", 0), Troubled) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        client = AirflowApi(f"http://127.0.0.1:{server.server_port}", "admin", "admin")
        yield client
        client.close()
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("failures", [0, 1, READS_AGAIN])
def test_a_question_is_asked_again(api: AirflowApi, monkeypatch: pytest.MonkeyPatch, failures: int) -> None:
    monkeypatch.setattr(Troubled, "failures", failures)
    assert api.dag_ids() == {"one"}
    assert Troubled.calls == failures + 1


def test_but_not_for_ever(api: AirflowApi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Troubled, "failures", READS_AGAIN + 1)
    with pytest.raises(AirflowApiError, match="500 database is locked"):
        api.dag_ids()


def test_a_command_may_have_been_carried_out_and_is_not_repeated(
    api: AirflowApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Troubled, "failures", 1)
    with pytest.raises(AirflowApiError, match="POST dags/one/dagRuns"):
        api.trigger("one")
    assert Troubled.calls == 1
