"""Client of Airflow's REST API."""

from __future__ import annotations

import json
import time
import uuid
from typing import TYPE_CHECKING, Any, Final

import httpx

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

FINISHED_STATES: Final = frozenset({"success", "failed"})
"""States of a DAG run that has ended."""

COMPONENTS_WITH_HEALTH: Final = ("metadatabase", "scheduler", "triggerer", "dag_processor")

RETRIES: Final = 5
"""Retries of a call after a 5xx: Airflow's SQLite file may be locked."""

PAGE_SIZE: Final = 100


class AirflowApiError(Exception):
    """A call that the REST API refused.

    :param status: HTTP status of the response.
    """

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class AirflowApi:
    """Client of ``/api/v2`` that signs in by itself.

    :param url: base URL of the API server.
    :param user: user name of the simple auth manager.
    :param password: password of that user.
    :param sleep: pauses for so many seconds before a call is repeated.
    """

    def __init__(
        self, url: str, user: str, password: str, *, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._login = {"username": user, "password": password}
        self._sleep = sleep
        # Loopback never goes through a proxy, whatever the environment says.
        self._http = httpx.Client(base_url=url, timeout=180, trust_env=False)  # a busy machine is slow

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def is_healthy(self) -> bool:
        """Return whether all components report that they are healthy."""
        try:
            response = self._http.get("/api/v2/monitor/health")
        except httpx.TransportError:
            return False
        if response.status_code != httpx.codes.OK:
            return False
        health = response.json()
        return all((health.get(name) or {}).get("status") == "healthy" for name in COMPONENTS_WITH_HEALTH)

    def responds(self) -> bool:
        """Return whether the API server responds, regardless of the other components."""
        try:
            return self._http.get("/api/v2/version").is_success
        except httpx.TransportError:
            return False

    def call(self, method: str, path: str, *, repeatable: bool | None = None, **kwargs: Any) -> Any:
        """Make a call and return the parsed response.

        :param path: below ``/api/v2/``.
        :param repeatable: whether to repeat the call after a 5xx; by default only a GET.
        :param kwargs: passed to ``httpx.Client.request``.
        """
        if repeatable is None:
            repeatable = method == "GET"
        if "Authorization" not in self._http.headers:
            token = self._http.post("/auth/token", json=self._login)
            token.raise_for_status()
            self._http.headers["Authorization"] = f"Bearer {token.json()['access_token']}"
        response = self._http.request(method, f"/api/v2/{path}", **kwargs)
        for _ in range(RETRIES if repeatable else 0):
            if not response.is_server_error:
                break
            self._sleep(1)
            response = self._http.request(method, f"/api/v2/{path}", **kwargs)
        if response.is_error:
            status = response.status_code
            raise AirflowApiError(f"{method} {path}: {status} {response.text[:500]}", status)
        return response.json()

    def create_pool(self, name: str, slots: int, *, include_deferred: bool) -> None:
        """Create a pool, unless there is one of this name."""
        self._create("pools", {"name": name, "slots": slots, "include_deferred": include_deferred})

    def create_connection(
        self,
        connection_id: str,
        conn_type: str,
        *,
        host: str,
        password: str,
        port: int | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        """Create a connection, unless there is one of this id."""
        body = {"connection_id": connection_id, "conn_type": conn_type, "host": host, "password": password}
        self._create("connections", body | {"port": port, "extra": json.dumps(extra or {})})

    def dag_ids(self) -> set[str]:
        """Return the ids of the DAGs that the DAG processor has parsed so far."""
        return {dag["dag_id"] for dag in self.call("GET", "dags", params={"limit": PAGE_SIZE})["dags"]}

    def import_errors(self) -> list[str]:
        """Return the stack traces of DAG files that could not be parsed."""
        return [error["stack_trace"] for error in self.call("GET", "importErrors")["import_errors"]]

    def trigger(
        self, dag_id: str, conf: Mapping[str, Any] | None = None, *, run_id: str | None = None
    ) -> str:
        """Start a DAG run, unless a run with this id exists, and return the id.

        The id is chosen here, so that the call can be repeated when its response is lost or an error.

        :param run_id: random by default.
        """
        run_id = run_id or f"run_{uuid.uuid4().hex[:12]}"
        body = {"dag_run_id": run_id, "logical_date": None, "conf": dict(conf or {})}
        self._create(f"dags/{dag_id}/dagRuns", body)
        return run_id

    def run_state(self, dag_id: str, run_id: str) -> str:
        """Return the state of a DAG run."""
        return str(self.call("GET", f"dags/{dag_id}/dagRuns/{run_id}")["state"])

    def fail_run(self, dag_id: str, run_id: str) -> None:
        """Mark a DAG run as failed; its tasks that wait for a retry are skipped."""
        self.call("PATCH", f"dags/{dag_id}/dagRuns/{run_id}", json={"state": "failed"}, repeatable=True)

    def task_instances(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        """Return all task instances of a DAG run, one entry per map index."""
        path = f"dags/{dag_id}/dagRuns/{run_id}/taskInstances"
        found: list[dict[str, Any]] = []
        while True:
            page = self.call("GET", path, params={"limit": PAGE_SIZE, "offset": len(found)})
            found += page["task_instances"]
            if not page["task_instances"] or len(found) >= page["total_entries"]:
                return found

    def xcom(
        self, dag_id: str, run_id: str, task_id: str, key: str = "return_value", map_index: int = -1
    ) -> Any:
        """Return the XCom value of a task under a key."""
        path = f"dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/xcomEntries/{key}"
        return self.call("GET", path, params={"map_index": map_index, "stringify": False})["value"]

    def _create(self, path: str, body: Mapping[str, Any]) -> None:
        """Create what the body names, with as many requests as necessary, unless it exists."""
        try:
            self.call("POST", path, json=dict(body), repeatable=True)
        except AirflowApiError as error:
            if error.status != httpx.codes.CONFLICT:
                raise
