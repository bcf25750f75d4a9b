"""Claims of the tasks of a run: in whatever order they act, two tasks never get the same generation."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import pytest
from greenlet import greenlet
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_veo3.links import MANIFEST_KEY
from airflow_provider_veo3.submission.claims import CLAIM_KEY, REQUEST_KEY, STANDOFF, Peers, RunClaims
from airflow_provider_veo3.submission.decisions import PRODUCTION

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_provider_veo3.api.clock import Clock

TASK_IDS = ("generate", "other")


class NoWait:
    """A clock whose sleeps take no time and are counted."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    def time(self) -> float:
        return 0.0

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


class Tasks:
    """XComs of a run, and its tasks' reads and writes in an order that a test decides."""

    def __init__(self, step: Callable[[], None] | None = None) -> None:
        self.xcoms: dict[tuple[str, str, int], Any] = {}
        self.step = step or yield_to_others

    def claims(self, task_id: str, map_index: int = -1, clock: Clock | None = None) -> RunClaims:
        dag = type("Dag", (), {"tasks": [type("T", (), {"task_id": name})() for name in TASK_IDS]})
        ti = Instance(self, task_id, map_index)
        return RunClaims({"ti": ti, "dag": dag}, object, clock or NoWait())  # type: ignore[arg-type]

    def publish(self, generation_id: str, task_id: str, map_index: int = -1) -> None:
        manifest = {"version": 1, "id": generation_id, "map_index": map_index}
        Instance(self, task_id, map_index).xcom_push(key=MANIFEST_KEY, value=manifest)

    def claimed(self) -> list[Any]:
        return [value["id"] for (key, *_), value in self.xcoms.items() if key == CLAIM_KEY]


class Instance:
    """A task instance, whose every access to the XComs lets others go first."""

    def __init__(self, run: Tasks, task_id: str, map_index: int) -> None:
        self._run, self.task_id, self.map_index = run, task_id, map_index

    def xcom_push(self, *, key: str, value: Any) -> None:
        self._run.step()
        self._run.xcoms[key, self.task_id, self.map_index] = value

    def xcom_pull(self, *, task_ids: str, key: str) -> Any:
        self._run.step()
        found = [
            value
            for (name, task, _), value in sorted(self._run.xcoms.items())
            if (name, task) == (key, task_ids)
        ]
        # as Airflow does: nothing, one alone, or all
        return None if not found else found[0] if len(found) == 1 else found


def yield_to_others() -> None:
    parent = greenlet.getcurrent().parent
    if parent is not None:
        parent.switch()


def run_interleaved(works: list[Callable[[], Any]], schedule: Iterator[int]) -> list[Any]:
    """Run functions a step at a time, the schedule choosing whose, and return their results."""
    results: dict[int, Any] = {}

    def running(number: int, work: Callable[[], Any]) -> greenlet:
        return greenlet(lambda: results.__setitem__(number, work()))

    alive = {number: running(number, work) for number, work in enumerate(works)}
    while alive:
        numbers = sorted(alive)
        number = numbers[next(schedule) % len(numbers)]
        alive[number].switch()
        if alive[number].dead:
            del alive[number]
    return [results[number] for number in range(len(works))]


class Schedules:
    """Every order of the first steps, one after the other; behind them all take turns."""

    def __init__(self, choices: int, depth: int) -> None:
        self._choices, self._depth = choices, depth
        self.prefix: list[int] = []

    def __iter__(self) -> Iterator[Iterator[int]]:
        while True:
            taken: list[int] = []
            yield self._choose(taken)
            taken = taken[: self._depth]
            while taken and taken[-1] == self._choices - 1:
                taken.pop()
            if not taken:
                return
            self.prefix = [*taken[:-1], taken[-1] + 1]

    def _choose(self, taken: list[int]) -> Iterator[int]:
        turn = 0
        while True:
            chosen = self.prefix[len(taken)] if len(taken) < len(self.prefix) else 0
            turn += 1
            taken.append(chosen)
            yield chosen if len(taken) <= self._depth else turn


@pytest.mark.parametrize(
    ("holders", "depth"),
    [((("generate", 0), ("generate", 1)), 10), ((("generate", 0), ("generate", 1), ("other", -1)), 7)],
    ids=["two", "three"],
)
def test_of_those_that_claim_at_once_exactly_one_gets_it(
    holders: tuple[tuple[str, int], ...], depth: int
) -> None:
    tried = 0
    for schedule in Schedules(len(holders), depth):
        run = Tasks()
        claiming = [run.claims(*holder) for holder in holders]
        results = run_interleaved([lambda c=c: c.claim("veo_1") for c in claiming], schedule)  # type: ignore[misc]
        assert results.count(True) == 1, run.xcoms
        assert run.claimed().count("veo_1") == 1
        tried += 1
    assert tried > 1000


class Timeline:
    """Tasks whose every access to the XComs takes as long as a test says; the earliest one acts next."""

    def __init__(self, delays: Iterator[float]) -> None:
        self._delays = delays
        self._now: dict[Any, float] = {}

    def step(self) -> None:
        if greenlet.getcurrent() in self._now:
            self.pass_time(next(self._delays))

    def pass_time(self, seconds: float) -> None:
        self._now[greenlet.getcurrent()] += seconds
        greenlet.getcurrent().parent.switch()

    def now(self) -> float:
        return self._now.get(greenlet.getcurrent(), 0.0)

    def run(self, works: list[Callable[[], Any]]) -> list[Any]:
        results: dict[int, Any] = {}
        for number, work in enumerate(works):
            self._now[greenlet(lambda n=number, w=work: results.__setitem__(n, w()))] = 0.0
        while self._now:
            earliest = min(self._now, key=self._now.__getitem__)
            earliest.switch()
            if earliest.dead:
                del self._now[earliest]
        return [results[number] for number in range(len(works))]


class TimelineClock:
    def __init__(self, timeline: Timeline) -> None:
        self._timeline = timeline

    def time(self) -> float:
        return self._timeline.now()

    def sleep(self, seconds: float) -> None:
        self._timeline.pass_time(seconds)


@settings(max_examples=400)
@given(
    st.lists(st.one_of(st.floats(0, 1), st.floats(0, 200)), max_size=40),
    st.floats(0, 120),
    st.sampled_from([(0, 1), (1, 0)]),
)
def test_an_id_that_is_only_published_is_never_adopted_as_well(
    delays: list[float], first_seen: float, order: tuple[int, int]
) -> None:
    """A task that met no fault makes no claim unless it is late; the one that searches waits for it."""
    timeline = Timeline(itertools.chain(delays, itertools.repeat(0.1)))
    run = Tasks(timeline.step)
    clock = TimelineClock(timeline)
    publishing, searching = (run.claims("generate", index, clock) for index in order)

    publishing.announce("a", "x")
    searching.announce("a", "x")

    def publish() -> bool:
        run.publish("veo_1", "generate", order[0])  # accepted at 0
        return timeline.now() <= PRODUCTION.publishing or publishing.claim("veo_1")

    def adopt() -> bool:
        timeline.pass_time(first_seen)
        peers = searching.peers()
        if "veo_1" in peers.taken:
            return False
        if peers.rivals:
            timeline.pass_time(PRODUCTION.peer_patience)
        return "veo_1" not in searching.peers().taken and searching.claim("veo_1")

    assert timeline.run([publish, adopt]).count(True) == 1


def test_a_generation_that_is_claimed_meanwhile_is_seen_once() -> None:
    """A peer counts either as searching or as having claimed, never as neither."""
    seen = set()
    for schedule in Schedules(2, 8):
        run = Tasks()
        claiming, reading = run.claims("generate", 0), run.claims("generate", 1)
        claiming.announce("a", "x")
        reading.announce("a", "x")
        _, peers = run_interleaved([lambda c=claiming: c.claim("veo_1"), reading.peers], schedule)  # type: ignore[misc]
        assert len(peers.taken) + peers.rivals == 1
        seen.add(peers.rivals)
    assert seen == {0, 1}


def test_a_claimed_generation_belongs_to_nobody_else() -> None:
    run = Tasks()
    later, first = run.claims("other"), run.claims("generate", 0)
    assert later.claim("veo_1")
    assert not first.claim("veo_1")
    assert first.claim("veo_2")
    assert first.peers().taken == {"veo_1"}
    assert later.peers().taken == {"veo_2"}
    assert later.claim("veo_1"), "its own claim is no obstacle"


def test_a_published_generation_belongs_to_nobody_else() -> None:
    run = Tasks()
    ours = run.claims("generate", 0)
    run.publish("veo_1", "generate", 1)
    run.publish("veo_2", "other")
    run.publish("veo_3", "generate", 0)
    assert ours.peers() == Peers(frozenset({"veo_1", "veo_2"})), "its own manifest is no obstacle"


@pytest.mark.parametrize("first", [0, 1], ids=["the first in order", "the later one"])
def test_a_task_that_was_taken_for_dead_and_goes_on_gets_nothing_that_another_has(first: int) -> None:
    """A suspended worker, at whichever of its steps that is, and of the other's it goes on."""
    outcomes = set()
    for steps, others in itertools.product(range(10), range(4 * STANDOFF)):
        run = Tasks()
        claiming = [run.claims("generate", 0), run.claims("generate", 1)]
        schedule = itertools.chain([first] * steps, [1 - first] * others, itertools.repeat(first))
        results = run_interleaved([lambda c=c: c.claim("veo_1") for c in claiming], schedule)  # type: ignore[misc]
        assert results.count(True) == 1, (steps, others, run.xcoms)
        assert run.claimed().count("veo_1") == 1
        outcomes.add(tuple(results))
    assert len(outcomes) == 2


def test_a_task_that_died_claiming_is_not_waited_for_for_ever() -> None:
    run = Tasks()
    run.claims("other")._push("veo_1")
    clock = NoWait()
    assert run.claims("generate", 0, clock).claim("veo_1")
    assert len(clock.slept) == STANDOFF


def test_rivals_are_tasks_that_still_search_for_the_same_request() -> None:
    run = Tasks()
    ours, same, other, done, withdrawn = (run.claims("generate", index) for index in range(5))
    assert ours.peers().rivals == 0, "it has asked for nothing yet"
    for claims, wanted in ((ours, "a"), (same, "a"), (other, "b"), (done, "a"), (withdrawn, "a")):
        claims.announce(wanted, wanted)
    assert done.claim("veo_1")
    withdrawn.withdraw()
    assert ours.peers().rivals == 1
    assert other.peers().rivals == 0
    assert not ours.claim("veo_1")
    assert same.peers().rivals == 1, "a task that lost a contested claim searches on"


def test_lookalikes_are_tasks_that_search_for_another_request_which_the_history_lists_alike() -> None:
    run = Tasks()
    ours, same, alike, unlike, done, withdrawn = (run.claims("generate", index) for index in range(6))
    for claims, wanted, listed in (
        (ours, "a", "x"),
        (same, "a", "x"),
        (alike, "b", "x"),
        (unlike, "c", "y"),
        (done, "d", "x"),
        (withdrawn, "e", "x"),
    ):
        claims.announce(wanted, listed)
    assert done.claim("veo_1")
    withdrawn.withdraw()
    assert ours.peers() == Peers(frozenset({"veo_1"}), rivals=1, lookalikes=1)
    assert unlike.peers().lookalikes == 0


class Generating:
    task_id = "generate"


class Mapped:
    task_id = "mapped"
    operator_class = Generating


class Another:
    task_id = "download"


class Recording:
    task_id, map_index = "generate", -1

    def __init__(self) -> None:
        self.pulled: list[tuple[str, str]] = []

    def xcom_pull(self, *, task_ids: str, key: str) -> None:
        self.pulled.append((task_ids, key))


def test_only_generating_tasks_are_peers() -> None:
    ti = Recording()
    dag = type("Dag", (), {"tasks": [Generating(), Mapped(), Another()]})
    assert RunClaims({"ti": ti, "dag": dag}, Generating).peers() == Peers(frozenset())  # type: ignore[arg-type]
    keys = (REQUEST_KEY, CLAIM_KEY, MANIFEST_KEY)
    assert sorted(ti.pulled) == sorted(itertools.product(("generate", "mapped"), keys))


def test_an_edited_claim_is_passed_over_and_an_edited_manifest_still_counts() -> None:
    tasks = Tasks(step=lambda: None)
    for key, holder in ((CLAIM_KEY, 5), (CLAIM_KEY, ["generate"]), (REQUEST_KEY, None)):
        edited = {"holder": holder, "id": "veo_2", "held": True, "fingerprint": "a", "listed": "x"}
        tasks.xcoms[key, TASK_IDS[0], len(tasks.xcoms)] = edited
    manifest = {"id": "veo_1", "map_index": "x"}
    tasks.xcoms[MANIFEST_KEY, TASK_IDS[0], 0] = manifest
    assert tasks.claims(TASK_IDS[1]).peers() == Peers(frozenset({"veo_1"}))


def test_a_task_without_peers_reads_and_writes_no_claims() -> None:
    ti = Recording()  # which cannot push
    dag = type("Dag", (), {"tasks": [Generating(), Another()]})
    claims = RunClaims({"ti": ti, "dag": dag}, Generating)  # type: ignore[arg-type]
    claims.announce("a", "x")
    assert claims.peers() == Peers(frozenset())
    assert claims.claim("veo_1")
    claims.withdraw()
    assert ti.pulled == []
