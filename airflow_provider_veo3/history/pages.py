"""The one reader of the account's history: which pages to request, and when to stop.

The vendor documents neither the order of the history nor what its total counts under a filter, nor how long
its pages are. All of that shows in the pages themselves; this module is the only one that judges it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator
from dataclasses import dataclass
from enum import Enum, auto
from itertools import count
from typing import TYPE_CHECKING, Final, TypeVar

from airflow_provider_veo3.api.flows import Flow, get_history_page
from airflow_provider_veo3.api.models import HistoryPage, Status
from airflow_provider_veo3.api.protocol import HISTORY_PAGE_LIMIT

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from airflow_provider_veo3.api.models import Generation
    from airflow_provider_veo3.api.retries import Retries

T = TypeVar("T")

MAX_PAGES: Final = 50
"""Most pages of one search: 5000 generations."""

OVERLAP: Final = 5
"""Generations of a full page that are requested again with the next: what is added or deleted meanwhile moves
the rest."""

ENOUGH_TO_TELL: Final = 20
"""Generations whose order shows the order of the history; of fewer, it may be chance."""

LONGEST_GENERATION: Final = 3600.0
"""Seconds that no generation takes: the most by which orders of creation and of completion differ."""


@dataclass(frozen=True)
class Page:
    """Request for one page of the history.

    :param skip: generations before the page, in the API's order.
    :param status: the only status listed; ``None`` for all.
    """

    skip: int = 0
    status: str | None = None


@dataclass(frozen=True)
class Rest:
    """Bounds of the creation times of all generations not read yet.

    :param before: all were created at this time or earlier, by the order of the pages; ``None`` when unknown.
    :param after: all were created at this time or later; ``None`` when unknown.
    """

    before: datetime | None = None
    after: datetime | None = None


class End(Enum):
    """Reason why a reading ended."""

    WHOLE = auto()
    """All pages were read."""
    ENOUGH = auto()
    """The caller needs no further page."""
    LIMIT = auto()
    """As many pages were read as the caller allows."""
    REPEATED = auto()
    """A page brought nothing new: the API ignores ``skip``."""


Enough = Callable[[HistoryPage, Rest], bool]
"""Decision after each page: return whether no further page is needed."""

Reading = Generator[Page, HistoryPage, End]
"""Page requests, each of which is sent the page; close it when a page cannot be had."""


class TimeOrder:
    """Order of generations by their creation times.

    :param generations: the first ones, in the API's order.
    """

    def __init__(self, generations: Iterable[Generation] = ()) -> None:
        self.oldest: datetime | None = None
        self.newest: datetime | None = None
        self.all_timed = True
        """False once one had no creation time."""
        self._last: datetime | None = None
        self._rises = self._falls = True
        self.add(generations)

    def add(self, generations: Iterable[Generation]) -> None:
        """Append the generations that follow."""
        for created in (each.created_at for each in generations):
            if created is None:
                self.all_timed = False
                continue
            last, self._last = self._last or created, created
            self._rises = self._rises and created >= last
            self._falls = self._falls and created <= last
            self.oldest = min(created, self.oldest or created)
            self.newest = max(created, self.newest or created)

    @property
    def old_to_new(self) -> bool | None:
        """Return whether times rise, ``False`` where they fall; ``None`` for neither, or equal times."""
        return None if self._rises == self._falls else self._rises


class HistoryReader:
    """Reader of an account's history, which learns how the API lists it.

    Kept between readings, it begins each where the newest generations are.
    """

    def __init__(self) -> None:
        self.filters = True
        """False once the API has ignored or refused the status filter."""
        self._old_to_new = False
        self._page_size = HISTORY_PAGE_LIMIT
        self._totals: dict[str | None, int | None] = {}
        self._trusts_totals = True

    def total(self, status: str | None) -> int | None:
        """Return the API's latest total under a filter; ``None`` when unknown."""
        return self._totals.get(status)

    def read(
        self,
        enough: Enough = lambda _page, _rest: False,
        status: str | None = None,
        *,
        newest_first: bool = False,
        latest_only: bool = False,
        most: int | None = None,
    ) -> Reading:
        """Request pages until one is enough, or all are read.

        A filter that the API ignores is dropped, and the reading continues with the whole history.

        :param enough: decides after each page; default: read all.
        :param status: list only these; ``None`` for all.
        :param newest_first: begin with the newest generations, at the end of a history that runs from old to
            new, and believe that the last page is the last: for readings that are repeated. Otherwise pages
            come in the API's order, and the last page must prove that it is: for complete lists.
        :param latest_only: go to the end as soon as the pages prove that the history runs from old to new,
            and read back from there: for complete lists of what was created lately.
        :param most: most pages to request; ``None`` for no limit.
        """
        status = status if self.filters else None
        walk = self._begin(status, newest_first)
        for _ in count() if most is None else range(most):
            page = yield Page(walk.skip, status)
            if status in _STATUSES and any(each.status != status for each in page.generations):
                self.filters, status = False, None  # the page is one of the whole history
            self._totals[status] = page.total
            if isinstance(walk, _FromEnd) and walk.is_past_the_end(page):
                status = self._check_total(status, walk.skip)
                walk = self._begin(status, newest_first)
                continue
            self._learn(page, walk.skip)
            is_new = walk.add(page)
            if isinstance(walk, _FromEnd) and walk.contradicts_order:
                latest_only, walk = False, _InOrder()
                continue
            has_more = walk.advance(page)
            stop = enough(page, walk.rest(self._old_to_new))
            if not has_more:
                return End.WHOLE
            if stop:
                return End.ENOUGH
            if not is_new:
                return End.REPEATED
            newest = self._newest_skip(status)
            if isinstance(walk, _Newest) and newest > 0:
                walk = self._begin(status, newest_first)  # the pages have shown that it runs from old to new
            elif latest_only and isinstance(walk, _InOrder) and walk.runs_old_to_new and newest > walk.skip:
                walk = _FromEnd(newest, self._page_size, walk)
        return End.LIMIT

    def _begin(self, status: str | None, newest_first: bool) -> _Walk:
        """Return the position of a reading's first page."""
        if not newest_first:
            return _InOrder()
        skip = self._newest_skip(status)
        return _FromEnd(skip, self._page_size) if skip > 0 else _Newest()

    def _newest_skip(self, status: str | None) -> int:
        """Return the ``skip`` of the newest page, where that is at the end."""
        total = self._totals.get(status) if self._trusts_totals and self._old_to_new else None
        # a tenth of the page stays free for generations that are added meanwhile
        return max(0, (total or 0) - self._page_size + self._page_size // 10)

    def _check_total(self, status: str | None, skip: int) -> str | None:
        """Stop trusting a total that counts more than is listed; return the status to read on with."""
        total = self._totals[status]
        if total is None or total <= skip:
            return status  # generations were deleted
        # it counts all whatever the filter, or deleted ones: read without the filter, else without the total
        self.filters, self._trusts_totals = False, status is not None
        return None

    def _learn(self, page: HistoryPage, skip: int) -> None:
        old_to_new = TimeOrder(page.generations).old_to_new
        if old_to_new is not None:
            self._old_to_new = old_to_new
        if page.next_skip is not None or (page.total or 0) > skip + _rows(page) > skip:
            self._page_size = _rows(page)


class _Walk(ABC):
    """Position in the history during a reading.

    :param skip: where it begins.
    """

    def __init__(self, skip: int = 0) -> None:
        self.skip = skip
        self._order = TimeOrder()
        self._seen: set[str] = set()
        self._again = 0
        """Generations at the start of the page that are requested again."""

    def add(self, page: HistoryPage) -> bool:
        """Note the generations of a page; return whether it may have brought a new one."""
        new = [each for each in page.generations if each.id not in self._seen]
        self._seen.update(each.id for each in new)
        self._order.add(new)
        return bool(new) or _rows(page) <= self._again

    @abstractmethod
    def advance(self, page: HistoryPage) -> bool:
        """Move to the next page; return ``False`` when there is none."""

    @abstractmethod
    def rest(self, old_to_new: bool) -> Rest:
        """Return what is known of the pages not read yet.

        :param old_to_new: whether the history was last seen to run so.
        """

    def _step(self, page: HistoryPage, next_skip: int | None) -> bool:
        if next_skip is not None:
            # where only an empty page would be proof, it must not show known rows
            overlap = 0 if page.next_skip is None and page.total is None else _overlap(_rows(page))
            self.skip = max(self.skip + 1, next_skip - overlap)
            self._again = next_skip - self.skip
        return next_skip is not None


class _Newest(_Walk):
    """Pages from the first on, taken for the newest unless they show another order."""

    def advance(self, page: HistoryPage) -> bool:
        return self._step(page, page.next_skip)

    def rest(self, old_to_new: bool) -> Rest:
        # pages in the order of completion show no order of creation
        return Rest() if old_to_new else Rest(before=self._order.oldest)


class _InOrder(_Walk):
    """Pages from the first on, of which nothing is assumed."""

    @property
    def runs_old_to_new(self) -> bool:
        """Return whether the pages so far prove that the history runs from old to new."""
        return self._order.all_timed and self._order.old_to_new is True and len(self._seen) >= ENOUGH_TO_TELL

    def advance(self, page: HistoryPage) -> bool:
        return self._step(page, _proven_next_skip(page, self.skip))

    def rest(self, old_to_new: bool) -> Rest:  # noqa: ARG002 - another page's order proves nothing
        order = self._order
        if not order.all_timed or order.old_to_new is None:
            return Rest()
        return Rest(after=order.newest) if order.old_to_new else Rest(before=order.oldest)


class _FromEnd(_Walk):
    """Pages from near the end of a history that runs from old to new: on to the end, then back.

    :param skip: where it begins.
    :param page_size: generations on a full page.
    :param before: the pages from the first on that have proven the order; the last page must then prove that
        it is the last.
    """

    def __init__(self, skip: int, page_size: int, before: _Walk | None = None) -> None:
        super().__init__(skip)
        self._proves_end = before is not None
        self._earlier = None if before is None else before._order.newest  # noqa: SLF001 - its own class
        if before is not None:
            self._seen = before._seen  # noqa: SLF001
        self._page_size = page_size
        self._begin = skip
        self._unread = skip
        """Generations before the first of those that are read without a gap."""
        self._goes_back = False

    @property
    def contradicts_order(self) -> bool:
        """Return whether a page shows generations older than those before it."""
        oldest = self._order.oldest
        return self._earlier is not None and oldest is not None and oldest < self._earlier

    def is_past_the_end(self, page: HistoryPage) -> bool:
        """Return whether the reading began behind the last generation."""
        return self.skip == self._begin and not _rows(page)

    def advance(self, page: HistoryPage) -> bool:
        next_skip = _proven_next_skip(page, self.skip) if self._proves_end else page.next_skip
        if not self._goes_back and next_skip is not None:
            return self._step(page, next_skip)
        if self._goes_back:
            if next_skip is None or next_skip >= self._unread:
                self._unread = self.skip
            else:
                self._page_size = _rows(page)  # shorter than assumed, which left a gap
        self._goes_back = True
        self.skip = max(0, self._unread - self._page_size + _overlap(self._page_size))
        self._again = 0
        return self._unread > 0

    def rest(self, old_to_new: bool) -> Rest:  # noqa: ARG002 - it begins there for that reason
        return Rest(before=self._order.oldest) if self._goes_back else Rest()


_STATUSES: Final = frozenset(Status)


def _proven_next_skip(page: HistoryPage, skip: int) -> int | None:
    """Return where the next page begins; ``None`` once the total, or an empty page, proves that none follows.

    An API that shortens pages may take each short page for the last.
    """
    read = skip + _rows(page)
    may_follow = bool(page.generations) and (page.total is None or page.total > read)
    return read if page.next_skip is None and may_follow else page.next_skip


def _rows(page: HistoryPage) -> int:
    return len(page.generations) + len(page.unnamed)


def _overlap(rows: int) -> int:
    return rows * OVERLAP // HISTORY_PAGE_LIMIT


def page_flow(page: Page, base_url: str, retries: Retries) -> Flow[HistoryPage]:
    """Return the API call for a page."""
    return get_history_page(HISTORY_PAGE_LIMIT, page.skip, page.status, base_url, retries)


def reading_flow(reading: Generator[Page, HistoryPage, T], base_url: str, retries: Retries) -> Flow[T]:
    """Return the API calls of a whole reading."""
    try:
        page = next(reading)
        while True:
            page = reading.send((yield from page_flow(page, base_url, retries)))
    except StopIteration as done:
        result: T = done.value
        return result
