"""PostgreSQL and Redis for one campaign or benchmark, with their files in a temporary folder."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from testbed.processes import end_process, log_tail

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

INSTALL_HINT: Final = "on Debian and Ubuntu: apt-get install redis-server postgresql"
REDIS_PROGRAMS: Final = ("redis-server", "redis-cli")
POSTGRES_PROGRAMS: Final = ("initdb", "postgres", "psql", "createdb")

POSTGRES_FOLDERS: Final = (
    "usr/lib/postgresql/*/bin",  # Debian
    "usr/pgsql-*/bin",  # Red Hat
    "opt/homebrew/opt/postgresql@*/bin",
)
"""Folders of PostgreSQL's programs where they are not on the ``PATH``."""

POSTGRES_USERS: Final = ("postgres", "nobody")
"""Users to run PostgreSQL when this process is root, as which it refuses to run."""

START_TIMEOUT: Final = 120.0
"""Seconds in which a server must be ready."""


class MissingServerError(Exception):
    """A server that a campaign or benchmark needs and that is not installed."""


class ServerDidNotStartError(Exception):
    """A server that ended or was not ready in time; the message has its log."""


def find_program(name: str) -> str:
    """Return the path of a program, which need not be on the ``PATH``.

    :raises MissingServerError: the program is not installed.
    """
    found = shutil.which(name)
    for pattern in POSTGRES_FOLDERS:
        for path in sorted(Path("/").glob(f"{pattern}/{name}"), reverse=True):
            found = found or str(path)
    if found is None:
        raise MissingServerError(f"{name} is not installed, and is needed ({INSTALL_HINT})")
    return found


def check_installed(names: Iterable[str] = (*REDIS_PROGRAMS, *POSTGRES_PROGRAMS)) -> None:
    """Check that programs are installed.

    :raises MissingServerError: a program is not installed.
    """
    for name in names:
        find_program(name)


class Server:
    """A server process, ready when its constructor returns.

    :param command: command that runs the server in the foreground.
    :param probe: command that succeeds once the server is ready.
    :param folder: working directory of the server.
    :param log: receives the server's output.
    :param user: user to run as; by default the current one.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        probe: Sequence[str],
        folder: Path,
        log: Path,
        user: str | None = None,
    ) -> None:
        self._log = log.open("wb")
        self._process = subprocess.Popen(
            command,
            cwd=folder,
            user=user,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            start_new_session=True,
        )
        deadline = time.monotonic() + START_TIMEOUT
        while not _succeeds(probe):
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise ServerDidNotStartError(f"{Path(command[0]).name}: {log_tail(log)}")
            time.sleep(0.1)

    def stop(self) -> None:
        """End the server."""
        end_process(self._process)
        self._log.close()


class Redis(Server):
    """A Redis server without persistence.

    :param logs: folder for its log.
    :param port: a free port.
    """

    def __init__(self, logs: Path, port: int) -> None:
        program, client = (find_program(name) for name in REDIS_PROGRAMS)
        self.url = f"redis://127.0.0.1:{port}/0"
        super().__init__(
            [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"],
            probe=[client, "-h", "127.0.0.1", "-p", str(port), "ping"],
            folder=logs,
            log=logs / "redis.log",
        )


class Postgres(Server):
    """A PostgreSQL server with a database ``airflow`` for a user ``airflow`` without a password.

    :param folder: folder for its files, which is created.
    :param logs: folder for its log.
    :param port: a free port.
    """

    def __init__(self, folder: Path, logs: Path, port: int) -> None:
        initdb, postgres, psql, createdb = (find_program(name) for name in POSTGRES_PROGRAMS)
        user = _unprivileged_user()
        folder.mkdir()
        if user:
            shutil.chown(folder, user)
        data = str(folder / "data")
        self.url = f"postgresql+psycopg2://airflow@127.0.0.1:{port}/airflow"
        created = subprocess.run(
            [initdb, "-D", data, "-U", "airflow", "-A", "trust", "-E", "UTF8", "--no-sync", "--locale=C"],
            cwd="/",
            user=user,
            capture_output=True,
            text=True,
            check=False,
            env=os.environ | {"HOME": str(folder)},
        )
        if created.returncode:
            raise ServerDidNotStartError(f"initdb: {created.stdout}{created.stderr}")
        options = {
            "fsync": "off",  # PostgreSQL is not killed, so its data need not survive a crash
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "max_connections": "200",
        }
        settings = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
        address = ["-h", "127.0.0.1", "-p", str(port), "-U", "airflow"]
        super().__init__(
            [postgres, "-D", data, "-p", str(port), *settings],
            probe=[psql, *address, "-d", "postgres", "-c", "SELECT 1"],
            folder=Path("/"),
            log=logs / "postgres.log",
            user=user,
        )
        subprocess.run([createdb, *address, "airflow"], check=True, stdin=subprocess.DEVNULL)


def _unprivileged_user() -> str | None:
    """Return the user that runs PostgreSQL instead of root; ``None`` without root."""
    if os.geteuid() != 0:
        return None
    for name in POSTGRES_USERS:
        try:
            pwd.getpwnam(name)
        except KeyError:
            continue
        return name
    raise MissingServerError(
        f"PostgreSQL does not run as root, and there is no user {' or '.join(POSTGRES_USERS)} to run it as"
    )


def _succeeds(command: Sequence[str]) -> bool:
    return subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL, check=False).returncode == 0
