"""One campaign from its start to its verdict."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import httpx

from chaos import report
from chaos.airflow import DAG_ID, EMBEDDED, ChaosAirflow
from chaos.distributed import COMPONENTS, EXECUTORS, BackEnd
from chaos.facts import collect_delivered, collect_truth, rescues, settled_ledger
from chaos.hunter import Hunter
from chaos.observer import observing, read_findings
from chaos.plan import make_plan
from chaos.verdict import Facts, Verdict, judge, read_accepted
from testbed.airflow_api import FINISHED, AirflowApiError
from testbed.emulator import EmulatorProcess
from testbed.watch import Clock

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chaos.plan import Plan, Wanted

VICTIMS: Final = {
    # who, and how often in relation to the others; +: with everything below it
    "embedded": (
        ("task", 4),
        ("supervisor", 2),
        ("supervisor+task", 2),
        ("triggerer", 2),
        ("triggerer+all", 1),
        ("scheduler", 2),
        ("scheduler+all", 1),
        ("api-server", 1),
    ),
    "distributed": (
        ("task", 3),
        ("supervisor", 2),
        ("supervisor+task", 1),
        ("worker", 2),
        ("worker+all", 2),
        ("triggerer", 2),
        ("triggerer+all", 1),
        ("scheduler", 2),
        ("api-server", 1),
    ),
}
POLL_INTERVAL: Final = 1
WANTED: Final = "wanted.json"
PROGRESS: Final = 20.0
"""Seconds between two lines of progress."""


@dataclass(frozen=True)
class Order:
    """What the command line asks for.

    :param mode: ``embedded`` or ``distributed``.
    :param durable: the operator's own parameter; ``False`` shows what the promise is worth without it.
    :param timeout: seconds until a campaign that does not end is given up.
    """

    mode: str
    seed: int
    generations: int
    kills: int
    durable: bool = True
    timeout: float = 1800.0


@dataclass
class Outcome:
    """How a campaign ended.

    :param faults: that met a request, by kind.
    :param kills: by victim.
    :param moments: what was going on when somebody was killed or made to hang.
    :param hangs: how many.
    :param nudges: restarts of a scheduler whose executor had forgotten a task.
    :param restarts: by component; more than it was killed where it died by itself.
    :param rescued: paid generations that a later attempt took up, by how it knew of them.
    :param attempts: of all tasks together.
    :param looks: of the observer.
    :param seconds: from the start of everything.
    :param logs: where they are, if the verdict is bad.
    """

    verdict: Verdict
    faults: Counter[str]
    kills: Counter[str]
    moments: Counter[str]
    hangs: int
    nudges: int
    restarts: Counter[str]
    rescued: Counter[str]
    attempts: int
    looks: int
    seconds: float
    logs: Path | None = None


def run(order: Order) -> Outcome:
    """Run a campaign, print how it goes, and give what came out; its logs stay if anything went wrong."""
    clock = Clock()
    plan = make_plan(order.seed, order.generations, order.kills, VICTIMS[order.mode])
    folder = Path(tempfile.mkdtemp(prefix=f"veo3-chaos-{order.mode}-"))
    destination = folder / "videos"
    destination.mkdir()
    clock.say(f"{order.mode}: {order.generations} generations, {order.kills} kills, seed {order.seed}")
    try:
        with ExitStack() as stack:
            emulator = stack.enter_context(EmulatorProcess(**plan.emulator))
            env = {
                "AIRFLOW_CONN_VEO3_DEFAULT": emulator.connection(poll_interval=POLL_INTERVAL),
                "CHAOS_DESTINATION": f"file://{destination}",
                "CHAOS_WANTED": str(folder / WANTED),
                "CHAOS_DURABLE": str(order.durable).lower(),
            }
            airflow = _airflow(order.mode, env, stack, folder)
            (folder / "airflow").symlink_to(airflow.home)
            stack.enter_context(airflow)
            clock.say("Airflow is healthy")
            airflow.wait_for_dags([DAG_ID])
            outcome = _Campaign(order, plan, airflow, emulator, folder, clock).run()
    except Exception:
        clock.say(f"{order.mode}: ended early; all logs: {folder}")
        raise
    if outcome.verdict.kept:
        shutil.rmtree(airflow.home, ignore_errors=True)
        shutil.rmtree(folder, ignore_errors=True)
    else:
        outcome.logs = folder
    return outcome


def _airflow(mode: str, env: dict[str, str], stack: ExitStack, folder: Path) -> ChaosAirflow:
    if mode == "embedded":
        return ChaosAirflow(env, components=EMBEDDED)
    back_end = stack.enter_context(BackEnd(folder))
    return ChaosAirflow(env | back_end.env(), components=COMPONENTS, executors=EXECUTORS)


def write_wanted(folder: Path, wanted: Sequence[Wanted]) -> None:
    """Write down what the DAG is to make, for it to read when it runs."""
    (folder / WANTED).write_text(json.dumps([asdict(each) for each in wanted]), encoding="utf-8")


@dataclass
class _Campaign:
    order: Order
    plan: Plan
    airflow: ChaosAirflow
    emulator: EmulatorProcess
    folder: Path
    clock: Clock

    def run(self) -> Outcome:
        for fault in self.plan.faults:
            self.emulator.inject(fault)
        findings = self.folder / "sightings.jsonl"
        hunter = Hunter(self.airflow, self.plan.kills, self.emulator)
        with observing(self.folder / "videos", findings), hunter:
            waves: dict[str, tuple[Wanted, ...]] = {}
            state = "success"
            hunter.start()
            while not waves or (state == "success" and not hunter.through):  # until all kills are done
                run_id = f"wave-{len(waves) + 1}"
                waves[run_id] = self.plan.wave(len(waves) + 1)
                write_wanted(self.folder, waves[run_id])
                self.airflow.begin_run(run_id)
                state = self._follow(run_id, hunter)
            hunter.stop()
            faults = self._faults_met()
            self.emulator.clear_faults()
            ledger = settled_ledger(self.emulator)
        self._keep(ledger)
        if hunter.error is not None:
            raise hunter.error
        self.airflow.wait_until_answering()
        sightings, looks = read_findings(findings)
        facts = Facts(
            wanted=[each.prompt for wanted in waves.values() for each in wanted],
            accepted=read_accepted(ledger),
            delivered=[
                each
                for run_id, wanted in waves.items()
                for each in collect_delivered(self.airflow, run_id, wanted)
            ],
            sightings=sightings,
            looks=looks,
            truth=collect_truth(self.emulator, ledger),
            run_state=state,
            kills_planned=self.order.kills,
            kills=hunter.done,
            key_leaks=len(ledger["api_key_leaks"]),
        )
        return Outcome(
            verdict=judge(facts),
            faults=faults,
            kills=hunter.done,
            moments=hunter.moments,
            hangs=hunter.hangs,
            nudges=hunter.nudges,
            restarts=hunter.restarts,
            rescued=rescues(self.airflow.home),
            attempts=sum(task["try_number"] for run_id in waves for task in self.airflow.task_states(run_id)),
            looks=looks,
            seconds=self.clock.seconds,
        )

    def _follow(self, run_id: str, hunter: Hunter) -> str:
        """Wait for the end of the DAG run, and say now and then how far it is."""
        deadline = time.monotonic() + self.order.timeout
        next_line = 0.0
        while time.monotonic() < deadline and hunter.error is None:
            time.sleep(1)
            states: Counter[str] = Counter()
            try:
                state = self.airflow.api.run_state(DAG_ID, run_id)
                if state in FINISHED:
                    return state
                if time.monotonic() >= next_line:
                    states.update(str(task["state"]) for task in self.airflow.task_states(run_id))
            except (httpx.HTTPError, AirflowApiError):  # it is being shot at
                pass
            if time.monotonic() >= next_line:
                next_line = time.monotonic() + PROGRESS
                self.clock.say(report.progress(states, self.emulator.ledger(), hunter.done))
        return f"still running after {self.order.timeout:.0f} s"

    def _faults_met(self) -> Counter[str]:
        met: Counter[str] = Counter()
        for fault in self.emulator.faults():
            met[report.fault_name(fault)] += fault["met"]
        return +met

    def _keep(self, ledger: dict[str, Any]) -> None:
        """Put what a person would want to read beside the logs."""
        (self.folder / "ledger.json").write_text(json.dumps(ledger, indent=1), encoding="utf-8")
        shutil.copy(self.emulator.log_file, self.folder / "emulator.log")
