"""Airflow workers in processes of their own that die by SIGKILL where a test wants them to.

Run as a program, this is the process they are forked from: it has imported everything and has one thread.
"""

from __future__ import annotations

import asyncio
import functools
import importlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from airflow.api_fastapi.execution_api.app import InProcessExecutionAPI

    from tests.support.task_runs import Run

POINTS = {
    "before the request": ("airflow_provider_veo3.hooks.veo3:Veo3Hook.submit", "before"),
    "after the acceptance": ("airflow_provider_veo3.hooks.veo3:Veo3Hook.submit", "after"),
    "before the history": ("airflow_provider_veo3.submission.reconcile:Reconciler._search", "before"),
    "before the note": ("airflow_provider_veo3.submission.submitter:Submitter._keep", "before"),
    "after the record": ("airflow_provider_veo3.submission.submitter:Submitter.obtain", "after"),
    "before the deferral": ("airflow.sdk.bases.operator:BaseOperator.defer", "before"),
    "while waiting": ("airflow_provider_veo3.polling.blocking:wait_blocking", "before"),
    "while resuming": (
        "airflow_provider_veo3.operators._generating:GeneratingOperator.execute_complete",
        "before",
    ),
    "after delivered": ("airflow_provider_veo3.submission.store:mark_delivered", "after"),
}
"""Where a worker can die: a function, and whether before or after it has run."""


class Workers:
    """Starts workers, one for each attempt."""

    def __enter__(self) -> Self:
        self._log = tempfile.TemporaryFile()
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait(120)
        self._log.close()

    def kill(self, run: Run, point: str, map_index: int = -1, **dag: Any) -> None:
        """Run an attempt in a worker that is killed at a point; fail if it did not get there."""
        assert self.attempt([(run, map_index)], point, **dag) == [-signal.SIGKILL], self._tail()

    def attempt(self, tasks: list[tuple[Run, int]], point: str | None = None, **dag: Any) -> list[int]:
        """Run attempts at the same time, and give their processes' exit codes.

        :param dag: how the runs' DAG was made.
        """
        connections = {name: value for name, value in os.environ.items() if name.startswith("AIRFLOW_CONN_")}
        commands = [
            {
                "dag": dag | {"dag_id": run.dag.dag_id},
                "run_id": run.run_id,
                "map_index": map_index,
                "point": point,
                "environ": connections,
            }
            for run, map_index in tasks
        ]
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(commands) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer, self._tail()
        codes: list[int] = json.loads(answer)
        return codes

    def _tail(self) -> str:
        self._log.seek(0)
        return self._log.read()[-4000:].decode(errors="replace")


def die_at(target: str, when: str) -> None:
    """Replace a function by one that takes the process with it."""
    module, _, path = target.partition(":")
    __import__(module)
    owner: Any = sys.modules[module]
    *parents, name = path.split(".")
    for parent in parents:
        owner = getattr(owner, parent)
    function = getattr(owner, name)

    @functools.wraps(function)
    def deadly(*args: Any, **kwargs: Any) -> None:
        if when == "after":
            function(*args, **kwargs)
        os.kill(os.getpid(), signal.SIGKILL)

    setattr(owner, name, deadly)


def work(command: dict[str, Any]) -> None:
    """Be a worker."""
    from airflow_provider_veo3.operators._generating import GeneratingOperator
    from airflow_provider_veo3.submission.decisions import Timings
    from tests.support.runs import TASK, generating
    from tests.support.task_runs import Run

    os.environ.update(command["environ"])
    GeneratingOperator.timings = Timings(listing_lag=0.5, peer_patience=0.1)
    if command["point"] is not None:
        die_at(*POINTS[command["point"]])
    run = Run.__new__(Run)
    run.dag, run.run_id = generating(**command["dag"]), command["run_id"]
    run.attempt(TASK, command["map_index"])


async def prepare(api: InProcessExecutionAPI) -> None:
    """Let Airflow's API make its routes now, which takes seconds, not again in each worker."""
    library: Any = importlib.import_module(type(api.atransport).__module__.partition(".")[0])
    async with library.AsyncClient(transport=api.atransport, base_url="http://airflow") as client:
        assert (await client.get("/nothing")).status_code == HTTPStatus.NOT_FOUND


def main() -> None:
    """Fork workers until nobody wants any more."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # whatever Airflow prints
    from tests.support import runs  # noqa: F401
    from tests.support.airflow_versions import supervisor

    asyncio.run(prepare(supervisor().in_process_api_server()))
    for line in sys.stdin:
        assert threading.active_count() == 1
        children = []
        for command in json.loads(line):
            child = os.fork()
            if child == 0:
                try:
                    work(command)
                except BaseException:  # noqa: BLE001 - a child must not go on as its parent
                    sys.excepthook(*sys.exc_info())
                    os._exit(1)
                os._exit(0)
            children.append(child)
        codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
        print(json.dumps(codes), file=answers, flush=True)


if __name__ == "__main__":
    main()
