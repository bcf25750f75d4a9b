"""The history pages that a poll of many generations needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from airflow_provider_veo3.api.models import Status
from airflow_provider_veo3.api.protocol import HISTORY_PAGE_LIMIT
from airflow_provider_veo3.history.pages import OVERLAP, HistoryReader

if TYPE_CHECKING:
    from collections.abc import Collection

    from airflow_provider_veo3.api.models import HistoryPage
    from airflow_provider_veo3.history.pages import Reading, Rest

DEEPER: Final = 10
"""Pages beyond one for each hundred waiters, read for what others have generated in between."""

FAILURES_EVERY: Final = 4
"""Polls of the completed list for each poll of the failed list."""

REMEMBERED: Final = 20_000
"""Most ended generations remembered; with more, the next poll reads as if it were the first."""


class Listing:
    """Choice of the pages to read, from what earlier pages have shown.

    It reads no further than the totals say that a generation has ended which no page has shown.
    """

    def __init__(self) -> None:
        self.reader = HistoryReader()
        self.shows_completed: bool | None = None
        """True once the completed list has shown a generation; ``None`` before it is first read."""
        self._ended: dict[Status, set[str]] = {}
        self._hidden: dict[Status, int] = {}
        """Ended generations further back in the history than any waiter needs, by status."""
        self._polls = 0

    def newest(self, missing: Collection[str], needed: Collection[str]) -> Reading:
        """Read the newest page, and older ones while a needed generation is missing.

        :param missing: ids waited for; the caller removes those that a page has shown.
        :param needed: ids of which nothing is known yet.
        """
        most = _pages(len(missing)) + (1 if self.reader.filters else DEEPER)

        def enough(page: HistoryPage, _: Rest) -> bool:
            self._note(page)
            return not any(generation_id in missing for generation_id in needed)

        return self.reader.read(enough, newest_first=True, most=most)

    def finished(self, missing: Collection[str], *, read_failed: bool = False) -> Reading:
        """Read the lists of ended generations, while the totals say that one has ended since.

        :param missing: ids last seen running; the caller removes those that have ended.
        :param read_failed: read the failed list whether or not it is due.
        """
        self._polls += 1
        end = yield from self._read_ended(Status.COMPLETED, missing)
        is_due = read_failed or self._polls % FAILURES_EVERY == 1
        if is_due and missing and self.reader.filters:
            end = yield from self._read_ended(Status.FAILED, missing)
        return end

    def _read_ended(self, status: Status, missing: Collection[str]) -> Reading:
        hidden = self._hidden.get(status)
        totals: list[int | None] = []

        def enough(page: HistoryPage, _: Rest) -> bool:
            self._note(page)
            totals.append(page.total)
            if status is Status.COMPLETED:
                self.shows_completed = self.shows_completed or bool(page.generations)
            unseen = self._unseen(status, page.total, len(missing))
            return not missing or (hidden is not None and unseen is not None and unseen <= hidden)

        most = _pages(len(missing)) + DEEPER
        end = yield from self.reader.read(enough, status, newest_first=True, most=most)
        unseen = self._unseen(status, totals[0], len(missing)) if totals else None
        if missing and unseen is not None:
            # what ends while pages are read counts next time: better a page too many than a video too late
            self._hidden[status] = max(0, unseen)
        return end

    def _note(self, page: HistoryPage) -> None:
        for each in page.generations:
            if each.status.is_terminal:
                self._ended.setdefault(each.status, set()).add(each.id)
        if sum(map(len, self._ended.values())) > REMEMBERED:
            self._ended.clear()
            self._hidden.clear()

    def _unseen(self, status: Status, total: int | None, running: int) -> int | None:
        """Return how many with this status no page has shown; ``None`` where the total does not say.

        A total that leaves no room for those that run counts all generations, whatever the filter.
        """
        everything = self.reader.total(None)
        if total is None or (everything is not None and total + running > everything):
            return None
        return total - len(self._ended.get(status, ()))


def _pages(number: int) -> int:
    return max(1, -(-number // (HISTORY_PAGE_LIMIT - OVERLAP)))
