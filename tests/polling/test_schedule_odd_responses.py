"""Histories, filters and times that mislead: no waiter gets a late or wrong result for it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pytest

from airflow_provider_veo3 import exceptions as errors
from airflow_provider_veo3.api.models import Generation, HistoryPage, Status
from airflow_provider_veo3.history.pages import Page
from airflow_provider_veo3.polling.result import Ending
from tests.support.world import FAST, START, World

if TYPE_CHECKING:
    from airflow_provider_veo3.polling.schedule import Request


@dataclass
class StaleWorld(World):
    """Its history lists every generation as running for ever."""

    def _page(self, page: Page) -> HistoryPage:
        listed = super()._page(replace(page, status=None))
        rows = tuple(
            replace(each, status=Status.PROCESSING, completed_at=None) for each in listed.generations
        )
        return replace(listed, generations=rows if page.status is None else ())


@dataclass
class EmptyFilterWorld(World):
    """Its history is empty under any status filter."""

    def _page(self, page: Page) -> HistoryPage:
        return super()._page(page) if page.status is None else HistoryPage((), 0, None, None)


@dataclass
class OtherUnitWorld(World):
    """Its history lists milliseconds, and no times."""

    def _page(self, page: Page) -> HistoryPage:
        listed = super()._page(page)
        return replace(listed, generations=tuple(map(self._strange, listed.generations)))

    def _strange(self, generation: Generation) -> Generation:
        millis = generation.processing_seconds and generation.processing_seconds * 1000
        return replace(generation, created_at=None, completed_at=None, processing_seconds=millis)


def test_a_history_that_lags_for_ever_causes_no_timeout() -> None:
    world = StaleWorld()
    for _ in range(3):
        world.wait(world.job(70), timeout=300)
    running = world.wait(world.job(10_000), timeout=300)
    world.run()
    assert [result.ending for _, result in world.ended.values()].count(Ending.COMPLETED) == 3
    assert world.ended[running.generation_id][1].ending is Ending.TIMEOUT
    assert len(world.singles) == 4, "a last poll for each"


@pytest.mark.parametrize("past", [0, 300])
def test_a_filter_that_shows_nothing_is_dropped(past: int) -> None:
    world = EmptyFilterWorld()
    for index in range(past):
        world.job(60, accepted=START - 10_000 + index)
    for index in range(250):
        world.wait(world.job(200 + index))
    world.run()
    assert {result.ending for _, result in world.ended.values()} == {Ending.COMPLETED}
    assert world.delays()[-1] < 60


def test_a_history_that_is_refused_for_a_while_is_read_again() -> None:
    moved = errors.Veo3BadRequestError("under maintenance", status=302)

    def trouble(request: Request, now: float) -> Exception | None:
        return moved if isinstance(request, Page) and START + 40 < now < START + 50 else None

    world = World(trouble=trouble)
    for index in range(90):
        world.wait(world.job(200 + index))
    world.run()
    assert world.delays()[-1] < 15


def test_without_a_history_polls_at_deadlines_come_first() -> None:
    gone = errors.Veo3BadRequestError("what is a history?", status=404)
    world = World(trouble=lambda request, _: gone if isinstance(request, Page) else None)
    for _ in range(300):
        world.wait(world.job(10_000), timeout=20_000)
    hasty = [world.wait(world.job(250), timeout=timeout) for timeout in (300, 400, 500)]
    world.run(until=START + 600)
    for wait in hasty:
        moment, result = world.ended[wait.generation_id]
        assert result.ending is Ending.COMPLETED
        assert moment < wait.deadline + 30


def test_durations_in_milliseconds_delay_no_poll() -> None:
    world = OtherUnitWorld()
    for index in range(60):
        world.job(60, accepted=START - 9000 + index)
    for _ in range(5):
        world.wait(world.job(70))
    world.run()
    assert world.delays()[-1] < 120


def test_a_jam_that_is_over_delays_no_poll() -> None:
    world = World()
    for index in range(60):
        world.job(3000, accepted=START - 9000 + index)
    for _ in range(5):
        world.wait(world.job(170))
    world.run()
    assert world.delays()[-1] < 20


@pytest.mark.parametrize("old_to_new", [False, True])
def test_only_the_latest_durations_count(old_to_new: bool) -> None:
    """Read again and again, in either order."""
    world = World(old_to_new=old_to_new)
    for index in range(70):
        world.job(120, accepted=START - 9000 + index)
    for index in range(40):
        world.job(40, accepted=START - 900 + index)
    for _ in range(2):
        world.wait(world.job(70))
    world.run()
    assert world.durations.earliest(FAST, 5.0) == pytest.approx(0.9 * 40 * 50 / 52)


@pytest.mark.parametrize("number", [1, 20])
def test_a_response_from_something_in_between_ends_no_wait(number: int) -> None:
    error = errors.Veo3UnreadableAnswerError("a firewall's page", status=403)
    world = World(trouble=lambda _, now: error if START + 29 < now < START + 45 else None)
    for _ in range(number):
        world.wait(world.job(70))
    world.run()
    assert {result.ending for _, result in world.ended.values()} == {Ending.COMPLETED}
    assert world.delays()[-1] < 20


def test_a_hint_in_another_unit_is_not_believed_for_ever() -> None:
    hint = errors.Veo3RateLimitError("slow down", status=429, retry_after=60_000)
    world = World(trouble=lambda _, now: hint if now < START + 100 else None)
    for _ in range(3):
        world.wait(world.job(70))
    world.run()
    assert {result.ending for _, result in world.ended.values()} == {Ending.COMPLETED}
    assert world.delays()[-1] < 1000


@pytest.mark.parametrize("number", [1, 5])
def test_a_wall_clock_that_is_set_back_stops_no_poll(number: int) -> None:
    world = World()
    for _ in range(number):
        world.wait(world.job(62))
    world.run(until=START + 40)
    before = len(world.requests)
    world.now -= 3600
    poll = world.schedule.begin(world.now)
    assert poll is None or next(poll)
    moment = world.schedule.next_event()
    assert moment is not None
    assert moment - world.now <= 10, "the next poll comes as if nothing had happened"
    assert len(world.requests) == before


def test_a_few_generations_from_a_jam_delay_no_poll() -> None:
    world = World()
    for _ in range(3):
        world.wait(world.job(170))
        world.run()
    assert world.durations.earliest(FAST, 5.0) == 30
    job = world.job(60)
    world.wait(job)
    world.run()
    assert world.ended[job.id][0] - job.ends <= 5
