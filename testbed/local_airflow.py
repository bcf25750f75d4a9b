"""A private Airflow on this machine: scheduler, DAG processor, triggerer and API server.

Four processes of its own instead of ``airflow standalone``, which starts the same four, but finds them on
the ``PATH``, mixes their output and cannot be told where each writes its log. Everything lives in one home
folder: nothing of an Airflow that is already installed or running here is read, changed or disturbed.
"""

from __future__ import annotations

import os
import random
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from base64 import urlsafe_b64encode
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self, TypeVar

import psutil

from testbed.airflow_api import AirflowApi, NotReadyError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from types import TracebackType
    from typing import IO

T = TypeVar("T")

COMPONENTS: Final = ("api-server", "dag-processor", "scheduler", "triggerer")
CHECKOUT: Final = Path(__file__).resolve().parent.parent
EXAMPLE_DAGS: Final = CHECKOUT / "example_dags"
POOL: Final = "veo3"


class AirflowDidNotStartError(Exception):
    """A component ended early or did not become healthy in time; the message carries the end of its log."""


class LocalAirflow:
    """Start Airflow on entry, end every process of it on exit.

    :param env: environment for all components, and thereby for the tasks: connections, ``VEO3_…`` and so on.
    :param dags_folder: where the DAG files lie.
    :param pool_slots: size of the pool ``veo3``, whose slots deferred tasks occupy too.
    :param components: what to start: a name for each, and the words of its ``airflow`` command.
    :param keep_home: leave the home folder behind. It is always left behind after an error.
    """

    def __init__(
        self,
        env: Mapping[str, str],
        *,
        dags_folder: Path = EXAMPLE_DAGS,
        pool_slots: int = 5,
        components: Mapping[str, Sequence[str]] | None = None,
        keep_home: bool = False,
    ) -> None:
        self.dags_folder = dags_folder
        self.pool_slots = pool_slots
        self.components = components or {name: (name,) for name in COMPONENTS}
        self.keep_home = keep_home
        self.user = "admin"
        self.password = secrets.token_urlsafe(9)
        self.home = Path(tempfile.mkdtemp(prefix="veo3 airflow "))
        api_port, worker_log_port, trigger_log_port = free_ports(3)
        self.url = f"http://127.0.0.1:{api_port}"
        self.env = (
            _clean_environment() | self._settings(api_port, worker_log_port, trigger_log_port) | dict(env)
        )
        self.processes: dict[str, psutil.Popen] = {}
        self._open_logs = ExitStack()
        self._api: AirflowApi | None = None

    @property
    def api(self) -> AirflowApi:
        """The REST API, once Airflow is healthy."""
        if self._api is None:
            raise NotReadyError(self.url)
        return self._api

    def __enter__(self) -> Self:
        """Start it, and wait until it is healthy."""
        try:
            self._start()
        except BaseException as error:  # Ctrl-C too
            self.__exit__(type(error), error, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it; its home goes too, unless an error left something there to look into."""
        self.stop()
        failed = kind is not None and issubclass(kind, Exception)  # Ctrl-C is no failure
        if failed:
            print(f"Airflow's logs are in {self.home}", file=sys.stderr)
        elif not self.keep_home:
            shutil.rmtree(self.home, ignore_errors=True)

    def alive(self) -> None:
        """Raise with the end of its log if a component has ended by itself."""
        for name, process in self.processes.items():
            if process.poll() is not None:
                raise AirflowDidNotStartError(
                    f"Airflow's {name} ended with status {process.returncode}:\n{tail(self.log_file(name))}"
                )

    def wait_for_dags(self, dag_ids: Iterable[str]) -> None:
        """Wait until the DAG processor has read these DAGs."""
        wanted = set(dag_ids)
        self._until(f"read {sorted(wanted)}", lambda: wanted <= self.api.dag_ids() or None)

    def log_file(self, component: str) -> Path:
        """Where a component writes what it has to say."""
        return self.home / f"{component}.log"

    def launch(self, name: str) -> None:
        """Start a component; what it says is added to its log."""
        self.processes[name] = psutil.Popen(
            [sys.executable, "-m", "airflow", *self.components[name]],
            env=self.env,
            cwd=self.home,
            stdin=subprocess.DEVNULL,
            stdout=self._log(name),
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C is for us: we end them in order
        )

    def stop(self) -> None:
        """End every process that this object started, and what those started, by process id."""
        if self._api is not None:
            self._api.close()
        # Airflow puts each task into a process group of its own, out of reach of a signal to the component's.
        family: list[psutil.Process] = []
        for process in self.processes.values():
            if process.poll() is None:
                family += [process, *process.children(recursive=True)]
        try:
            for process in self.processes.values():
                if process.poll() is None:
                    process.terminate()
            _, left = psutil.wait_procs(family, timeout=3)  # the triggerer would take 12
        except KeyboardInterrupt:  # a second Ctrl-C: at once, then
            left = family
        for member in left:
            if member.is_running():
                member.kill()
        psutil.wait_procs(left, timeout=10)
        self._open_logs.close()

    def _start(self) -> None:
        (self.home / "passwords.json").write_text(f'{{"{self.user}": "{self.password}"}}\n')
        migration = subprocess.run(
            [sys.executable, "-m", "airflow", "db", "migrate"],
            env=self.env,
            cwd=self.home,
            stdin=subprocess.DEVNULL,
            stdout=self._log("migrate"),
            stderr=subprocess.STDOUT,
            check=False,
        )
        if migration.returncode:
            log = tail(self.log_file("migrate"))
            raise AirflowDidNotStartError(
                f"`airflow db migrate` ended with status {migration.returncode}:\n{log}"
            )
        for name in self.components:
            self.launch(name)
        self._api = self._until("be healthy", self._healthy_api)
        self._api.set_pool(POOL, self.pool_slots, include_deferred=True)

    def _healthy_api(self) -> AirflowApi | None:
        api = AirflowApi(self.url, self.user, self.password)
        if api.healthy():
            return api
        api.close()
        return None

    def _until(self, what: str, ask: Callable[[], T | None], timeout: float = 400) -> T:
        deadline = time.monotonic() + timeout
        while (answer := ask()) is None:
            self.alive()
            if time.monotonic() > deadline:
                logs = "\n".join(f"--- {name}\n{tail(self.log_file(name))}" for name in self.components)
                raise AirflowDidNotStartError(f"Airflow did not {what} within {timeout:.0f} seconds:\n{logs}")
            time.sleep(0.25)
        return answer

    def _log(self, name: str) -> IO[bytes]:
        return self._open_logs.enter_context(self.log_file(name).open("ab"))

    def _settings(self, api_port: int, worker_log_port: int, trigger_log_port: int) -> dict[str, str]:
        settings = {
            "core.dags_folder": str(self.dags_folder),
            "core.load_examples": "False",
            "core.dags_are_paused_at_creation": "False",
            "core.executor": "LocalExecutor",
            "core.parallelism": "4",  # it forks them all at its start
            "core.fernet_key": urlsafe_b64encode(secrets.token_bytes(32)).decode(),
            "core.simple_auth_manager_users": f"{self.user}:admin",
            "core.simple_auth_manager_passwords_file": str(self.home / "passwords.json"),
            "core.hostname_callable": "socket.gethostname",  # the default asks the name server
            "core.execution_api_server_url": f"{self.url}/execution/",
            "api.host": "127.0.0.1",
            "api.port": str(api_port),
            "api.base_url": self.url,
            "api.secret_key": secrets.token_urlsafe(32),
            "api_auth.jwt_secret": secrets.token_urlsafe(32),
            # Whoever finds the file locked by a process that is slow to end its transaction waits for it, and
            # not for SQLite's own 5 seconds only, after which Airflow's API answers 500.
            "database.sql_alchemy_conn": f"sqlite:///{self.home / 'airflow.db'}?timeout=60",
            "logging.colored_console_log": "False",
            "logging.worker_log_server_port": str(worker_log_port),
            "logging.trigger_log_server_port": str(trigger_log_port),
            "scheduler.scheduler_idle_sleep_time": "0.5",
            # A supervisor may notice the end of its task only after this time, 5 seconds by default. When the
            # trigger of a task that deferred fires before that, the scheduler takes the task for one that
            # was killed. Real generations take longer, the emulator's need not.
            "workers.min_heartbeat_interval": "1",
            "dag_processor.parsing_processes": "1",
            # A busy machine takes long to read a DAG file, which is no failure, and to answer a worker, who
            # would ask once more for what is done and be told of a conflict.
            "core.dagbag_import_timeout": "300",
            "dag_processor.dag_file_processor_timeout": "600",
            "workers.execution_api_timeout": "60",
            "usage_data_collection.enabled": "False",
        }
        env = {"AIRFLOW__" + name.upper().replace(".", "__"): value for name, value in settings.items()}
        return env | {"AIRFLOW_HOME": str(self.home), "PYTHONUNBUFFERED": "1", "NO_COLOR": "1"}


def tail(path: Path, lines: int = 25) -> str:
    """Give the last lines of a text file, or say that there is none."""
    if not path.is_file():
        return f"({path} was not written)"
    return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])


def _clean_environment() -> dict[str, str]:
    """Copy ours without another Airflow's settings, and with loopback kept away from a proxy."""
    foreign = ("AIRFLOW", "OPENLINEAGE")  # whose provider would send what is run here to the other's
    env = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    loopback = ",".join(filter(None, (env.get("NO_PROXY") or env.get("no_proxy"), "127.0.0.1,localhost")))
    return env | {"NO_PROXY": loopback, "no_proxy": loopback}


def free_ports(count: int) -> list[int]:
    """Find ports that nobody listens on, outside the range from which systems take ports by themselves."""
    chosen = random.SystemRandom()
    with ExitStack() as held:  # all at once, so that no port is found twice
        ports: list[int] = []
        while len(ports) < count:
            port = chosen.randrange(20000, 32000)
            listener = held.enter_context(socket.socket())
            try:
                listener.bind(("127.0.0.1", port))
            except OSError:
                continue
            ports.append(port)
        return ports
