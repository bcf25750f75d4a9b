"""History endpoint in memory: pages of generations, as an API of any kind would list them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_veo3.api.models import HistoryPage

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from airflow_provider_veo3.api.models import Generation
    from airflow_provider_veo3.history.pages import Page


def page_of(
    rows: Sequence[Generation],
    request: Page,
    *,
    filters: bool = True,
    totals: str | None = "listed",
    size: int = 100,
) -> HistoryPage:
    """Return the requested page.

    :param rows: all generations, in the API's order.
    :param filters: whether the API honours ``status``.
    :param totals: what its total counts: ``listed`` (under the filter), ``all``, or ``None`` for no total.
    :param size: most generations on a page.
    """
    everything = len(rows)
    if request.status is not None and filters:
        rows = [row for row in rows if row.status == request.status]
    total = {"listed": len(rows), "all": everything, None: None}[totals]
    shown = tuple(rows[request.skip : request.skip + size])
    end = request.skip + len(shown)
    return HistoryPage(shown, total, end if shown and end < len(rows) else None, None)


def drive(reading: Generator[Page, HistoryPage, Any], page: Callable[[Page], HistoryPage]) -> Any:
    """Run a reading to its end; return its result."""
    request = next(reading)
    while True:
        try:
            request = reading.send(page(request))
        except StopIteration as done:
            return done.value
