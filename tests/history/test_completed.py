"""Reading of new completions: each is reported once, whatever history, clocks and restarts do."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_veo3.api.models import Generation, HistoryPage, Status
from airflow_provider_veo3.history.completed import (
    KEPT,
    WINDOW,
    Cursor,
    PollResult,
    completed_at,
    lowest_floor,
    read_completed,
)
from airflow_provider_veo3.history.pages import LONGEST_GENERATION, HistoryReader
from tests.support.history import page_of

if TYPE_CHECKING:
    from airflow_provider_veo3.history.pages import Page

START = 1_800_000_000.0


@dataclass(frozen=True)
class Job:
    id: str
    created: float
    took: float
    lag: float = 0.0
    """Seconds after its completion until the listing shows it as completed."""
    fails: bool = False

    @property
    def ends(self) -> float:
        return self.created + self.took

    def at(self, now: float, *, times: bool) -> Generation:
        done = now >= self.ends + self.lag
        status = (Status.FAILED if self.fails else Status.COMPLETED) if done else Status.PROCESSING
        return Generation(
            self.id,
            status,
            created_at=datetime.fromtimestamp(self.created, UTC),
            completed_at=datetime.fromtimestamp(self.ends, UTC) if done and times else None,
            processing_seconds=self.took if done else None,
        )


@dataclass
class Account:
    """A listing in memory, by the API's clock."""

    jobs: list[Job]
    old_to_new: bool = False
    filters: bool = True
    totals: str | None = "listed"
    times: bool = True
    pages: list[Page] = field(default_factory=list)

    def rows(self, now: float) -> list[Generation]:
        jobs = [job for job in self.jobs if job.created <= now]
        jobs.sort(key=lambda job: (job.created, job.id), reverse=not self.old_to_new)
        return [job.at(now, times=self.times) for job in jobs]

    def page(self, request: Page, rows: list[Generation]) -> HistoryPage:
        self.pages.append(request)
        return page_of(rows, request, filters=self.filters, totals=self.totals)

    def poll(
        self, reader: HistoryReader, floor: float, now: float, *, stop_after: int | None = None
    ) -> PollResult:
        """Poll the account once; ``stop_after`` so many pages the API fails."""
        reading = read_completed(reader, floor)
        rows = self.rows(now)  # the same for all pages of a poll
        found: list[Generation] = []
        page: Any = None
        requests = 0
        while True:
            try:
                request = reading.send(page)
            except StopIteration as done:
                result: PollResult = done.value
                return result
            assert requests < 200, "a storm"
            if requests == stop_after:
                return PollResult(tuple(found), float("inf"))
            page = self.page(request, rows)
            found += page.generations
            requests += 1

    def report(self, cursor: Cursor, reader: HistoryReader, now: float) -> list[Generation]:
        """Poll once, and return the newly completed generations."""
        return cursor.take(self.poll(reader, lowest_floor([cursor.floor], now), now), now)


jobs = st.lists(
    st.builds(
        lambda number, created, took, lag, fails: Job(f"veo_{number}", START + created, took, lag, fails),
        st.integers(0, 10**6),
        st.integers(-7200, 20_000).map(float),  # whole seconds: equal times are common
        st.sampled_from([0.0, 45.0, 60.0, 60.0, 120.0, LONGEST_GENERATION - 1]),
        st.sampled_from([0.0, 0.0, 5.0, 300.0, WINDOW - 1]),
        st.booleans() | st.just(False),
    ),
    max_size=60,
    unique_by=lambda job: job.id,
)
pauses = st.lists(st.integers(1, 9000), min_size=1, max_size=12)


@settings(max_examples=60)
@given(
    jobs=jobs,
    pauses=pauses,
    padding=st.sampled_from([0, 90]),
    crowd=st.sampled_from([0, 700]),
    old_to_new=st.booleans(),
    filters=st.booleans(),
    totals=st.sampled_from(["listed", "all", None]),
    restarts=st.sets(st.integers(0, 11)),
    cut=st.dictionaries(st.integers(0, 11), st.integers(0, 3)),
    skew=st.sampled_from([0.0, 86_400.0, -86_400.0]),
)
def test_each_completion_is_reported_once_and_none_from_before(
    *,
    jobs: list[Job],
    pauses: list[int],
    padding: int,
    crowd: int,
    old_to_new: bool,
    filters: bool,
    totals: str | None,
    restarts: set[int],
    cut: dict[int, int],
    skew: float,
) -> None:
    """``skew``: our clock is behind the API's by so much."""
    old = [Job(f"old_{n}", START - 10 * LONGEST_GENERATION - 60 * n, 60.0) for n in range(padding)]
    # more than a page between two polls, whose times meet those of the window; the first ends as it begins
    jobs = [*jobs, *(Job(f"crowd_{n}", START - 60.0 + 30 * n, 60.0) for n in range(crowd))]
    account = Account([*jobs, *old], old_to_new, filters, totals)
    cursor, reader = Cursor(START - skew), HistoryReader()
    reported: list[str] = []
    now = START
    for number, pause in enumerate([0, *pauses, 1]):
        now += pause
        floor = lowest_floor([cursor.floor], now)
        last = number == len(pauses) + 1
        result = account.poll(reader, floor, now, stop_after=None if last else cut.get(number))
        new = cursor.take(PollResult(result.generations, result.depth, skew), now - skew)
        moments = [completed_at(each) for each in new]
        assert moments == sorted(moments, key=lambda moment: moment or 0.0)
        reported += [each.id for each in new]
        if number in restarts:
            again = Cursor.from_json(json.loads(json.dumps(cursor.to_json())))
            assert again is not None
            cursor, reader = again, HistoryReader()
    assert len(reported) == len(set(reported)), "told twice"
    finished = {job.id for job in jobs if not job.fails and job.ends > START and job.ends + job.lag <= now}
    assert set(reported) == finished


@pytest.mark.parametrize("old_to_new", [False, True])
@pytest.mark.parametrize("totals", ["listed", "all", None])
def test_a_poll_without_completions_costs_a_page_though_the_account_is_old(
    old_to_new: bool, totals: str | None
) -> None:
    jobs = [Job(f"veo_{n}", START - 600.0 * n, 60.0, fails=n % 3 == 0) for n in range(1500)]
    account = Account(jobs, old_to_new, totals=totals)
    cursor, reader = Cursor(START), HistoryReader()
    costs = []
    for number in range(6):
        account.pages.clear()
        now = START + 300.0 * number
        account.report(cursor, reader, now)
        costs.append(len(account.pages))
    assert costs[-1] == (11 if old_to_new and totals is None else 1)


def test_after_a_week_away_all_completions_of_the_week_are_reported() -> None:
    week = 7 * 86_400.0
    account = Account([Job(f"veo_{n}", START + 600.0 * n, 60.0) for n in range(1000)])
    cursor, reader = Cursor(START), HistoryReader()
    cursor.take(account.poll(reader, START, START), START)
    now = START + week
    new = account.report(cursor, reader, now)
    assert [each.id for each in new] == [f"veo_{n}" for n in range(1000)]


def test_a_time_in_the_future_hides_nothing() -> None:
    cursor = Cursor(START)
    wild = Job("veo_wild", START + 10.0, 10 * 86_400.0).at(START + 20 * 86_400.0, times=True)
    assert cursor.take(PollResult((wild,), START - 1), START + 20) == [wild]
    for minute in range(200):
        now = START + 60.0 * minute
        job = Job(f"veo_{minute}", now, 30.0).at(now + 30.0, times=True)
        assert cursor.take(PollResult((wild, job), START - 1), now + 30.0) == [job]


def test_without_times_of_completion_each_is_reported_once_all_the_same() -> None:
    account = Account([Job(f"veo_{n}", START + 100.0 * n, 60.0) for n in range(100)], times=False)
    cursor, reader = Cursor(START), HistoryReader()
    reported = []
    for number in range(60):
        now = START + 200.0 * number
        reported += [g.id for g in account.report(cursor, reader, now)]
    assert reported == [f"veo_{n}" for n in range(100)]


def test_the_cursor_stays_small_and_nothing_is_reported_twice_for_it() -> None:
    account = Account([Job(f"veo_1703123456789_{n:09}", START + n // 7, 60.0) for n in range(5 * KEPT)])
    cursor, reader = Cursor(START), HistoryReader()
    reported: list[str] = []
    for number in range(20):
        now = START + 60.0 * number
        reported += [g.id for g in account.report(cursor, reader, now)]
        assert len(json.dumps(cursor.to_json())) < 65_535
    assert len(reported) == len(set(reported)) == 5 * KEPT


@pytest.mark.parametrize(
    "stored",
    [
        None,
        "text",
        {},
        {"version": 2, "began": 1, "floor": None, "told": {}},
        {"version": 1, "began": True, "floor": None, "told": {}},
        {"version": 1, "began": 1, "floor": float("nan"), "told": {}},
        {"version": 1, "began": 1, "floor": 2, "told": {"veo_1": "now"}},
        {"version": 1, "began": 1, "floor": 2, "told": ["veo_1"]},
    ],
    ids=str,
)
def test_any_other_stored_value_is_not_taken_for_a_cursor(stored: Any) -> None:
    assert Cursor.from_json(stored) is None


def test_one_that_took_long_and_is_listed_late_is_found_behind_the_first_page() -> None:
    crowd = [Job(f"crowd_{n}", START + 20.0 * n, 60.0) for n in range(600)]
    late = Job("veo_late", START + 600.0, LONGEST_GENERATION - 1, WINDOW - 1)
    account = Account([*crowd, late])
    cursor, reader = Cursor(START), HistoryReader()
    reported: list[str] = []
    for now in (START, START + 3600.0, late.ends + late.lag - 1, late.ends + late.lag):
        reported += [g.id for g in account.report(cursor, reader, now)]
    assert reported[-1] == late.id


def test_a_poll_that_was_cut_short_leaves_the_rest_to_the_next() -> None:
    account = Account([Job(f"veo_{n}", START + 100.0 * n, 60.0) for n in range(800)])
    cursor, reader = Cursor(START), HistoryReader()
    now = START + 90_000.0
    reported: list[str] = []
    for stop_after in (1, 2, None):
        result = account.poll(reader, lowest_floor([cursor.floor], now), now, stop_after=stop_after)
        reported += [g.id for g in cursor.take(result, now)]
    assert sorted(reported) == sorted(job.id for job in account.jobs)
