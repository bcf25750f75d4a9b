"""One campaign, from the start of its processes to the verdict."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import httpx

from chaos.distributed import DISTRIBUTED, WORKERS, Servers
from chaos.evidence import collect_deliveries, count_reused, expected_files, settled_ledger
from chaos.killable_airflow import DAG_ID, KillableAirflow
from chaos.killer import ProcessKiller
from chaos.observer import observing, read_observations
from chaos.plan import fault_name, make_plan
from chaos.report import progress_line
from chaos.verdict import Evidence, Outcome, judge, read_ledger
from testbed.airflow_api import FINISHED_STATES, AirflowApiError
from testbed.console import Progress
from testbed.emulator import EmulatorProcess

if TYPE_CHECKING:
    from chaos.plan import Plan, VideoRequest

POLL_INTERVAL: Final = 1
"""Seconds between two polls of a generation, as the connection's extra."""

PROGRESS_INTERVAL: Final = 20.0
"""Seconds between two progress lines."""

VIDEOS: Final = "videos"
REQUESTS: Final = "requests.json"
OBSERVATIONS: Final = "observations.jsonl"


@dataclass(frozen=True)
class Options:
    """Options of a campaign.

    :param mode: ``embedded`` (SQLite and LocalExecutor) or ``distributed`` (PostgreSQL and Celery).
    :param seed: seed of the plan.
    :param generations: videos requested per DAG run.
    :param kills: number of SIGKILLs.
    :param durable: the operator's parameter; ``False`` shows what happens without its record.
    :param timeout: seconds after which a DAG run that has not ended fails the campaign.
    """

    mode: str
    seed: int
    generations: int
    kills: int
    durable: bool = True
    timeout: float = 1800.0


def run_campaign(options: Options) -> Outcome:
    """Run a campaign and print its progress; if it fails, its logs are kept."""
    progress = Progress()
    plan = make_plan(options.mode, options.seed, options.generations, options.kills)
    folder = Path(tempfile.mkdtemp(prefix=f"veo3-chaos-{options.mode}-"))
    (folder / VIDEOS).mkdir()
    progress.show(
        f"{options.mode}: generations {options.generations}, kills {options.kills}, seed {options.seed}"
    )
    try:
        with ExitStack() as stack:
            emulator = stack.enter_context(EmulatorProcess(**plan.emulator))
            env = {
                "AIRFLOW_CONN_VEO3_DEFAULT": emulator.connection(poll_interval=POLL_INTERVAL),
                "CHAOS_DESTINATION": f"file://{folder / VIDEOS}",
                "CHAOS_REQUESTS": str(folder / REQUESTS),
                "CHAOS_DURABLE": str(options.durable).lower(),
            }
            airflow = _new_airflow(options.mode, env, stack, folder)
            (folder / "airflow").symlink_to(airflow.home)
            stack.enter_context(airflow)
            progress.show("Airflow is healthy")
            airflow.wait_for_dags([DAG_ID])
            outcome = _Campaign(options, plan, airflow, emulator, folder, progress).run()
    except Exception:
        progress.show(f"{options.mode}: the campaign ended with an error; all logs are in {folder}")
        raise
    if outcome.verdict.passed:
        shutil.rmtree(airflow.home, ignore_errors=True)
        shutil.rmtree(folder, ignore_errors=True)
    else:
        outcome.logs = folder
    return outcome


def _new_airflow(mode: str, env: dict[str, str], stack: ExitStack, folder: Path) -> KillableAirflow:
    if mode == "embedded":
        return KillableAirflow(env)
    servers = stack.enter_context(Servers(folder))
    return KillableAirflow(env | servers.env(), components=DISTRIBUTED, executors=WORKERS)


@dataclass
class _Campaign:
    """A campaign whose processes run.

    :param waves: requests of each DAG run, by run id.
    """

    options: Options
    plan: Plan
    airflow: KillableAirflow
    emulator: EmulatorProcess
    folder: Path
    progress: Progress
    waves: dict[str, tuple[VideoRequest, ...]] = field(default_factory=dict)

    def run(self) -> Outcome:
        """Run the campaign to its end and return its outcome."""
        for fault in self.plan.faults:
            self.emulator.inject(fault)
        killer = ProcessKiller(self.airflow, self.plan.kills, self.emulator)
        with observing(self.folder / VIDEOS, self.folder / OBSERVATIONS), killer:
            killer.start()
            state = self._run_waves(killer)
            killer.stop()
            faults = self._count_faults_met()
            self.emulator.clear_faults()
            ledger = settled_ledger(self.emulator)
        self._keep_for_reading(ledger)
        if killer.error is not None:
            raise killer.error
        self.airflow.wait_until_responding()
        evidence = self._collect_evidence(killer, state, ledger)
        return Outcome(
            verdict=judge(evidence),
            killed=killer.counts,
            faults=faults,
            reused=count_reused(self.airflow.home),
            attempts=sum(
                task["try_number"]
                for run_id in self.waves
                for task in self.airflow.api.task_instances(DAG_ID, run_id)
            ),
            scans=evidence.scans,
            seconds=self.progress.seconds,
        )

    def _run_waves(self, killer: ProcessKiller) -> str:
        """Start DAG runs until all kills are done; return the last run's state."""
        while True:
            number = len(self.waves) + 1
            run_id, requests = f"wave-{number}", self.plan.wave(number)
            self.waves[run_id] = requests
            rows = [asdict(each) for each in requests]
            (self.folder / REQUESTS).write_text(json.dumps(rows), encoding="utf-8")
            self.airflow.start_run(run_id)
            state = self._wait_for_run(run_id, killer)
            if state != "success" or killer.finished:
                return state

    def _wait_for_run(self, run_id: str, killer: ProcessKiller) -> str:
        """Wait for the end of a DAG run, and return its state."""
        deadline = time.monotonic() + self.options.timeout
        next_line = 0.0
        while time.monotonic() < deadline and killer.error is None:
            time.sleep(1)
            states: Counter[str] = Counter()
            try:
                state = self.airflow.api.run_state(DAG_ID, run_id)
                if state in FINISHED_STATES:
                    return state
                if time.monotonic() >= next_line:
                    tasks = self.airflow.api.task_instances(DAG_ID, run_id)
                    states.update(str(task["state"]) for task in tasks)
            except (httpx.HTTPError, AirflowApiError):  # the API server may have been killed
                pass
            if time.monotonic() >= next_line:
                next_line = time.monotonic() + PROGRESS_INTERVAL
                line = progress_line(states, self.emulator.ledger(), killer.counts.kills)
                self.progress.show(line)
        return f"still running after {self.options.timeout:.0f} s"

    def _collect_evidence(self, killer: ProcessKiller, state: str, ledger: dict[str, Any]) -> Evidence:
        observations, scans = read_observations(self.folder / OBSERVATIONS)
        return Evidence(
            requested=[each.prompt for requests in self.waves.values() for each in requests],
            ledger=read_ledger(ledger),
            deliveries=[
                delivery
                for run_id, requests in self.waves.items()
                for delivery in collect_deliveries(self.airflow, run_id, requests)
            ],
            observations=observations,
            scans=scans,
            expected_files=expected_files(self.emulator, ledger),
            run_state=state,
            kills_planned=self.options.kills,
            kills=killer.counts.kills,
            key_leaks=len(ledger["api_key_leaks"]),
        )

    def _count_faults_met(self) -> Counter[str]:
        met: Counter[str] = Counter()
        for fault in self.emulator.faults():
            met[fault_name(fault)] += fault["met"]
        return +met

    def _keep_for_reading(self, ledger: dict[str, Any]) -> None:
        """Write the ledger and the emulator's log to the folder of the logs."""
        (self.folder / "ledger.json").write_text(json.dumps(ledger, indent=1), encoding="utf-8")
        shutil.copy(self.emulator.log_file, self.folder / "emulator.log")
