"""Airflow's API server in a process of its own, on the database of the tests, for several users."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final, Self

import httpx

from testbed.local_airflow import CHECKOUT, free_ports, log_tail

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from types import TracebackType

USERS: Final = {"alice": "admin", "bob": "op"}
"""Role of each user; the auth manager of the tests limits one of them."""

START_TIMEOUT: Final = 300.0


class ApiServer:
    """Context manager that runs an API server.

    :param folder: folder for its log.
    :param env: settings on top of the tests' own.
    """

    def __init__(self, folder: Path, env: Mapping[str, str]) -> None:
        (port,) = free_ports(1)
        self.url = f"http://127.0.0.1:{port}"
        self._passwords = {user: f"password of {user}" for user in USERS}
        self._log = folder / "api-server.log"
        passwords = folder / "passwords.json"
        passwords.write_text(json.dumps(self._passwords))
        settings = {
            "AIRFLOW__CORE__AUTH_MANAGER": "tests.support.auth_manager.PerDagAuthManager",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": ",".join(
                f"{name}:{role}" for name, role in USERS.items()
            ),
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(passwords),
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__PORT": str(port),
            "AIRFLOW__API__BASE_URL": self.url,
            "AIRFLOW__API_AUTH__JWT_SECRET": "a secret of the tests, of any length",
            "PYTHONPATH": str(CHECKOUT),
        }
        self._env = os.environ | settings | dict(env)
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        """Start it, and wait until it responds."""
        output = self._stack.enter_context(self._log.open("wb"))
        process = subprocess.Popen(
            [sys.executable, "-m", "airflow", "api-server"],
            env=self._env,
            cwd=self._log.parent,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self._stack.callback(_end, process)
        client = self.client()
        until = time.monotonic() + START_TIMEOUT
        while True:
            try:
                if client.get("/api/v2/version").is_success:
                    return self
            except httpx.TransportError:
                pass
            if process.poll() is not None or time.monotonic() > until:
                self._stack.close()
                raise AssertionError(f"the API server did not start:\n{log_tail(self._log)}")
            time.sleep(0.1)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it."""
        self._stack.close()

    def client(self, user: str | None = None) -> httpx.Client:
        """Return a client that is signed in, or that is not."""
        client = self._stack.enter_context(httpx.Client(base_url=self.url, timeout=120, trust_env=False))
        if user is not None:
            client.headers["Authorization"] = f"Bearer {self.token(user)}"
        return client

    def token(self, user: str) -> str:
        """Return a token of a user."""
        body = {"username": user, "password": self._passwords[user]}
        response = httpx.post(f"{self.url}/auth/token", json=body, timeout=120, trust_env=False)
        response.raise_for_status()
        return str(response.json()["access_token"])


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(timeout=20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
