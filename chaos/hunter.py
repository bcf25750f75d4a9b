"""Carries out the planned kills while tasks run, and starts again what must run."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING, Final, Self
from urllib.parse import urlsplit

import psutil

from chaos.plan import HANG

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from types import TracebackType

    from chaos.airflow import ChaosAirflow
    from chaos.plan import Kill
    from testbed.emulator import EmulatorProcess

RESTART: Final = 1.5
"""Seconds after which a dead component is started again."""

STUCK: Final = 45.0
"""Seconds without any running task after which the scheduler is restarted.

A LocalExecutor's worker that dies between taking a task and starting it leaves the task queued for ever: this
executor cannot revoke tasks, and only the next scheduler takes it up. A person would restart it too.
"""

PATIENCE: Final = 15.0
"""Seconds to wait for a moment that may not come again."""


class EmulatorLog:
    """Follows what the emulator writes about the requests it gets.

    :param path: its log.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._at = path.stat().st_size

    def saw(self, moment: str) -> bool:
        """Whether one such request has come since the last question."""
        with self._path.open("rb") as file:
            file.seek(self._at)
            fresh = file.read()
        whole = fresh[: fresh.rfind(b"\n") + 1]
        self._at += len(whole)
        lines = whole.decode(errors="replace").splitlines()
        if moment == "accepted":  # it names the generation only if there is one
            return any(" POST text-to-video " in line and " veo_" in line for line in lines)
        return any(" GET file 20" in line for line in lines)


class Hunter(threading.Thread):
    """Kills as planned, and starts again what has died, until the campaign is over.

    :param airflow: whose processes die.
    :param kills: the plan.
    :param emulator: tells when something worth interrupting happens.
    """

    def __init__(self, airflow: ChaosAirflow, kills: Sequence[Kill], emulator: EmulatorProcess) -> None:
        super().__init__(name="hunter", daemon=True)
        self._airflow = airflow
        self._kills = kills
        self._emulator = EmulatorLog(emulator.log_file)
        self._ports = {urlsplit(url).port for url in (emulator.base_url, emulator.files_url)}
        self._over = threading.Event()
        self.done: Counter[str] = Counter()
        self.moments: Counter[str] = Counter()
        self.hangs = 0
        self.restarts: Counter[str] = Counter()
        self.through = False
        self.nudges = 0
        self._looked = self._busy = time.monotonic()
        self._hanging: list[tuple[float, list[psutil.Process]]] = []
        self.error: BaseException | None = None

    def run(self) -> None:
        """Kill, one after the other."""
        try:
            for kill in self._kills:
                if not self._pause(kill.after) or not self._carry_out(kill):
                    return
            self.through = True
            while self._pause(RESTART):
                pass
        except BaseException as error:  # noqa: BLE001 - the campaign's thread tells
            self.error = error
        finally:
            self._wake(everybody=True)

    def __enter__(self) -> Self:
        """Nobody is killed before ``start``."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End, however the campaign ended."""
        self.stop()

    def stop(self) -> None:
        """End; every component runs again."""
        self._over.set()
        if self.is_alive():
            self.join()
        self.revive()

    def revive(self) -> None:
        """Start again what has died, by our hand or by itself, as whatever runs Airflow in earnest does."""
        for name in self._airflow.ended():
            self.restarts[name] += 1
            self._airflow.launch(name)

    def _carry_out(self, kill: Kill) -> bool:
        """Wait for the moment, then kill; ``False`` when the campaign ended first."""
        deadline = time.monotonic() + PATIENCE
        self._emulator.saw(kill.moment)
        while not self._over.is_set():
            moment = "any" if time.monotonic() > deadline else kill.moment
            if moment in ("task", "any"):
                come = bool(self._airflow.running_tasks())
            else:
                come = self._emulator.saw(moment)
            if come:
                if not self._pause(kill.aim):
                    return False
                victims = self._victims(kill)
                if victims and self._strike(kill, victims):
                    self.moments[moment] += 1
                    return self._pause(RESTART) and self._tidy()
            self._pause(0.05)
        return False

    def _strike(self, kill: Kill, victims: list[psutil.Process]) -> bool:
        if not kill.hang:
            struck = self._airflow.kill(victims) > 0
            self.done[kill.victim] += struck
            return struck
        self._airflow.meet()
        self._hanging.append((time.monotonic() + kill.hang, victims))
        self.hangs += 1
        for process in victims:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.suspend()
        return True

    def _wake(self, *, everybody: bool = False) -> None:
        """Let those go on whose hang is over."""
        now = time.monotonic()
        over = [each for each in self._hanging if everybody or each[0] <= now]
        self._hanging = [each for each in self._hanging if each not in over]
        for _, processes in over:
            for process in processes:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.resume()

    def _keep_going(self) -> None:
        """Start what is dead, and anew a scheduler that does nothing although the campaign goes on."""
        now = self._looked = time.monotonic()
        self.revive()
        if self._airflow.running_tasks():
            self._busy = now
        elif now - self._busy > STUCK:
            self._busy = now
            self.nudges += 1
            self._airflow.kill([self._airflow.processes["scheduler"]])

    def _tidy(self) -> bool:
        self.revive()
        self._airflow.clear_away()
        return True

    def _victims(self, kill: Kill) -> list[psutil.Process]:
        """Give the processes to kill, none if there are none just now."""
        who, _, all_of_it = kill.victim.partition("+")
        if who in ("task", "supervisor", HANG):
            tasks = self._airflow.running_tasks()
            if not tasks:
                return []
            if kill.moment != "task":  # rather one of those that are in the middle of it
                tasks = [pair for pair in tasks if _talks_to(pair[0], self._ports)] or tasks
            task, supervisor = tasks[int(kill.draw * len(tasks))]
            if who == "task":
                return [task]
            return [supervisor, task] if all_of_it or kill.hang else [supervisor]
        names = [name for name in self._airflow.components if name.startswith(who)]
        name = names[int(kill.draw * len(names))]
        if name in self._airflow.ended():
            return []
        return self._airflow.family(name) if all_of_it else [self._airflow.processes[name]]

    def _pause(self, seconds: float) -> bool:
        over = self._over.wait(seconds)
        self._wake()
        if not over and time.monotonic() - self._looked > 1:
            self._keep_going()
        return not over


def _talks_to(process: psutil.Process, ports: set[int | None]) -> bool:
    """Whether a process has a connection to one of these ports."""
    try:
        connections = process.net_connections("tcp")
    except psutil.Error:
        return False
    return any(each.raddr and each.raddr.port in ports for each in connections)
