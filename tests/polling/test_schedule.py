"""Polls and their requests over accounts, histories and errors of every kind, without a clock."""

from __future__ import annotations

import random
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_veo3 import exceptions as errors
from airflow_provider_veo3.api.models import Generation, Status
from airflow_provider_veo3.history.pages import Page
from airflow_provider_veo3.polling.durations import Durations
from airflow_provider_veo3.polling.result import Ending
from airflow_provider_veo3.polling.schedule import Request, StatusRequest
from tests.support.world import DAY, FAST, START, World

LISTINGS: dict[str, dict[str, Any]] = {
    "new to old": {},
    "old to new": {"old_to_new": True},
    "no totals": {"totals": None},
    "totals of everything": {"totals": "all"},
    "no filter": {"filters": False},
    "old to new, no filter": {"old_to_new": True, "filters": False},
    "old to new, no totals": {"old_to_new": True, "totals": None},
}
any_listing = pytest.mark.parametrize("listing", LISTINGS.values(), ids=LISTINGS.keys())


def seconds_of(world: World) -> list[float]:
    return [moment - START for moment, _ in world.requests]


def limited(seconds: float) -> errors.Veo3RateLimitError:
    return errors.Veo3RateLimitError("slow down", status=429, retry_after=seconds)


def campaign(world: World, number: int, in_flight: int, seed: int) -> None:
    """Run generations of 60 to 120 s, each submitted as soon as another has ended."""
    dice = random.Random(seed)
    left = number

    def submit(_: str = "") -> None:
        nonlocal left
        if left:
            left -= 1
            world.wait(world.job(dice.uniform(60, 120)))

    for _ in range(in_flight):
        submit()
    world.run(on_end=submit)


@pytest.mark.parametrize("seed", range(5))
def test_a_campaign_costs_less_than_five_requests_a_video(seed: int) -> None:
    world = World(jitter=random.Random(seed).random)
    campaign(world, 100, 5, seed)
    delays = world.delays()
    assert len(delays) == 100
    submissions = 100
    assert (len(world.requests) + submissions) / 100 <= 5.5
    assert delays[95] <= 5.0
    assert world.singles.count(world.singles[0]) == len(world.singles) if world.singles else True


def test_one_waiter_is_polled_by_status_and_not_before_it_can_be_done() -> None:
    world = World()
    world.wait(world.job(62))
    world.run()
    assert world.pages == []
    assert seconds_of(world)[0] == pytest.approx(30), "half of the vendor's minute"
    assert len(world.requests) == 8
    assert world.delays()[0] < 5


def test_two_waiters_cost_as_many_requests_as_a_hundred() -> None:
    spent = []
    for number in (2, 100):
        world = World()
        for _ in range(number):
            world.wait(world.job(62))
        world.run()
        assert (len(world.ended), world.singles) == (number, [])
        assert {page.skip for page in world.pages} == {0}
        spent.append(len(world.requests))
    assert spent[0] == spent[1]


def test_a_thousand_waiters_cost_a_page_per_poll_while_nothing_ends() -> None:
    world = World()
    for _ in range(1000):
        world.wait(world.job(3600))
    world.run(until=START + 120)
    polls = {moment for moment, request in world.requests if request == Page(0, Status.COMPLETED)}
    assert len(polls) >= 15
    first_reading = 11
    failures = -(-len(polls) // 4)
    assert len(world.requests) <= first_reading + len(polls) + failures


def test_a_thousand_waiters_cost_at_most_a_page_per_hundred_when_one_ends() -> None:
    world = World()
    last = [world.job(3600) for _ in range(500)] + [world.job(100)] + [world.job(3600) for _ in range(499)]
    for job in last:
        world.wait(job)
    world.run(until=START + 99)
    before = len(world.requests)
    world.run(until=START + 110)
    assert list(world.ended) == ["veo_500_x"]
    assert len(world.requests) - before <= 6
    assert world.delays()[0] <= 5


@any_listing
@pytest.mark.parametrize("others", [0, 250])
def test_every_waiter_gets_its_result_in_time_with_any_history(listing: dict[str, Any], others: int) -> None:
    """Among generations of others, from before and meanwhile; some fail."""
    world = World(**listing)
    for index in range(others):
        world.job(80, accepted=START - DAY + index * 60)
    dice = random.Random(7)
    for index in range(40):
        world.now = START + index / 10
        world.wait(world.job(dice.uniform(60, 120), fails=index % 10 == 9))
    for index in range(others // 2):
        world.job(90, accepted=START + 5 + index / 10)
    world.run()
    delays = world.delays()
    endings = [result.ending for _, result in world.ended.values()]
    assert len(delays) == 40
    assert endings.count(Ending.FAILED) == 4
    assert all("it fell over" in r.message for _, r in world.ended.values() if r.ending is Ending.FAILED)
    assert delays[37] <= 60
    assert delays[-1] <= 300


@any_listing
@settings(max_examples=25)
@given(data=st.data())
def test_every_wait_ends_with_the_right_result(listing: dict[str, Any], data: st.DataObject) -> None:
    """Ids that are unknown, listed late or never, mixed with the others: each wait ends, and rightly."""
    world = World(**listing)
    for index in range(data.draw(st.integers(0, 130))):
        world.job(70, accepted=START - DAY + index)
    jobs = []
    for _ in range(data.draw(st.integers(1, 12))):
        world.now += data.draw(st.floats(0, 20))
        never = data.draw(st.sampled_from([0.0, 0.0, 45.0, 10 * DAY]))
        job = world.job(
            data.draw(st.floats(0, 400)), fails=data.draw(st.booleans()), listed_from=world.now + never
        )
        jobs.append(job)
        world.wait(job, known=data.draw(st.booleans()), interval=data.draw(st.sampled_from([1.0, 5.0, 30.0])))
    if data.draw(st.booleans()):
        world.wait("veo_unknown_x")
    world.run()
    for job in jobs:
        moment, result = world.ended[job.id]
        assert result.ending is (Ending.FAILED if job.fails else Ending.COMPLETED)
        assert moment - job.ends <= 450
    if "veo_unknown_x" in world.ended:
        assert world.ended["veo_unknown_x"][1].reason == "Veo3GenerationNotFoundError"


def test_an_id_on_no_page_is_polled_singly() -> None:
    world = World()
    world.wait(world.job(70, listed_from=START + 10 * DAY))
    world.wait(world.job(70))
    world.wait("veo_unknown_x")
    world.run()
    assert world.ended["veo_unknown_x"][1].reason == "Veo3GenerationNotFoundError"
    assert world.singles.count("veo_unknown_x") == 1
    assert world.ended["veo_0_x"][1].ending is Ending.COMPLETED
    assert "veo_1_x" not in world.singles
    assert world.ended["veo_0_x"][0] - START < 81


def test_each_report_of_a_failure_without_a_reason_costs_one_status_request() -> None:
    world = World(reasons=True)
    world.reasons = False
    jobs = [world.job(70, fails=True), world.job(70)]
    for job in jobs:
        world.wait(job)
    requested: list[str] = []

    def explained(request: Request, _: float) -> None:
        if isinstance(request, StatusRequest):
            requested.append(request.generation_id)

    world.trouble = explained
    world.run()
    assert requested == ["veo_0_x"] * 2, "the failure, and its confirmation"
    assert world.ended["veo_0_x"][1].ending is Ending.FAILED


def test_learned_durations_count_for_a_model_however_it_is_listed() -> None:
    """The vendor's samples list -preview for a model requested as -001."""
    durations, listed = Durations(), FAST.replace("-001", "-preview")
    for number in range(20):
        durations.learn(Generation(f"veo_{number}", Status.COMPLETED, model=listed, processing_seconds=100.0))
    assert durations.earliest(FAST, 5.0) == durations.earliest(listed, 5.0) > 60
    assert durations.earliest("veo-3.0-fast-generate-001", 5.0) == 30


def test_the_earliest_finish_is_learned() -> None:
    """After a few of 100 s the first poll comes after more than a minute."""
    world = World()
    for _ in range(20):
        world.wait(world.job(100))
        world.run()
    begin = world.now
    world.wait(world.job(100))
    world.run()
    late = [moment - begin for moment, _ in world.requests if moment > begin]
    assert 75 < late[0] < 90
    assert len(late) <= 6
    quick = world.job(20)
    world.wait(quick)
    world.run()
    assert world.durations.earliest(FAST, 5.0) == pytest.approx(18), "one that is quicker counts at once"


def test_nothing_is_learned_from_an_api_with_another_second() -> None:
    world = World()
    for _ in range(9):
        job = world.job(6)
        job.accepted -= 54  # a clock that runs ten times as fast
        world.wait(job, known=False).accepted_at = world.now
        world.run()
    assert world.durations.earliest(FAST, 5.0) == 30


@pytest.mark.parametrize("number", [1, 2, 30])
def test_the_api_is_left_alone_as_long_as_it_asks(number: int) -> None:
    world = World()
    refused: list[float] = []

    def trouble(_: Request, now: float) -> Exception | None:
        if refused:
            return None
        refused.append(now)
        return limited(300)

    world.trouble = trouble
    for _ in range(number):
        world.wait(world.job(62))
    # a waiter that joins meanwhile sends nothing either
    world.run(until=START + 100)
    world.wait(world.job(1))
    world.run()
    after = [moment for moment, _ in world.requests if moment > refused[0]]
    assert after[0] >= refused[0] + 300
    assert len(world.ended) == number + 1
    assert all("slow down" in text for _, text in world.troubles)
    assert len({name for name, _ in world.troubles}) == len(world.troubles), "each waiter gets one message"


def test_deadlines_pass_while_the_api_wants_to_be_left_alone() -> None:
    world = World(trouble=lambda *_: limited(10_000))
    world.wait(world.job(62), timeout=100)
    world.wait(world.job(62), timeout=200)
    world.run()
    assert {name: moment - START for name, (moment, _) in world.ended.items()} == {
        "veo_0_x": pytest.approx(100, abs=1),
        "veo_1_x": pytest.approx(200, abs=1),
    }
    assert {result.ending for _, result in world.ended.values()} == {Ending.TIMEOUT}
    assert "slow down" in world.ended["veo_0_x"][1].message
    assert len(world.requests) == 1


def test_each_wait_has_its_own_deadline_and_one_last_poll() -> None:
    world = World()
    for timeout in (40, 63, 90):
        world.wait(world.job(10_000), timeout=timeout)
    late = world.wait(world.job(10_000), timeout=-3600)
    done = world.wait(world.job(10_000), timeout=-3600)
    world.jobs[done.generation_id].ends = START - 1
    world.run()
    assert {name: round(moment - START) for name, (moment, _) in world.ended.items()} == {
        late.generation_id: 0,
        done.generation_id: 0,
        "veo_0_x": 40,
        "veo_1_x": 63,
        "veo_2_x": 90,
    }
    assert world.ended[done.generation_id][1].ending is Ending.COMPLETED
    assert all(r.ending is Ending.TIMEOUT for n, (_, r) in world.ended.items() if n != done.generation_id)


def test_many_deadlines_at_once_do_not_make_a_storm() -> None:
    world = World()
    for _ in range(1000):
        world.wait(world.job(10_000), timeout=300)
    world.run()
    assert len(world.ended) == 1000
    at_the_end = [moment for moment, _ in world.requests if moment - START > 295]
    assert len(at_the_end) <= 20
    assert max(moment for moment, _ in world.ended.values()) - START < 310


def test_a_refused_key_ends_every_wait() -> None:
    refused = errors.Veo3AuthenticationError("no such key", status=401)
    for number in (1, 5):
        world = World(trouble=lambda *_: refused)
        for _ in range(number):
            world.wait(world.job(62))
        world.run()
        assert {result.reason for _, result in world.ended.values()} == {"Veo3AuthenticationError"}
        assert (len(world.ended), len(world.requests)) == (number, 1)


@pytest.mark.parametrize(
    "error",
    [
        errors.Veo3BadRequestError("what is a history?", status=404),
        errors.Veo3ServerError("fell over", status=500),
        errors.Veo3UnreadableAnswerError("not JSON", status=200),
    ],
    ids=lambda error: type(error).__name__,
)
def test_without_a_history_generations_are_polled_singly(error: errors.Veo3Error) -> None:
    world = World(trouble=lambda request, _: error if isinstance(request, Page) else None)
    for index in range(12):
        world.now = START + index
        world.wait(world.job(62))
    world.run()
    assert {result.ending for _, result in world.ended.values()} == {Ending.COMPLETED}
    assert world.delays()[-1] < 120
    assert len(world.requests) <= world.now - START + 5, "within the vendor's rate"


def test_a_refused_filter_is_dropped() -> None:
    refused = errors.Veo3BadRequestError("unknown status", status=400)

    def trouble(request: Request, _: float) -> Exception | None:
        return refused if isinstance(request, Page) and request.status is not None else None

    world = World(trouble=trouble)
    jobs = [world.job(100 + index / 10) for index in range(250)]
    for job in jobs:
        world.wait(job)
    world.run()
    assert len(world.ended) == 250
    assert {result.ending for _, result in world.ended.values()} == {Ending.COMPLETED}
    assert world.delays()[-1] < 10


def test_transient_errors_are_waited_out_with_growing_pauses() -> None:
    world = World(trouble=lambda _, now: errors.Veo3NoAnswerError("down") if now < START + 600 else None)
    for _ in range(3):
        world.wait(world.job(62))
    world.run()
    during = [moment for moment, _ in world.requests if moment < START + 600]
    gaps = [later - earlier for earlier, later in pairwise(during)]
    assert gaps == sorted(gaps)
    assert gaps[-1] <= 67
    assert len(during) < 16
    assert {result.ending for _, result in world.ended.values()} == {Ending.COMPLETED}


def test_a_waiter_that_leaves_does_not_affect_the_others() -> None:
    world = World()
    stays, leaves = world.wait(world.job(62)), world.wait(world.job(62), interval=1.0)
    world.run(until=START + 31)
    assert world.pages
    world.schedule.leave(leaves)
    world.schedule.leave(leaves)
    before = len(world.requests)
    world.run()
    assert list(world.ended) == [stays.generation_id]
    assert all(isinstance(request, StatusRequest) for _, request in world.requests[before:])
    world = World()
    world.schedule.leave(world.wait(world.job(62)))
    assert world.schedule.next_event() is None


def test_two_waits_for_one_generation_share_its_requests() -> None:
    world = World()
    job = world.job(62)
    waits = [world.wait(job), world.wait(job)]
    ends: list[str] = []
    world.run(on_end=ends.append)
    assert ends == [job.id] * len(waits)
    assert world.pages == []


def test_polls_become_rarer_the_longer_a_generation_takes() -> None:
    world = World()
    world.wait(world.job(10_000), timeout=7200)
    world.run()
    assert len(world.requests) < 200, "a poll every 5 s would be 1,440"
