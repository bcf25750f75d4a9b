"""The reader of the history: which pages it requests of accounts that list their generations in odd ways."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_veo3.api.models import Generation, HistoryPage, Status
from airflow_provider_veo3.history.pages import End, HistoryReader, Page, Rest, TimeOrder
from tests.support.history import drive, page_of

if TYPE_CHECKING:
    from collections.abc import Callable

START = 1_800_000_000


def made(number: int, status: Status = Status.COMPLETED) -> Generation:
    """Return a generation that was created so many seconds after the start."""
    return Generation(f"veo_{number:04}", status, created_at=datetime.fromtimestamp(START + number, UTC))


def made_until(end: int, status: Status = Status.COMPLETED) -> list[Generation]:
    """Return generations in the order of their creation."""
    return [made(number, status) for number in range(end)]


@dataclass
class Account:
    """Account with a reader, its page requests, and the generations read."""

    rows: list[Generation]
    options: dict[str, Any] = field(default_factory=dict)
    reader: HistoryReader = field(default_factory=HistoryReader)
    requests: list[Page] = field(default_factory=list)
    found: list[str] = field(default_factory=list)
    change: Callable[[HistoryPage], HistoryPage] = lambda page: page

    def _page(self, request: Page) -> HistoryPage:
        self.requests.append(request)
        return self.change(page_of(self.rows, request, **self.options))

    def read(
        self, enough: Callable[[HistoryPage, Rest], bool] = lambda *_: False, **options: Any
    ) -> tuple[End, list[int]]:
        """Read; return the end, and how many generations each request skipped."""
        self.requests, self.found = [], []

        def collect(page: HistoryPage, rest: Rest) -> bool:
            self.found += [each.id for each in page.generations]
            return enough(page, rest)

        end: End = drive(self.reader.read(collect, **options), self._page)
        return end, [request.skip for request in self.requests]


def first_page(*_: Any) -> bool:
    return True


def test_pages_overlap_a_little_and_the_last_ends_the_reading() -> None:
    account = Account(made_until(230)[::-1])
    assert account.read() == (End.WHOLE, [0, 95, 190])
    assert account.read(first_page) == (End.ENOUGH, [0])
    assert account.read(most=2) == (End.LIMIT, [0, 95])


def test_a_history_from_old_to_new_is_read_from_its_end_once_its_order_shows() -> None:
    account = Account(made_until(300))
    assert account.read(newest_first=True, most=2) == (End.LIMIT, [0, 210])
    assert account.read(first_page, newest_first=True) == (End.ENOUGH, [210])
    account.rows += [made(number) for number in range(300, 350)]
    assert account.read(newest_first=True, most=50) == (End.WHOLE, [210, 305, 115, 20, 0])
    assert set(account.found) == {row.id for row in account.rows}
    assert account.read() == (End.WHOLE, [0, 95, 190, 285]), "in the API's order, where that is asked for"


def test_no_older_page_is_promised_before_the_newest_is_read() -> None:
    account = Account(made_until(300))
    account.read(newest_first=True)
    account.rows += [made(number) for number in range(300, 350)]
    rests: list[Rest] = []

    def note(_: HistoryPage, rest: Rest) -> bool:
        rests.append(rest)
        return False

    account.read(note, newest_first=True, most=3)
    assert [rest.before and rest.before.timestamp() - START for rest in rests] == [None, 210, 115]


def test_a_filter_that_is_ignored_is_dropped_without_another_request() -> None:
    rows = [made(n, Status.FAILED if n % 2 else Status.COMPLETED) for n in range(150)]
    account = Account(rows[::-1], {"filters": False})
    assert account.read(status="completed", newest_first=True) == (End.WHOLE, [0, 95])
    assert [page.status for page in account.requests] == ["completed", None]
    account.read(status="completed", newest_first=True)
    assert [page.status for page in account.requests] == [None, None]


def test_an_unknown_status_is_passed_on_without_judging_the_filter() -> None:
    account = Account(made_until(150)[::-1], {"filters": False})
    account.read(status="archived")
    assert [page.status for page in account.requests] == ["archived", "archived"]


def test_a_total_that_counts_everything_under_a_filter_costs_one_page() -> None:
    rows = [made(n, Status.FAILED if n % 2 else Status.COMPLETED) for n in range(600)]
    account = Account(rows, {"totals": "all"})
    account.read(status="completed", newest_first=True)
    assert {row.id for row in rows} == set(account.found)
    end, skips = account.read(first_page, status="completed", newest_first=True)
    assert (end, skips, account.requests[0].status) == (End.ENOUGH, [510], None)


def test_a_total_of_more_than_is_listed_is_not_trusted() -> None:
    account = Account(made_until(250), change=lambda page: replace(page, total=900))
    assert account.read(newest_first=True) == (End.WHOLE, [0, 810, 0, 95, 190])
    assert account.read(newest_first=True) == (End.WHOLE, [0, 95, 190])


def test_deleted_generations_do_not_cost_the_trust_in_filter_and_total() -> None:
    account = Account(made_until(500))
    account.read(first_page, status="completed", newest_first=True)
    account.read(first_page, status="completed", newest_first=True)
    del account.rows[:200]
    assert account.read(first_page, status="completed", newest_first=True) == (End.ENOUGH, [410, 210])
    assert account.reader.filters


@pytest.mark.parametrize("newest_first", [False, True])
def test_an_api_that_ignores_skip_ends_the_reading(newest_first: bool) -> None:
    account = Account(made_until(150)[::-1])
    account.change = lambda _: page_of(account.rows, Page())
    assert account.read(newest_first=newest_first) == (End.REPEATED, [0, 95])


def test_a_page_of_only_what_is_requested_again_does_not_end_the_reading() -> None:
    """The total counts all generations whatever the filter, so that only an empty page proves the end."""
    rows = [*made_until(20), made(20, Status.PROCESSING)]
    account = Account(rows, {"size": 20, "totals": "all", "filters": True})
    assert account.read(status="completed") == (End.WHOLE, [0, 19, 20])


@pytest.mark.parametrize("totals", ["listed", None])
def test_a_short_page_that_claims_to_be_the_last_must_prove_it(totals: str | None) -> None:
    account = Account(made_until(130)[::-1], {"size": 50, "totals": totals})
    account.change = lambda page: replace(page, next_skip=None)
    assert account.read()[0] is End.WHOLE
    assert set(account.found) == {row.id for row in account.rows}


def test_short_pages_leave_no_gap_on_the_way_back() -> None:
    account = Account(made_until(100))
    account.read(newest_first=True)
    account.rows += [made(number) for number in range(100, 400)]
    account.read(first_page, newest_first=True)
    account.options["size"] = 40
    end, _ = account.read(newest_first=True, most=50)
    assert (end, set(account.found)) == (End.WHOLE, {row.id for row in account.rows})


@given(
    number=st.integers(0, 420),
    order=st.sampled_from(["new to old", "old to new", "shuffled"]),
    size=st.sampled_from([1, 7, 20, 50, 100]),
    totals=st.sampled_from(["listed", "all", None]),
    filters=st.booleans(),
    newest_first=st.booleans(),
    status=st.sampled_from([None, "completed"]),
    random=st.randoms(use_true_random=False),
)
def test_a_whole_reading_misses_nothing(
    *,
    number: int,
    order: str,
    size: int,
    totals: str | None,
    filters: bool,
    newest_first: bool,
    status: str | None,
    random: Any,
) -> None:
    rows = [made(n, random.choice([Status.COMPLETED, Status.PROCESSING])) for n in range(number)]
    if order == "new to old":
        rows.reverse()
    elif order == "shuffled":
        random.shuffle(rows)
    account = Account(rows, {"size": size, "totals": totals, "filters": filters})
    for _ in range(2):
        end, _skips = account.read(status=status, newest_first=newest_first)
        assert end is End.WHOLE
        assert {row.id for row in rows if status in (None, row.status)} <= set(account.found)


@pytest.mark.parametrize(
    ("numbers", "old_to_new"),
    [([], None), ([3], None), ([3, 3], None), ([1, 1, 2], True), ([2, 1, 1], False), ([1, 3, 2], None)],
    ids=str,
)
def test_the_order_shows_only_in_different_times(numbers: list[int], old_to_new: bool | None) -> None:
    order = TimeOrder(map(made, numbers))
    assert (order.old_to_new, order.all_timed) == (old_to_new, True)
    order.add([Generation("veo_untimed", Status.COMPLETED)])
    assert (order.old_to_new, order.all_timed) == (old_to_new, False)
