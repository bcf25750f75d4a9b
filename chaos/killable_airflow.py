"""The Airflow under test: its processes can be killed and started again."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import httpx
import psutil

from testbed.airflow_api import AirflowApiError
from testbed.local_airflow import ComponentFailedError, LocalAirflow, settings_as_env
from testbed.processes import log_tail

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

DAGS: Final = Path(__file__).resolve().parent / "dags"
DAG_ID: Final = "veo3_chaos"

RESPONSE_TIMEOUT: Final = 300.0
"""Seconds in which a restarted API server must respond."""

POOL_SLOTS: Final = 5
"""Size of the vendor's queue for a key."""

EMBEDDED: Final[dict[str, tuple[str, ...]]] = {
    "api-server": ("api-server",),
    "dag-processor": ("dag-processor",),
    "scheduler": ("scheduler", "--skip-serve-logs"),
    "triggerer": ("triggerer", "--skip-serve-logs"),
}
"""Components of an Airflow with the LocalExecutor, whose workers are children of the scheduler."""

SETTINGS: Final = {
    # A task that searches the history for a lost response sleeps on its worker for minutes; others must run.
    "core.parallelism": "8",
    # Airflow notices within seconds that a process has died; with its defaults that takes minutes.
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


class KillableAirflow(LocalAirflow):
    """A local Airflow that keeps track of all its processes, also of orphans.

    :param env: environment of all components.
    :param components: see ``LocalAirflow``.
    :param executors: components whose children run tasks: the scheduler, or the Celery workers.
    """

    def __init__(
        self,
        env: Mapping[str, str],
        *,
        components: Mapping[str, Sequence[str]] = EMBEDDED,
        executors: Sequence[str] = ("scheduler",),
    ) -> None:
        super().__init__(
            settings_as_env(SETTINGS) | dict(env),
            dags_folder=DAGS,
            pool_slots=POOL_SLOTS,
            components=components,
            keep_home=True,
        )
        self._executors = executors
        self._tracked: dict[tuple[int, float], psutil.Process] = {}

    def running_tasks(self) -> list[tuple[psutil.Process, psutil.Process]]:
        """Return the processes that run tasks, each with the process that supervises it."""
        found = []
        for name in self._executors:
            parents = {process: _parent_pid(process) for process in self.family(name)[1:]}
            supervisors = {
                process.pid: process for process in parents if parents[process] == self.processes[name].pid
            }
            found += [
                (task, supervisors[parent]) for task, parent in parents.items() if parent in supervisors
            ]
        return [pair for pair in found if _is_alive(pair[0])]

    def kill(self, processes: Sequence[psutil.Process]) -> int:
        """Send SIGKILL to processes of this Airflow; return how many of them still existed."""
        self.track()
        killed = 0
        for process in processes:
            try:
                process.kill()  # psutil checks that the process id has not been reused
            except psutil.NoSuchProcess:
                continue
            killed += 1
        return killed

    def family(self, name: str) -> list[psutil.Process]:
        """Return the process of a component and all its descendants; empty if it has ended."""
        process = self.processes[name]
        try:
            return [process, *process.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def track(self) -> None:
        """Record all current processes, so that ``stop`` ends them even when their parents have died."""
        for name in self.processes:
            for process in self.family(name):
                self._tracked[process.pid, _create_time(process)] = process

    def ended(self) -> list[str]:
        """Return the names of the components that do not run."""
        return [name for name, process in self.processes.items() if process.poll() is not None]

    def restart_ended(self) -> list[str]:
        """Start the components that do not run, and return their names."""
        ended = self.ended()
        for name in ended:
            self.start_component(name)
        return ended

    def kill_idle_orphans(self) -> None:
        """Kill the executor's idle processes that a killed scheduler left behind.

        Orphans that still run a task go on, as they would in production; they are idle when it is done.
        """
        family = {process.pid for name in self.processes for process in self.family(name)}
        for process in list(self._tracked.values()):
            if process.pid not in family and _is_alive(process) and _is_idle(process):
                process.kill()

    def wait_until_responding(self) -> None:
        """Wait until the API server, which may have been killed, responds.

        :raises ComponentFailedError: it did not respond in time.
        """
        deadline = time.monotonic() + RESPONSE_TIMEOUT
        while not self.api.responds():
            if time.monotonic() > deadline:
                log = log_tail(self.log_file("api-server"))
                raise ComponentFailedError(
                    f"The API server did not respond within {RESPONSE_TIMEOUT:.0f} seconds:\n{log}"
                )
            time.sleep(0.5)

    def stop(self) -> None:
        """End every process that this Airflow ever had."""
        self.track()
        super().stop()
        left = [process for process in self._tracked.values() if _is_alive(process)]
        for process in left:
            process.kill()
        psutil.wait_procs(left, timeout=10)

    def start_run(self, run_id: str) -> None:
        """Start one DAG run under this id, even if the API server is killed meanwhile."""
        deadline = time.monotonic() + RESPONSE_TIMEOUT
        while True:
            self.wait_until_responding()
            try:
                self.api.trigger(DAG_ID, run_id=run_id)
            except AirflowApiError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(1)
            except httpx.TransportError:
                pass
            else:
                return


def _parent_pid(process: psutil.Process) -> int:
    try:
        return process.ppid()
    except psutil.NoSuchProcess:
        return 0


def _create_time(process: psutil.Process) -> float:
    try:
        return process.create_time()
    except psutil.NoSuchProcess:
        return 0.0


def _is_alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _is_idle(process: psutil.Process) -> bool:
    """Return whether an executor's process waits for work, which its title says."""
    try:
        return "<idle>" in " ".join(process.cmdline()) and not process.children()
    except psutil.NoSuchProcess:
        return False
