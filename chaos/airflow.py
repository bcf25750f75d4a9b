"""The Airflow that is shot at, and the gun: components that are killed and started again."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import httpx
import psutil

from testbed.airflow_api import AirflowApiError
from testbed.local_airflow import AirflowDidNotStartError, LocalAirflow, tail

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

DAGS: Final = Path(__file__).resolve().parent / "dags"
DAG_ID: Final = "veo3_chaos"

ANSWER: Final = 300.0
"""Seconds that a restarted API server gets to answer."""

POOL_SLOTS: Final = 5
"""As many as VEO3 queues for a key."""

EMBEDDED: Final[dict[str, tuple[str, ...]]] = {
    "api-server": ("api-server",),
    "dag-processor": ("dag-processor",),
    "scheduler": ("scheduler", "--skip-serve-logs"),
    "triggerer": ("triggerer", "--skip-serve-logs"),
}

SETTINGS: Final = {
    # A task that looks for a lost answer sleeps on its worker for minutes; the others shall go on meanwhile.
    "core.parallelism": "8",
    # Airflow finds out within seconds what has died; its defaults would take minutes.
    "scheduler.job_heartbeat_sec": "2",
    "scheduler.scheduler_heartbeat_sec": "2",
    "scheduler.scheduler_health_check_threshold": "12",
    "scheduler.orphaned_tasks_check_interval": "6",
    "scheduler.task_instance_heartbeat_timeout": "20",
    "scheduler.task_instance_heartbeat_timeout_detection_interval": "4",
    "scheduler.task_instance_heartbeat_sec": "2",
    "scheduler.task_queued_timeout": "30",
    "scheduler.task_queued_timeout_check_interval": "10",
    "scheduler.num_stuck_in_queued_retries": "50",
    "triggerer.job_heartbeat_sec": "2",
    "triggerer.triggerer_health_check_threshold": "10",
}


def as_env(settings: Mapping[str, str]) -> dict[str, str]:
    """Write settings as Airflow reads them from the environment."""
    return {"AIRFLOW__" + name.upper().replace(".", "__"): value for name, value in settings.items()}


class ChaosAirflow(LocalAirflow):
    """A local Airflow whose processes die.

    :param env: environment of all components.
    :param components: what to start; see ``LocalAirflow``.
    :param executors: components whose children run tasks: the scheduler, or Celery's workers.
    """

    def __init__(
        self,
        env: Mapping[str, str],
        *,
        components: Mapping[str, Sequence[str]] = EMBEDDED,
        executors: Sequence[str] = ("scheduler",),
    ) -> None:
        super().__init__(
            as_env(SETTINGS) | dict(env),
            dags_folder=DAGS,
            pool_slots=POOL_SLOTS,
            components=components,
            keep_home=True,
        )
        self._executors = executors
        self._met: dict[tuple[int, float], psutil.Process] = {}

    def running_tasks(self) -> list[tuple[psutil.Process, psutil.Process]]:
        """Give the processes that run tasks now, each with the process that supervises it."""
        found = []
        for name in self._executors:
            parents = {process: _parent(process) for process in self.family(name)[1:]}
            supervisors = {
                process.pid: process for process in parents if parents[process] == self.processes[name].pid
            }
            found += [
                (task, supervisors[parent]) for task, parent in parents.items() if parent in supervisors
            ]
        return [pair for pair in found if _alive(pair[0])]

    def kill(self, processes: Sequence[psutil.Process]) -> int:
        """Send SIGKILL to processes of ours, and give how many were still there."""
        self.meet()
        killed = 0
        for process in processes:
            try:
                process.kill()  # psutil makes sure that the number has not been given to another
            except psutil.NoSuchProcess:
                continue
            killed += 1
        return killed

    def family(self, name: str) -> list[psutil.Process]:
        """Give a component and everything below it."""
        process = self.processes[name]
        try:
            return [process, *process.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def meet(self) -> None:
        """Remember every process of ours, so that none is left behind when what started it is gone."""
        for name in self.processes:
            for process in self.family(name):
                self._met[process.pid, _born(process)] = process

    def ended(self) -> list[str]:
        """Name the components that do not run."""
        return [name for name, process in self.processes.items() if process.poll() is not None]

    def clear_away(self) -> None:
        """End the executor's processes that a killed scheduler left without work or anybody to give them any.

        Those that still run a task are left to it, as in reality; each is cleared away once it is done.
        """
        family = {process.pid for name in self.processes for process in self.family(name)}
        for process in list(self._met.values()):
            if process.pid not in family and _alive(process) and _is_idle(process):
                process.kill()

    def wait_until_answering(self) -> None:
        """Wait until the API server, which may have died just now, answers; others may be dead meanwhile."""
        deadline = time.monotonic() + ANSWER
        while not self.api.answers():
            if time.monotonic() > deadline:
                log = tail(self.log_file("api-server"))
                raise AirflowDidNotStartError(f"The API server does not answer any more:\n{log}")
            time.sleep(0.5)

    def stop(self) -> None:
        """End every process that this Airflow ever had."""
        self.meet()
        super().stop()
        left = [process for process in self._met.values() if _alive(process)]
        for process in left:
            process.kill()
        psutil.wait_procs(left, timeout=10)

    def begin_run(self, run_id: str) -> str:
        """Start a DAG run under this id, once, whoever dies meanwhile; give the id."""
        deadline = time.monotonic() + ANSWER
        while True:
            self.wait_until_answering()
            try:
                body = {"dag_run_id": run_id, "logical_date": None}
                self.api.call("POST", f"dags/{DAG_ID}/dagRuns", json=body)
            except AirflowApiError as error:
                if " 409 " in str(error):  # the answer of an earlier try was lost
                    return run_id
                if time.monotonic() > deadline:
                    raise
                time.sleep(1)
                continue
            except httpx.TransportError:
                continue
            return run_id

    def task_states(self, run_id: str) -> list[dict[str, Any]]:
        """Give all task instances of the run."""
        found: list[dict[str, Any]] = []
        while True:
            page = self.api.call(
                "GET",
                f"dags/{DAG_ID}/dagRuns/{run_id}/taskInstances",
                params={"limit": 100, "offset": len(found)},
            )
            found += page["task_instances"]
            if len(found) >= page["total_entries"]:
                return found


def _parent(process: psutil.Process) -> int:
    try:
        return process.ppid()
    except psutil.NoSuchProcess:
        return 0


def _born(process: psutil.Process) -> float:
    try:
        return process.create_time()
    except psutil.NoSuchProcess:
        return 0.0


def _alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _is_idle(process: psutil.Process) -> bool:
    """Whether an executor's process waits for work: it says so in its title."""
    try:
        return "<idle>" in " ".join(process.cmdline()) and not process.children()
    except psutil.NoSuchProcess:
        return False


def age(process: psutil.Process) -> float:
    """Seconds since a process was born."""
    return time.time() - _born(process)
