"""The client of Airflow's REST API, against a server that responds with errors."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest

from testbed.airflow_api import RETRIES, AirflowApi, AirflowApiError
from testbed.local_airflow import DagImportError, LocalAirflow

if TYPE_CHECKING:
    from collections.abc import Iterator

TASKS = [f"task_{number}" for number in range(250)]


NAMES = {"dagRuns": "dag_run_id", "pools": "name", "connections": "connection_id"}
"""Field of the id of what is created, by the end of the path."""


class Server(ThreadingHTTPServer):
    """API server whose next calls fail.

    :param failures: number of calls that fail with 500 before one succeeds.
    :param fails_after_creating: whether a failing call creates what its body names nevertheless.
    :param calls: number of calls so far, without those for a token.
    :param created: ids of the DAG runs, pools and connections so far.
    :param import_errors: stack traces of DAG files.
    """

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.failures = 0
        self.fails_after_creating = False
        self.calls = 0
        self.created: list[str] = []
        self.import_errors: list[str] = []


class Handler(BaseHTTPRequestHandler):
    server: Server

    def _respond(self) -> None:
        sent = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        failing = False
        if self.path != "/auth/token":
            self.server.calls += 1
            failing = self.server.failures > 0
            self.server.failures -= failing
        status, body = 200, json.dumps(self._result()).encode()
        name = NAMES.get(self.path.rpartition("/")[2])
        if name is not None and (not failing or self.server.fails_after_creating):
            status = self._create(json.loads(sent)[name])
        if failing:
            status, body = 500, b"database is locked"
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = _respond  # noqa: N815 - names of the library

    def _create(self, name: str) -> int:
        if name in self.server.created:
            return 409
        self.server.created.append(name)
        return 200

    def _result(self) -> object:
        url = urlsplit(self.path)
        if url.path.endswith("/taskInstances"):
            query = {name: int(values[0]) for name, values in parse_qs(url.query).items()}
            page = TASKS[query["offset"] : query["offset"] + query["limit"]]
            return {"task_instances": [{"task_id": name} for name in page], "total_entries": len(TASKS)}
        if url.path.endswith("/importErrors"):
            return {"import_errors": [{"stack_trace": trace} for trace in self.server.import_errors]}
        return {"access_token": "t", "dags": [{"dag_id": "one"}]}

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def pauses() -> list[float]:
    return []


@pytest.fixture
def api(server: Server, pauses: list[float]) -> Iterator[AirflowApi]:
    client = AirflowApi(f"http://127.0.0.1:{server.server_port}", "admin", "admin", sleep=pauses.append)
    yield client
    client.close()


@pytest.mark.parametrize("failures", [0, 1, RETRIES])
def test_a_get_is_repeated_after_a_server_error(
    api: AirflowApi, server: Server, pauses: list[float], failures: int
) -> None:
    server.failures = failures
    assert api.dag_ids() == {"one"}
    assert server.calls == failures + 1
    assert pauses == [1.0] * failures


def test_a_get_is_not_repeated_for_ever(api: AirflowApi, server: Server) -> None:
    server.failures = RETRIES + 1
    with pytest.raises(AirflowApiError, match="500 database is locked") as error:
        api.dag_ids()
    assert error.value.status == 500


def test_a_post_may_have_been_carried_out_and_is_not_repeated(api: AirflowApi, server: Server) -> None:
    server.failures = 1
    with pytest.raises(AirflowApiError, match="POST pools"):
        api.call("POST", "pools", json={"name": "veo3"})
    assert server.calls == 1


@pytest.mark.parametrize("is_created", [False, True])
def test_a_pool_and_a_connection_are_created_once_although_the_first_response_is_an_error(
    api: AirflowApi, server: Server, is_created: bool
) -> None:
    server.fails_after_creating = is_created
    for create in (
        lambda: api.create_pool("veo3", 5, include_deferred=True),
        lambda: api.create_connection("veo3_default", "veo3", host="127.0.0.1", password="secret"),
    ):
        server.failures = 1
        create()
    assert server.created == ["veo3", "veo3_default"]
    assert server.calls == 4


def test_a_run_is_started_once_although_the_first_response_is_an_error(
    api: AirflowApi, server: Server
) -> None:
    server.failures = 1
    server.fails_after_creating = True
    assert server.created == [api.trigger("one")]
    assert server.calls == 2
    assert api.trigger("one") not in server.created[:1]
    assert len(server.created) == 2


def test_a_run_that_cannot_be_started_is_an_error(api: AirflowApi, server: Server) -> None:
    server.failures = RETRIES + 1
    with pytest.raises(AirflowApiError, match="POST dags/one/dagRuns: 500"):
        api.trigger("one")
    assert server.created == []


def test_all_pages_of_task_instances_are_read(api: AirflowApi, server: Server) -> None:
    assert [task["task_id"] for task in api.task_instances("one", "run")] == TASKS
    assert server.calls == 3


@pytest.fixture
def airflow(api: AirflowApi) -> Iterator[LocalAirflow]:
    """Airflow whose API server is ours, without processes."""
    airflow = LocalAirflow({})
    airflow._api = api
    yield airflow
    airflow.__exit__(None, None, None)


def test_a_dag_file_that_cannot_be_imported_ends_the_wait_for_its_dags(
    airflow: LocalAirflow, server: Server
) -> None:
    server.import_errors = ["NameError: name 'dga' is not defined", "ImportError: no such module"]
    with pytest.raises(
        DagImportError, match=r"(?s)no DAGs \['two'\] in .*'dga' is not defined\nImportError: no"
    ):
        airflow.wait_for_dags(["one", "two"])
    assert server.calls == 2


def test_an_error_of_another_file_does_not_matter_once_the_dags_are_there(
    airflow: LocalAirflow, server: Server
) -> None:
    server.import_errors = ["NameError: name 'dga' is not defined"]
    airflow.wait_for_dags(["one"])
    assert server.calls == 1
