"""Thread that carries out the planned kills, and restarts components that have died."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import TYPE_CHECKING, Final, Self
from urllib.parse import urlsplit

import psutil

from chaos.plan import HANG
from chaos.verdict import KillCounts

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from types import TracebackType

    from chaos.killable_airflow import KillableAirflow
    from chaos.plan import Kill
    from testbed.emulator import EmulatorProcess

RESTART_DELAY: Final = 1.5
"""Seconds from a kill to the restart of what died."""

STUCK_AFTER: Final = 45.0
"""Seconds without a running task after which the scheduler is restarted.

If a worker of the LocalExecutor dies between taking a task and starting it, the task stays queued for ever:
this executor cannot revoke tasks, and only a new scheduler queues it again. A person would restart it too.
"""

MOMENT_TIMEOUT: Final = 15.0
"""Seconds to wait for a planned moment, after which any running task is killed."""


class EmulatorLog:
    """Reader of the emulator's request log.

    :param path: the log file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._position = path.stat().st_size

    def has_new(self, moment: str) -> bool:
        """Return whether the new lines have an accepted submission, or else a successful file download.

        :param moment: ``accepted``; any other is a file download.
        """
        with self._path.open("rb") as file:
            file.seek(self._position)
            unread = file.read()
        complete = unread[: unread.rfind(b"\n") + 1]
        self._position += len(complete)
        lines = complete.decode(errors="replace").splitlines()
        if moment == "accepted":  # a line names a generation only if the submission was accepted
            return any(" POST text-to-video " in line and " veo_" in line for line in lines)
        return any(" GET file 20" in line for line in lines)


class ProcessKiller(threading.Thread):
    """Thread that kills as planned, and restarts components that have died, until ``stop``.

    :param airflow: its processes are the victims.
    :param kills: the plan.
    :param emulator: its log shows the moments to wait for.
    """

    def __init__(self, airflow: KillableAirflow, kills: Sequence[Kill], emulator: EmulatorProcess) -> None:
        super().__init__(name="process-killer", daemon=True)
        self.counts = KillCounts()
        self.finished = False
        self.error: BaseException | None = None
        self._airflow = airflow
        self._kills = kills
        self._log = EmulatorLog(emulator.log_file)
        self._ports = {urlsplit(url).port for url in (emulator.base_url, emulator.files_url)}
        self._stopped = threading.Event()
        self._last_check = self._last_task = time.monotonic()
        self._hanging: list[tuple[float, list[psutil.Process]]] = []

    def run(self) -> None:
        """Carry out the kills one after another, then keep the components running."""
        try:
            for kill in self._kills:
                if not self._pause(kill.after) or not self._carry_out(kill):
                    return
            self.finished = True
            while self._pause(RESTART_DELAY):
                pass
        except BaseException as error:  # noqa: BLE001 - the thread of the campaign raises it
            self.error = error
        finally:
            self._resume_hanging(until=float("inf"))

    def __enter__(self) -> Self:
        """Return the thread, which kills nothing before ``start``."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop, however the campaign ended."""
        self.stop()

    def stop(self) -> None:
        """End the thread, and restart every component that does not run."""
        self._stopped.set()
        if self.is_alive():
            self.join()
        self._restart_ended()

    def _restart_ended(self) -> None:
        """Restart ended components, as a service manager would in production."""
        self.counts.restarts.update(self._airflow.restart_ended())

    def _carry_out(self, kill: Kill) -> bool:
        """Wait for the moment, then kill; return ``False`` when the campaign ended first."""
        deadline = time.monotonic() + MOMENT_TIMEOUT
        self._log.has_new(kill.moment)  # skips older lines
        while not self._stopped.is_set():
            moment = "any" if time.monotonic() > deadline else kill.moment
            if self._has_come(moment):
                if not self._pause(kill.delay):
                    return False
                victims = self._choose_victims(kill)
                if victims and self._strike(kill, victims):
                    self.counts.moments[moment] += 1
                    if not self._pause(RESTART_DELAY):
                        return False
                    self._restart_ended()
                    self._airflow.kill_idle_orphans()
                    return True
            self._pause(0.05)
        return False

    def _has_come(self, moment: str) -> bool:
        if moment in ("task", "any"):
            return bool(self._airflow.running_tasks())
        return self._log.has_new(moment)

    def _strike(self, kill: Kill, victims: list[psutil.Process]) -> bool:
        """Kill or stop the victims; return ``False`` if none of them existed any more."""
        if not kill.hang:
            killed = self._airflow.kill(victims) > 0
            self.counts.kills[kill.victim] += killed
            return killed
        self._airflow.track()
        self._hanging.append((time.monotonic() + kill.hang, victims))
        self.counts.hangs += 1
        for process in victims:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.suspend()
        return True

    def _resume_hanging(self, *, until: float) -> None:
        """Resume the processes whose hang ends before this time of the monotonic clock."""
        over = [each for each in self._hanging if each[0] <= until]
        self._hanging = [each for each in self._hanging if each not in over]
        for _, processes in over:
            for process in processes:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.resume()

    def _check_components(self) -> None:
        """Restart ended components, and a scheduler that starts no tasks."""
        now = self._last_check = time.monotonic()
        self._restart_ended()
        if self._airflow.running_tasks():
            self._last_task = now
        elif now - self._last_task > STUCK_AFTER:
            self._last_task = now
            self.counts.stuck_schedulers += 1
            self._airflow.kill([self._airflow.processes["scheduler"]])

    def _choose_victims(self, kill: Kill) -> list[psutil.Process]:
        """Return the processes to kill, empty if there are none at the moment."""
        name, _, more = kill.victim.partition("+")
        if name in ("task", "supervisor", HANG):
            return self._choose_task(kill, name, with_supervisor=bool(more))
        names = [each for each in self._airflow.components if each.startswith(name)]
        component = names[int(kill.choice * len(names))]
        if component in self._airflow.ended():
            return []
        return self._airflow.family(component) if more else [self._airflow.processes[component]]

    def _choose_task(self, kill: Kill, name: str, *, with_supervisor: bool) -> list[psutil.Process]:
        tasks = self._airflow.running_tasks()
        if not tasks:
            return []
        if kill.moment != "task":  # prefer tasks that are in the middle of it
            tasks = [pair for pair in tasks if _is_connected(pair[0], self._ports)] or tasks
        task, supervisor = tasks[int(kill.choice * len(tasks))]
        if name == "task":
            return [task]
        return [supervisor, task] if with_supervisor or kill.hang else [supervisor]

    def _pause(self, seconds: float) -> bool:
        """Wait while components are kept running; return ``False`` once the campaign has ended."""
        stopped = self._stopped.wait(seconds)
        self._resume_hanging(until=time.monotonic())
        if not stopped and time.monotonic() - self._last_check > 1:
            self._check_components()
        return not stopped


def _is_connected(process: psutil.Process, ports: set[int | None]) -> bool:
    """Return whether a process has a connection to one of these ports."""
    try:
        connections = process.net_connections("tcp")
    except psutil.Error:
        return False
    return any(each.raddr and each.raddr.port in ports for each in connections)
