"""A private Airflow on this machine: scheduler, DAG processor, triggerer and API server.

``airflow standalone`` starts the same four, but finds the program on the ``PATH`` and mixes the output of all
components in one log. Here everything is in one home folder: an Airflow that is already installed or running
on this machine is neither read nor changed.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from base64 import urlsafe_b64encode
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

import psutil

from testbed.airflow_api import FINISHED_STATES, AirflowApi
from testbed.processes import free_ports, log_tail

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from types import TracebackType
    from typing import IO

T = TypeVar("T")

COMPONENTS: Final = ("api-server", "dag-processor", "scheduler", "triggerer")
CHECKOUT: Final = Path(__file__).resolve().parent.parent
EXAMPLE_DAGS: Final = CHECKOUT / "example_dags"
POOL: Final = "veo3"

LOCK_TIMEOUT: Final = 60
"""Seconds that a process waits for a lock on the database file of SQLite, whose own default is 5: on a slow
machine another process holds it longer, and the call would fail."""

API_LOCK_TIMEOUT: Final = 10
"""The same for the API server, whose callers repeat a call that fails.

Its event loop writes to the log of actions. If one of its threads has the lock then, and needs the event loop
to release it, all of Airflow stands still for this time.
"""

START_TIMEOUT: Final = 400.0
"""Seconds until all components must be healthy, and the DAG files parsed."""


class NotReadyError(Exception):
    """The API of an Airflow that has not started yet."""


class ComponentFailedError(Exception):
    """A component that ended or was not healthy in time; the message has its log."""


class DagImportError(Exception):
    """DAG files that could not be imported; the message has their stack traces."""


class RunTimeoutError(Exception):
    """A DAG run that did not end before the timeout."""


class LocalAirflow:
    """Context manager that runs Airflow, and ends all of its processes.

    :param env: environment of all components and of the tasks: connections, ``VEO3_…`` and so on.
    :param dags_folder: folder of the DAG files.
    :param pool_slots: slots of the pool ``veo3``, which includes deferred tasks.
    :param components: the arguments of ``airflow`` by component name; by default the four of ``COMPONENTS``.
    :param python: interpreter whose Airflow is run.
    :param keep_home: keep the home folder at the end; after an error it is always kept.
    """

    def __init__(
        self,
        env: Mapping[str, str],
        *,
        dags_folder: Path = EXAMPLE_DAGS,
        pool_slots: int = 5,
        components: Mapping[str, Sequence[str]] | None = None,
        python: str = sys.executable,
        keep_home: bool = False,
    ) -> None:
        self.dags_folder = dags_folder
        self.pool_slots = pool_slots
        self.components = dict(components or {name: (name,) for name in COMPONENTS})
        self.python = python
        self.keep_home = keep_home
        self.user = "admin"
        self.password = secrets.token_urlsafe(9)
        self.home = Path(tempfile.mkdtemp(prefix="veo3-airflow-"))
        api_port, worker_log_port, trigger_log_port = free_ports(3)
        self.url = f"http://127.0.0.1:{api_port}"
        self.env = (
            clean_environment() | self._settings(api_port, worker_log_port, trigger_log_port) | dict(env)
        )
        self.processes: dict[str, psutil.Popen] = {}
        self._open_logs = ExitStack()
        self._api: AirflowApi | None = None

    @property
    def api(self) -> AirflowApi:
        """Client of the REST API.

        :raises NotReadyError: Airflow is not healthy yet.
        """
        if self._api is None:
            raise NotReadyError(self.url)
        return self._api

    def __enter__(self) -> Self:
        """Start Airflow, and wait until it is healthy."""
        try:
            self._start()
        except BaseException as error:  # Ctrl-C too
            self.__exit__(type(error), error, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End all processes; remove the home folder unless an error occurred."""
        self.stop()
        failed = kind is not None and issubclass(kind, Exception)  # Ctrl-C is no failure
        if failed:
            print(f"Airflow's logs are in {self.home}", file=sys.stderr)
        elif not self.keep_home:
            shutil.rmtree(self.home, ignore_errors=True)

    def check_running(self) -> None:
        """Check that no component has ended by itself.

        :raises ComponentFailedError: a component has ended.
        """
        for name, process in self.processes.items():
            if process.poll() is not None:
                log = log_tail(self.log_file(name))
                raise ComponentFailedError(f"Airflow's {name} ended with status {process.returncode}:\n{log}")

    def wait_for_dags(self, dag_ids: Iterable[str]) -> None:
        """Wait until the DAG processor has parsed these DAGs.

        :raises DagImportError: some are missing, and DAG files could not be imported.
        """
        expected = set(dag_ids)

        def parsed() -> bool | None:
            missing = expected - self.api.dag_ids()
            if missing and (errors := self.api.import_errors()):
                raise DagImportError(
                    f"no DAGs {sorted(missing)} in {self.dags_folder}:\n" + "\n".join(errors)
                )
            return not missing or None

        self._wait_until(f"parse {sorted(expected)}", parsed)

    def wait_for_runs(
        self,
        runs: Mapping[str, str],
        *,
        timeout: float,
        on_task_change: Callable[[str, dict[str, Any]], None] = lambda _dag, _task: None,
    ) -> dict[str, str]:
        """Wait until all DAG runs have ended, and return their states by DAG id.

        :param runs: run ids by DAG id.
        :param timeout: seconds for all of them.
        :param on_task_change: called with the DAG id and a task instance when that task's state changes.
        :raises RunTimeoutError: a run is still active after the timeout.
        :raises ComponentFailedError: a component has ended.
        """
        deadline = time.monotonic() + timeout
        known: dict[tuple[str, str, int], str | None] = {}
        ended: dict[str, str] = {}
        while len(ended) < len(runs):
            self.check_running()
            active = {dag_id: run_id for dag_id, run_id in runs.items() if dag_id not in ended}
            if time.monotonic() > deadline:
                raise RunTimeoutError(
                    f"still running after {timeout:.0f} seconds: {', '.join(sorted(active))}"
                )
            for dag_id, run_id in active.items():
                state = self.api.run_state(dag_id, run_id)
                for task in self.api.task_instances(dag_id, run_id):
                    key = (dag_id, task["task_id"], task["map_index"])
                    if known.get(key) != task["state"]:
                        known[key] = task["state"]
                        on_task_change(dag_id, task)
                if state in FINISHED_STATES:
                    ended[dag_id] = state
            time.sleep(1)  # two requests for each run: more of them would slow the tasks down
        return ended

    def task_log(self, dag_id: str, run_id: str, task: Mapping[str, Any], lines: int = 30) -> str:
        """Return the last log lines of a task over all its attempts, indented.

        :param task: the task instance as Airflow's API describes it.
        """
        folder = self.home / "logs" / f"dag_id={dag_id}" / f"run_id={run_id}" / f"task_id={task['task_id']}"
        if task["map_index"] >= 0:
            folder /= f"map_index={task['map_index']}"
        found = sorted(folder.glob("attempt=*"), key=lambda path: path.stat().st_mtime)
        if not found:
            return f"(no log below {folder})"
        text = [line for path in found for line in path.read_text(errors="replace").splitlines()]
        return "\n".join("    " + _readable(line) for line in text[-lines:])

    def log_file(self, component: str) -> Path:
        """Return the path of a component's log."""
        return self.home / f"{component}.log"

    def start_component(self, name: str) -> None:
        """Start a component; its output is appended to its log."""
        env = self.env
        if self.components[name][0] == "api-server":
            database = "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"
            url = env[database].removesuffix(_lock_timeout(LOCK_TIMEOUT))
            if url != env[database]:
                env = env | {database: url + _lock_timeout(API_LOCK_TIMEOUT)}
        self.processes[name] = psutil.Popen(
            [self.python, "-m", "airflow", *self.components[name]],
            env=env,
            cwd=self.home,
            stdin=subprocess.DEVNULL,
            stdout=self._open_log(name),
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C reaches this process only, which ends the components in order
        )

    def kill_component(self, name: str) -> None:
        """Kill a component and all processes that it has started."""
        process = self.processes.pop(name)
        family: list[psutil.Process] = [process]
        with suppress(psutil.NoSuchProcess):  # it may have ended by itself
            family += process.children(recursive=True)
        for member in family:
            with suppress(psutil.NoSuchProcess):
                member.kill()
        psutil.wait_procs(family, timeout=10)

    def stop(self) -> None:
        """End all processes that this object started, and their children, by process id."""
        if self._api is not None:
            self._api.close()
        # Airflow puts each task into a process group of its own; signals to the component do not reach it.
        family: list[psutil.Process] = []
        for process in self.processes.values():
            if process.poll() is None:
                family += [process, *process.children(recursive=True)]
        try:
            for process in self.processes.values():
                if process.poll() is None:
                    process.terminate()
            _, left = psutil.wait_procs(family, timeout=3)  # the triggerer would take 12
        except KeyboardInterrupt:  # a second Ctrl-C: kill them at once
            left = family
        for member in left:
            if member.is_running():
                member.kill()
        psutil.wait_procs(left, timeout=10)
        self._open_logs.close()

    def _start(self) -> None:
        (self.home / "passwords.json").write_text(f'{{"{self.user}": "{self.password}"}}\n')
        migration = subprocess.run(
            [self.python, "-m", "airflow", "db", "migrate"],
            env=self.env,
            cwd=self.home,
            stdin=subprocess.DEVNULL,
            stdout=self._open_log("migrate"),
            stderr=subprocess.STDOUT,
            check=False,
        )
        if migration.returncode:
            log = log_tail(self.log_file("migrate"))
            raise ComponentFailedError(
                f"`airflow db migrate` ended with status {migration.returncode}:\n{log}"
            )
        for name in self.components:
            self.start_component(name)
        self._api = self._wait_until("become healthy", self._healthy_api)
        self._api.create_pool(POOL, self.pool_slots, include_deferred=True)

    def _healthy_api(self) -> AirflowApi | None:
        api = AirflowApi(self.url, self.user, self.password)
        if api.is_healthy():
            return api
        api.close()
        return None

    def _wait_until(self, what: str, poll: Callable[[], T | None]) -> T:
        deadline = time.monotonic() + START_TIMEOUT
        while (result := poll()) is None:
            self.check_running()
            if time.monotonic() > deadline:
                logs = "\n".join(f"--- {name}\n{log_tail(self.log_file(name))}" for name in self.components)
                raise ComponentFailedError(
                    f"Airflow did not {what} within {START_TIMEOUT:.0f} seconds:\n{logs}"
                )
            time.sleep(0.25)
        return result

    def _open_log(self, name: str) -> IO[bytes]:
        return self._open_logs.enter_context(self.log_file(name).open("ab"))

    def _settings(self, api_port: int, worker_log_port: int, trigger_log_port: int) -> dict[str, str]:
        settings = {
            "core.dags_folder": str(self.dags_folder),
            "core.load_examples": "False",
            "core.dags_are_paused_at_creation": "False",
            "core.executor": "LocalExecutor",
            "core.parallelism": "4",  # the executor forks all of them when it starts
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
            "database.sql_alchemy_conn": f"sqlite:///{self.home / 'airflow.db'}{_lock_timeout(LOCK_TIMEOUT)}",
            "logging.colored_console_log": "False",
            "logging.worker_log_server_port": str(worker_log_port),
            "logging.trigger_log_server_port": str(trigger_log_port),
            "scheduler.scheduler_idle_sleep_time": "0.5",
            # A supervisor may notice the end of its task only after this time, 5 seconds by default. If the
            # trigger of a deferred task fires before that, the scheduler assumes that the task was killed.
            # Real generations take longer than that, the emulator's may not.
            "workers.min_heartbeat_interval": "1",
            "dag_processor.parsing_processes": "1",
            # On a busy machine, parsing a DAG file is slow. So are responses to a worker, which would repeat
            # the request and get a conflict for what has been done already.
            "core.dagbag_import_timeout": "300",
            "dag_processor.dag_file_processor_timeout": "600",
            "workers.execution_api_timeout": "60",
            "usage_data_collection.enabled": "False",
        }
        env = {"AIRFLOW_HOME": str(self.home), "PYTHONUNBUFFERED": "1", "NO_COLOR": "1"}
        return settings_as_env(settings) | env


def _lock_timeout(seconds: int) -> str:
    """Return the option of SQLite's URL for a lock timeout."""
    return f"?timeout={seconds}"


def settings_as_env(settings: Mapping[str, str]) -> dict[str, str]:
    """Return settings such as ``core.parallelism`` as Airflow's environment variables."""
    return {"AIRFLOW__" + name.upper().replace(".", "__"): value for name, value in settings.items()}


def clean_environment() -> dict[str, str]:
    """Copy this process's environment without settings of another Airflow; exempt loopback from proxies."""
    foreign = ("AIRFLOW", "OPENLINEAGE")  # the OpenLineage provider would report these runs to another server
    env = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    loopback = ",".join(filter(None, (env.get("NO_PROXY") or env.get("no_proxy"), "127.0.0.1,localhost")))
    return env | {"NO_PROXY": loopback, "no_proxy": loopback}


def _readable(line: str) -> str:
    """Return the text of a log line in JSON; any other line unchanged."""
    try:
        entry = json.loads(line)
    except ValueError:
        return line
    if not isinstance(entry, dict):
        return line
    text = f"{entry.get('level', 'info').upper():8} {entry.get('event', '')}"
    if "reason" in entry:  # of a skipped task
        text += f" {entry['reason']}"
    for error in entry.get("error_detail") or ():
        text += f"\n             {error.get('exc_type')}: {error.get('exc_value')}"
    return text
