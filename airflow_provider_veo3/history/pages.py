"""Which pages of the account's history to ask for, to learn of everybody who is waited for. Pure."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from airflow_provider_veo3.api.models import HistoryPage, Status
from airflow_provider_veo3.api.protocol import HISTORY_PAGE_LIMIT

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from airflow_provider_veo3.api.models import Generation


@dataclass(frozen=True)
class Page:
    """A question: what does this page of the history say?"""

    skip: int = 0
    status: Status | None = None
    """Only of generations that stand so; ``None`` for all."""


Reading = Generator[Page, HistoryPage, None]
"""Asks for pages, and is sent each; closed when one could not be had."""

ROOM_FOR_NEW: Final = 10
"""Places left on the last page of a listing that runs from old to new, for what comes in meanwhile."""

DEEPER: Final = 10
"""Pages beyond one for each hundred who wait that are read for what others have generated in between."""

FAILURES_EVERY: Final = 4
"""The list of failed ones is asked for once in so many looks at that of the completed ones."""

REMEMBERED: Final = 20_000
"""Ended generations that are remembered; with more the listing is read as if for the first time."""


class Listing:
    """Knows how the account's listing behaves, and reads no more of it than is needed.

    The vendor documents neither its order nor what its total counts under a filter: both show in its answers.
    """

    def __init__(self) -> None:
        self.filters = True
        """Whether the API heeds the filter, as far as is known."""
        self.was_read_whole = False
        """Whether the last reading of :meth:`newest` came to the end of the listing."""
        self._old_to_new = False
        self._totals: dict[Status | None, int | None] = {}
        self._ended: dict[Status, set[str]] = {}
        self._never_seen: dict[Status, int] = {}
        """How many that have ended are listed further back than anybody has to read."""
        self._looks = 0

    def newest(self, missing: Collection[str], needed: Collection[str]) -> Reading:
        """Ask for the newest page, and for older ones while someone who is needed is missing.

        :param missing: ids waited for; whoever reads takes out those that a page has told of.
        :param needed: ids of which no answer has told yet.
        """
        self.was_read_whole = False
        most = _pages(len(missing)) + (1 if self.filters else DEEPER)

        def go_on(_: HistoryPage, read: int) -> bool:
            return read < most and any(generation_id in missing for generation_id in needed)

        yield from self._read(None, go_on)

    def finished(self, missing: Collection[str]) -> Reading:
        """Ask which generations have ended, and read on only while the totals say that more have.

        :param missing: ids that were running when last heard of; whoever reads takes out those that ended.
        """
        self._looks += 1
        yield from self._read_finished(Status.COMPLETED, missing)
        if self._looks % FAILURES_EVERY == 1 and missing and self.filters:
            yield from self._read_finished(Status.FAILED, missing)

    def _read_finished(self, status: Status, missing: Collection[str]) -> Reading:
        never_seen = self._never_seen.get(status)
        most = _pages(len(missing)) + DEEPER
        total: int | None = None

        def go_on(page: HistoryPage, read: int) -> bool:
            nonlocal total
            total = page.total if read == 1 else total
            unseen = self._unseen(status, page.total, len(missing))
            all_seen = never_seen is not None and unseen is not None and unseen <= never_seen
            return bool(missing) and read < most and not all_seen

        yield from self._read(status, go_on)
        unseen = self._unseen(status, total, len(missing))
        if missing and unseen is not None:
            # what ends while pages are read counts next time: better a page too many than a video too late
            self._never_seen[status] = max(0, unseen)

    def _read(self, status: Status | None, go_on: Callable[[HistoryPage, int], bool]) -> Reading:
        total = self._totals.get(status)
        from_the_end = self._old_to_new and total is not None
        skip: int | None = max(0, (total or 0) - HISTORY_PAGE_LIMIT + ROOM_FOR_NEW) if from_the_end else 0
        read = 0
        while skip is not None:
            page = yield Page(skip, status)
            if status is not None and any(each.status is not status for each in page.generations):
                self.filters = False
                return
            self._note(page, status)
            read += 1
            more = go_on(page, read)
            if from_the_end:
                skip = max(0, skip - HISTORY_PAGE_LIMIT) if skip > 0 else None
            else:
                skip = page.next_skip
            if status is None:
                self.was_read_whole = skip is None
            if not more:
                break

    def _note(self, page: HistoryPage, status: Status | None) -> None:
        self._totals[status] = page.total
        order = order_of(page.generations)
        if order is not None:
            self._old_to_new = order > 0
        for each in page.generations:
            if each.status.is_terminal:
                self._ended.setdefault(each.status, set()).add(each.id)
        if sum(map(len, self._ended.values())) > REMEMBERED:
            self._ended.clear()
            self._never_seen.clear()

    def _unseen(self, status: Status, total: int | None, running: int) -> int | None:
        """Return how many that ended so no page has shown; ``None`` where the total does not tell.

        A total that leaves no room for those that run counts everything, whatever the filter.
        """
        everything = self._totals.get(None)
        if total is None or (everything is not None and total + running > everything):
            return None
        return total - len(self._ended.get(status, ()))


def _pages(number: int) -> int:
    return max(1, -(-number // HISTORY_PAGE_LIMIT))


def order_of(generations: Sequence[Generation]) -> int | None:
    """Tell whether a page runs from old to new (1) or from new to old (-1); ``None``: it does not show."""
    times = [each.created_at for each in generations if each.created_at is not None]
    if not times or times[0] == times[-1]:
        return None
    if times == sorted(times):
        return 1
    return -1 if times == sorted(times, reverse=True) else None
