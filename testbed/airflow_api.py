"""The few calls of Airflow's REST API that the demo and the end-to-end tests need."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

import httpx

if TYPE_CHECKING:
    from collections.abc import Mapping

FINISHED: Final = frozenset({"success", "failed"})

READS_AGAIN: Final = 5
"""Times that a question is asked again after a 5xx: one of Airflow's own writers may hold its SQLite file."""


class NotReadyError(Exception):
    """Airflow was used before it was healthy."""


class AirflowApiError(Exception):
    """The REST API refused a call."""


class RunTimeoutError(Exception):
    """A DAG run did not end in time."""


class AirflowApi:
    """A signed-in client for ``/api/v2``.

    :param url: where the API server answers.
    :param user: user name of the simple auth manager.
    :param password: that user's password.
    """

    def __init__(self, url: str, user: str, password: str) -> None:
        self._login = {"username": user, "password": password}
        # Loopback never goes through a proxy, whatever the environment says.
        self._http = httpx.Client(base_url=url, timeout=180, trust_env=False)  # a busy machine is slow

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def healthy(self) -> bool:
        """Say whether every component has reported to be well."""
        try:
            answer = self._http.get("/api/v2/monitor/health")
        except httpx.TransportError:
            return False
        if answer.status_code != httpx.codes.OK:
            return False
        parts = answer.json()
        return all(
            (parts.get(part) or {}).get("status") == "healthy"
            for part in ("metadatabase", "scheduler", "triggerer", "dag_processor")
        )

    def answers(self) -> bool:
        """Say whether the API server answers, however the others are."""
        try:
            return self._http.get("/api/v2/version").is_success
        except httpx.TransportError:
            return False

    def call(self, method: str, path: str, **kwargs: Any) -> Any:
        """Make one call and give the parsed answer."""
        if "Authorization" not in self._http.headers:
            token = self._http.post("/auth/token", json=self._login)
            token.raise_for_status()
            self._http.headers["Authorization"] = f"Bearer {token.json()['access_token']}"
        answer = self._http.request(method, f"/api/v2/{path}", **kwargs)
        for _ in range(READS_AGAIN if method == "GET" else 0):
            if not answer.is_server_error:
                break
            time.sleep(1)
            answer = self._http.request(method, f"/api/v2/{path}", **kwargs)
        if answer.is_error:
            raise AirflowApiError(f"{method} {path}: {answer.status_code} {answer.text[:500]}")
        return answer.json()

    def set_pool(self, name: str, slots: int, *, include_deferred: bool) -> None:
        """Create a pool."""
        self.call("POST", "pools", json={"name": name, "slots": slots, "include_deferred": include_deferred})

    def add_connection(
        self, connection_id: str, conn_type: str, *, host: str, password: str, port: int | None = None
    ) -> None:
        """Create a connection."""
        body = {"connection_id": connection_id, "conn_type": conn_type, "host": host, "password": password}
        self.call("POST", "connections", json=body | {"port": port})

    def dag_ids(self) -> set[str]:
        """Name the DAGs that have been read so far."""
        return {dag["dag_id"] for dag in self.call("GET", "dags", params={"limit": 100})["dags"]}

    def import_errors(self) -> list[str]:
        """Give what went wrong while DAG files were read."""
        return [error["stack_trace"] for error in self.call("GET", "importErrors")["import_errors"]]

    def trigger(self, dag_id: str, conf: Mapping[str, Any] | None = None) -> str:
        """Start a run and give its id."""
        body = {"logical_date": None, "conf": dict(conf or {})}
        return str(self.call("POST", f"dags/{dag_id}/dagRuns", json=body)["dag_run_id"])

    def run_state(self, dag_id: str, run_id: str) -> str:
        """Give the state of a run."""
        return str(self.call("GET", f"dags/{dag_id}/dagRuns/{run_id}")["state"])

    def task_instances(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        """Give the task instances of a run, mapped ones each by itself, as the API describes them."""
        path = f"dags/{dag_id}/dagRuns/{run_id}/taskInstances"
        found: list[dict[str, Any]] = self.call("GET", path, params={"limit": 100})["task_instances"]
        return found

    def xcom(
        self, dag_id: str, run_id: str, task_id: str, key: str = "return_value", map_index: int = -1
    ) -> Any:
        """Give the value that a task left under a key."""
        path = f"dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/xcomEntries/{key}"
        return self.call("GET", path, params={"map_index": map_index, "stringify": False})["value"]
