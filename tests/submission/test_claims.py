"""However the tasks of a run come between one another, two never take the same generation."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import pytest
from greenlet import greenlet

from airflow_provider_veo3.submission import claims as claims_module
from airflow_provider_veo3.submission.claims import STANDOFF, RunClaims, Survey

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TASK_IDS = ("generate", "other")


class Tasks:
    """The XComs of a run, and its tasks' reads and writes in an order that a test decides."""

    def __init__(self) -> None:
        self.xcoms: dict[tuple[str, int], Any] = {}

    def claims(self, task_id: str, map_index: int = -1) -> RunClaims:
        dag = type("Dag", (), {"tasks": [type("T", (), {"task_id": name})() for name in TASK_IDS]})
        ti = Instance(self, task_id, map_index)
        return RunClaims({"ti": ti, "dag": dag}, object)  # type: ignore[arg-type]


class Instance:
    """A task instance, whose every access to the XComs lets others go first."""

    def __init__(self, run: Tasks, task_id: str, map_index: int) -> None:
        self._run, self.task_id, self.map_index = run, task_id, map_index

    def xcom_push(self, *, key: str, value: Any) -> None:
        yield_to_others()
        self._run.xcoms[self.task_id, self.map_index] = value

    def xcom_pull(self, *, task_ids: str, key: str) -> Any:
        yield_to_others()
        found = [value for (name, _), value in sorted(self._run.xcoms.items()) if name == task_ids]
        # as Airflow does: nothing, one alone, or all
        return None if not found else found[0] if len(found) == 1 else found


def yield_to_others() -> None:
    parent = greenlet.getcurrent().parent
    if parent is not None:
        parent.switch()


def run_interleaved(works: list[Callable[[], Any]], schedule: Iterator[int]) -> list[Any]:
    """Run functions a step at a time, the schedule choosing whose, and give their results."""
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


@pytest.fixture(autouse=True)
def _looking_again_takes_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims_module, "LOOK_AGAIN", 0.0)


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
        assert sum(claim["id"] == "veo_1" for claim in run.xcoms.values()) == 1
        tried += 1
    assert tried > 1000


def test_one_that_takes_its_generation_meanwhile_is_seen_once() -> None:
    """Either as waiting or as having taken it; in neither place, the rest would be one too many."""
    seen = set()
    for schedule in Schedules(2, 8):
        run = Tasks()
        taking, looking = run.claims("generate", 0), run.claims("generate", 1)
        taking.want("a")
        looking.want("a")
        _, others = run_interleaved([lambda c=taking: c.claim("veo_1"), looking.survey], schedule)  # type: ignore[misc]
        assert len(others.taken) + others.rivals == 1
        seen.add(others.rivals)
    assert seen == {0, 1}


def test_a_held_generation_is_nobody_else_s() -> None:
    run = Tasks()
    later, first = run.claims("other"), run.claims("generate", 0)
    assert later.claim("veo_1")
    assert not first.claim("veo_1")
    assert first.claim("veo_2")
    assert first.survey().taken == {"veo_1"}
    assert later.survey().taken == {"veo_2"}
    assert later.claim("veo_1"), "its own claim is no obstacle"


@pytest.mark.parametrize("first", [0, 1], ids=["the first in order", "the later one"])
def test_one_that_was_taken_for_dead_and_goes_on_gets_nothing_that_another_has(first: int) -> None:
    """A suspended worker, at whichever of its steps that is, and of the other's it goes on."""
    outcomes = set()
    for steps, others in itertools.product(range(10), range(4 * STANDOFF)):
        run = Tasks()
        claiming = [run.claims("generate", 0), run.claims("generate", 1)]
        schedule = itertools.chain([first] * steps, [1 - first] * others, itertools.repeat(first))
        results = run_interleaved([lambda c=c: c.claim("veo_1") for c in claiming], schedule)  # type: ignore[misc]
        assert results.count(True) == 1, (steps, others, run.xcoms)
        assert sum(claim["id"] == "veo_1" for claim in run.xcoms.values()) == 1
        outcomes.add(tuple(results))
    assert len(outcomes) == 2


def test_a_task_that_died_claiming_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    run = Tasks()
    dead = run.claims("other")
    dead._push("veo_1")
    pauses: list[float] = []
    monkeypatch.setattr(claims_module.time, "sleep", pauses.append)
    assert run.claims("generate", 0).claim("veo_1")
    assert len(pauses) == STANDOFF


def test_rivals_are_those_that_still_wait_for_the_same() -> None:
    run = Tasks()
    ours, same, other, done, refused = (run.claims("generate", index) for index in range(5))
    assert ours.survey().rivals == 0, "it wants nothing yet"
    for claims, wanted in ((ours, "a"), (same, "a"), (other, "b"), (done, "a"), (refused, "a")):
        claims.want(wanted)
    assert done.claim("veo_1")
    refused.want(None)
    assert ours.survey().rivals == 1
    assert other.survey().rivals == 0
    assert not ours.claim("veo_1")
    assert same.survey().rivals == 1, "one that lost the race waits on"


def test_lookalikes_are_those_that_wait_for_something_else_which_the_history_shows_alike() -> None:
    run = Tasks()
    ours, same, alike, unlike, done, refused = (run.claims("generate", index) for index in range(6))
    for claims, wanted, looks in (
        (ours, "a", "x"),
        (same, "a", "x"),
        (alike, "b", "x"),
        (unlike, "c", "y"),
        (done, "d", "x"),
        (refused, "e", "x"),
    ):
        claims.want(wanted, looks)
    assert done.claim("veo_1")
    refused.want(None)
    assert ours.survey() == Survey(frozenset({"veo_1"}), rivals=1, lookalikes=1)
    assert unlike.survey().lookalikes == 0


def test_only_generating_tasks_claim() -> None:
    class Generating:
        task_id = "generate"

    class Mapped:
        task_id = "mapped"
        operator_class = Generating

    class Another:
        task_id = "download"

    class Pulling:
        task_id, map_index = "generate", -1
        pulled: list[str] = []  # noqa: RUF012

        def xcom_pull(self, *, task_ids: str, key: str) -> None:
            self.pulled.append(task_ids)

    ti = Pulling()
    dag = type("Dag", (), {"tasks": [Generating(), Mapped(), Another()]})
    assert RunClaims({"ti": ti, "dag": dag}, Generating).survey() == Survey(frozenset(), 0, 0)  # type: ignore[arg-type]
    assert ti.pulled == ["generate", "mapped"]
