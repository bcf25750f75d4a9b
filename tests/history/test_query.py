"""Queries of the history: their results and the pages they cost, in every order of the API."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from airflow_provider_veo3.api.models import Generation, HistoryPage, Status
from airflow_provider_veo3.exceptions import Veo3ValidationError
from airflow_provider_veo3.history.query import HistoryQuery, parse_query, select
from tests.support.history import drive, page_of

if TYPE_CHECKING:
    from airflow_provider_veo3.history.pages import Page

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
FIRST, LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)


def made(number: int, hours_ago: float | None, **more: Any) -> Generation:
    created = None if hours_ago is None else NOON - hours_ago * HOUR
    return Generation(f"veo_{number:04}", more.pop("status", Status.COMPLETED), created_at=created, **more)


class History:
    """A history in memory, and how many of its pages were requested."""

    def __init__(self, generations: list[Generation], size: int = 10) -> None:
        self._generations, self._size = generations, size
        self.read = 0

    def _page(self, request: Page) -> HistoryPage:
        self.read += 1
        return page_of(self._generations, request, filters=False, size=self._size)

    def select(self, query: HistoryQuery) -> list[Generation]:
        found: list[Generation] = drive(select(query), self._page)
        return found


def numbers(found: list[Generation]) -> list[int]:
    return [int(each.id.removeprefix("veo_")) for each in found]


def times(found: list[Generation]) -> list[datetime | None]:
    return [each.created_at for each in found]


A_DAY = [made(number, 100 - number) for number in range(100)]
"""A hundred, an hour apart: number 99 was created an hour before noon."""


@pytest.mark.parametrize(
    ("order", "query", "expected", "read"),
    [
        ("newest", HistoryQuery(), range(100), 10),
        ("newest", HistoryQuery(since=NOON - 24 * HOUR), range(76, 100), 3),
        ("newest", HistoryQuery(since=NOON - 24 * HOUR, until=NOON - 20 * HOUR), range(76, 80), 3),
        ("newest", HistoryQuery(limit=5), range(95, 100), 1),
        ("newest", HistoryQuery(limit=12), range(88, 100), 2),
        ("newest", HistoryQuery(until=NOON - 50 * HOUR, limit=5), range(45, 50), 6),
        ("newest", HistoryQuery(since=NOON - 3 * HOUR, limit=50), range(97, 100), 1),
        ("newest", HistoryQuery(since=NOON), [], 1),
        ("newest", HistoryQuery(since=FIRST), range(100), 10),
        ("oldest", HistoryQuery(), range(100), 10),
        ("oldest", HistoryQuery(since=NOON - 24 * HOUR), range(76, 100), 10),
        ("oldest", HistoryQuery(since=NOON - 24 * HOUR, until=NOON - 20 * HOUR), range(76, 80), 9),
        ("oldest", HistoryQuery(until=NOON - 90 * HOUR), range(10), 2),
        ("oldest", HistoryQuery(limit=5), range(95, 100), 10),
        ("oldest", HistoryQuery(until=NOON - 90 * HOUR, limit=3), range(7, 10), 2),
        ("oldest", HistoryQuery(until=LAST), range(100), 10),
        ("shuffled", HistoryQuery(since=NOON - 24 * HOUR), range(76, 100), 10),
        ("shuffled", HistoryQuery(limit=5), range(95, 100), 10),
        ("shuffled", HistoryQuery(until=NOON - 90 * HOUR), range(10), 10),
    ],
)
def test_every_order_gives_the_same_result_and_the_two_plain_ones_soon(
    order: str, query: HistoryQuery, expected: Any, read: int
) -> None:
    listed = list(A_DAY)
    if order == "newest":
        listed.reverse()
    elif order == "shuffled":
        random.Random(7).shuffle(listed)
    history = History(listed)
    assert numbers(history.select(query)) == list(expected)
    assert history.read == read


@given(
    st.lists(st.tuples(st.one_of(st.none(), st.integers(0, 60)), st.sampled_from(list(Status))), max_size=60),
    st.sampled_from(["newest", "oldest", "as it comes"]),
    st.tuples(*[st.one_of(st.none(), st.integers(0, 60))] * 2),
    st.one_of(st.none(), st.integers(1, 20)),
    st.one_of(st.none(), st.sampled_from(list(Status))),
)
@example(
    [(0, Status.PENDING)] * 6 + [(None, Status.PENDING), (1, Status.PENDING)], "oldest", (None, 2), 1, None
)
def test_stopping_early_never_loses_one(
    rows: list[tuple[int | None, Status]],
    order: str,
    window: tuple[int | None, int | None],
    limit: int | None,
    status: Status | None,
) -> None:
    listed = [made(number, ago, status=state) for number, (ago, state) in enumerate(rows)]
    if order != "as it comes":
        listed.sort(key=lambda each: each.created_at or NOON, reverse=order == "newest")
    since, until = window
    query = HistoryQuery(
        status=status,
        since=None if since is None else NOON - since * HOUR,
        until=None if until is None else NOON - until * HOUR,
        limit=limit,
    )
    everything = [each for each in listed if query.matches(each)]
    everything.sort(key=lambda each: (each.created_at or datetime.min.replace(tzinfo=UTC), each.id))
    history = History(listed, size=7)
    selected = history.select(query)
    if order == "as it comes":  # a few pages may look ordered and not be: then what is behind is not seen
        assert set(map(query.matches, selected)) <= {True}
        return
    # a generation without a time does not stop the reading
    behind = [each for each in listed[7 * history.read :] if each.created_at is None]
    seen = [each for each in everything if each not in behind]
    if limit is None:
        assert selected == seen
    else:  # of those created at the same time any may be the newest
        assert times(selected) == times(seen[-limit:])


def test_a_history_in_the_order_of_completion_loses_none_at_the_edge() -> None:
    slow = Generation(
        "veo_slow", Status.COMPLETED, created_at=NOON - 25 * HOUR, completed_at=NOON - 24 * HOUR
    )
    quick = made(1, 24.05)
    later = made(2, 1)
    history = History([later, slow, quick], size=2)
    assert history.select(HistoryQuery(since=NOON - 24.5 * HOUR)) == [quick, later]


def test_a_field_that_is_not_listed_excludes_no_generation() -> None:
    untimed = made(1, None, model=None)
    finished = Generation("veo_0002", Status.COMPLETED, completed_at=NOON - 30 * HOUR)
    assert History([untimed, finished]).select(
        HistoryQuery(since=NOON - HOUR, model="veo-3.1-generate-001")
    ) == [untimed]


@pytest.mark.parametrize(
    ("listed", "fits"),
    [
        ("veo-3.1-fast-generate-001", True),
        ("veo-3.1-fast-generate-preview", True),
        ("veo-3.1-generate-001", False),
    ],
)
def test_the_model_may_be_spelt_in_both_ways(listed: str, fits: bool) -> None:
    assert HistoryQuery(model="veo-3.1-fast-generate-001").matches(made(1, 1, model=listed)) is fits


def read(**given: Any) -> HistoryQuery:
    nothing = dict.fromkeys(("status", "since", "until", "model", "limit"))
    return parse_query(**nothing | given, now=NOON)


@pytest.mark.parametrize(
    ("given", "moment"),
    [
        ("2026-02-28T12:00:00Z", NOON - 24 * HOUR),
        ("2026-02-28 13:00:00+01:00", NOON - 24 * HOUR),
        (" 2026-02-28T12:00:00 ", NOON - 24 * HOUR),
        ("2026-02-28", NOON - 36 * HOUR),
        (datetime(2026, 2, 28, 12), NOON - 24 * HOUR),  # noqa: DTZ001
        (NOON - 24 * HOUR, NOON - 24 * HOUR),
        (timedelta(days=1), NOON - 24 * HOUR),
        (timedelta(0), NOON),
        (None, None),
    ],
)
def test_times(given: Any, moment: datetime | None) -> None:
    assert read(since=given).since == read(until=given).until == moment
    if moment is not None:
        assert moment.tzinfo is not None


@pytest.mark.parametrize(
    ("field", "value", "allowed"),
    [
        ("status", "done", "pending, processing, completed, failed, or None for all"),
        ("status", "", "None for all"),
        ("status", True, "None for all"),
        ("since", "", "a time as ISO 8601 text"),
        ("since", "24h", "a time as ISO 8601 text"),
        ("since", 24, "a timedelta back from now"),
        ("until", "yesterday", "a time as ISO 8601 text"),
        ("until", timedelta(hours=-1), "a timedelta back from now"),
        ("until", timedelta.max, "a timedelta back from now"),
        ("model", "", "a model id, or None for all"),
        ("model", 3, "a model id, or None for all"),
        ("limit", 0, "a whole number from 1 to 1000000"),
        ("limit", True, "a whole number from 1 to 1000000"),
        ("limit", "many", "a whole number from 1 to 1000000"),
    ],
)
def test_a_parameter_that_makes_no_sense_is_refused(field: str, value: Any, allowed: str) -> None:
    with pytest.raises(Veo3ValidationError) as refused:
        read(**{field: value})
    assert refused.value.field == field
    assert str(refused.value).startswith(f"{field}=")
    assert allowed in str(refused.value)


def test_a_window_that_ends_before_it_begins_is_refused() -> None:
    with pytest.raises(
        Veo3ValidationError, match=r"^since=.*a time before 'until', which is 2026-03-01T11:00"
    ):
        read(since=timedelta(0), until=HOUR)


def test_numbers_may_come_as_text() -> None:
    assert read(limit=" 7 ", status="failed") == HistoryQuery(limit=7, status=Status.FAILED)
