"""PostgreSQL and Redis of our own: on free ports, in a temporary folder, gone when the campaign is over."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

INSTALL: Final = "on Debian and Ubuntu: apt-get install redis-server postgresql"
REDIS: Final = ("redis-server", "redis-cli")
POSTGRES: Final = ("initdb", "postgres", "psql", "createdb")
PLACES: Final = (
    "usr/lib/postgresql/*/bin",  # Debian
    "usr/pgsql-*/bin",  # Red Hat
    "opt/homebrew/opt/postgresql@*/bin",
)
"""Where programs of PostgreSQL lie that are not on the ``PATH``."""

UNPRIVILEGED: Final = ("postgres", "nobody")
"""Whom PostgreSQL runs as when we are root, which it refuses."""

START: Final = 120.0
"""Seconds a server gets to start."""


class MissingServerError(Exception):
    """A server that the distributed campaign needs is not installed."""


class ServerDidNotStartError(Exception):
    """A server ended early or did not answer; the message carries what it said."""


def find_program(name: str) -> str:
    """Give the path of a program, which need not be on the ``PATH``.

    :raises MissingServerError: it is not installed.
    """
    found = shutil.which(name)
    for pattern in PLACES:
        for path in sorted(Path("/").glob(f"{pattern}/{name}"), reverse=True):
            found = found or str(path)
    if found is None:
        raise MissingServerError(f"{name} is needed and not installed ({INSTALL})")
    return found


def check_installed() -> None:
    """Raise before anything is started, rather than after minutes."""
    for name in (*REDIS, *POSTGRES):
        find_program(name)


class Redis:
    """A Redis that keeps nothing.

    :param folder: where its log goes.
    :param port: a free one.
    """

    def __init__(self, folder: Path, port: int) -> None:
        program, client = (find_program(name) for name in REDIS)
        self.url = f"redis://127.0.0.1:{port}/0"
        words = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        self._log = (folder / "redis.log").open("wb")
        self._process = subprocess.Popen(
            words,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            start_new_session=True,
        )
        ping = [client, "-h", "127.0.0.1", "-p", str(port), "ping"]
        _until("Redis", folder / "redis.log", self._process, lambda: _succeeds(ping))

    def stop(self) -> None:
        """End it."""
        _end(self._process)
        self._log.close()


class Postgres:
    """A PostgreSQL with one database, ``airflow``, for one user who needs no password on loopback.

    :param folder: a folder of its own; its files go to it.
    :param port: a free one.
    """

    def __init__(self, folder: Path, port: int) -> None:
        initdb, postgres, psql, createdb = (find_program(name) for name in POSTGRES)
        self._user = _unprivileged()
        folder.mkdir()
        if self._user:
            shutil.chown(folder, self._user)
        data = folder / "data"
        self.url = f"postgresql+psycopg2://airflow@127.0.0.1:{port}/airflow"
        made = subprocess.run(
            [
                initdb,
                "-D",
                str(data),
                "-U",
                "airflow",
                "-A",
                "trust",
                "-E",
                "UTF8",
                "--no-sync",
                "--locale=C",
            ],
            cwd="/",
            user=self._user,
            capture_output=True,
            text=True,
            check=False,
            env=os.environ | {"HOME": str(folder)},
        )
        if made.returncode:
            raise ServerDidNotStartError(f"initdb: {made.stdout}{made.stderr}")
        # Its own crash is not what we test; what dies is Airflow.
        options = {
            "fsync": "off",
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "max_connections": "200",
        }
        words = [postgres, "-D", str(data), "-p", str(port)]
        words += [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
        self._log = (folder / "postgres.log").open("wb")
        self._process = subprocess.Popen(
            words,
            cwd="/",
            user=self._user,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            start_new_session=True,
        )
        where = ["-h", "127.0.0.1", "-p", str(port), "-U", "airflow"]
        ask = [psql, *where, "-d", "postgres", "-c", "SELECT 1"]
        _until("PostgreSQL", folder / "postgres.log", self._process, lambda: _succeeds(ask))
        subprocess.run([createdb, *where, "airflow"], check=True, stdin=subprocess.DEVNULL)

    def stop(self) -> None:
        """End it."""
        _end(self._process)
        self._log.close()


def _unprivileged() -> str | None:
    """Name whom to run as instead of root; ``None`` when we are somebody else anyway."""
    if os.geteuid() != 0:
        return None
    for name in UNPRIVILEGED:
        try:
            pwd.getpwnam(name)
        except KeyError:
            continue
        return name
    raise MissingServerError(
        f"PostgreSQL does not run as root, and there is no user {' or '.join(UNPRIVILEGED)}"
    )


def _succeeds(words: Sequence[str]) -> bool:
    return subprocess.run(words, capture_output=True, stdin=subprocess.DEVNULL, check=False).returncode == 0


def _until(name: str, log: Path, process: subprocess.Popen[bytes], ready: Callable[[], bool]) -> None:
    deadline = time.monotonic() + START
    while not ready():
        if process.poll() is not None or time.monotonic() > deadline:
            _end(process)
            raise ServerDidNotStartError(f"{name}: {log.read_text(errors='replace')[-2000:]}")
        time.sleep(0.1)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
