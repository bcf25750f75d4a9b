"""Credits spent and refunded, added up by day, DAG and model. Pure: no database, no clock."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from airflow_provider_veo3.plugins.cards import Role, Status, merge

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import date, datetime

    from airflow_provider_veo3.plugins.cards import Card, Row

HEADER: Final = ("day", "dag_id", "model", "generations", "credits", "refunded")

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
"""First characters by which a spreadsheet takes a text for a formula."""


class Item(NamedTuple):
    """Day, DAG and model that credits are added up for."""

    day: date
    dag_id: str
    model: str


@dataclass
class Credits:
    """Credits of some generations."""

    generations: int = 0
    spent: float = 0
    """Credits taken, without those that were refunded."""
    refunded: float = 0
    """Credits of failed generations, which the vendor gives back."""


class Spend:
    """Credits by day, DAG and model.

    :param since: first moment that counts.
    :param until: first moment that no longer counts.
    :param model: text that the model contains; ``None`` for any.
    """

    def __init__(self, since: datetime, until: datetime, model: str | None = None) -> None:
        self.since = since
        self.until = until
        self.model = model or ""
        self.items: dict[Item, Credits] = {}

    def add(self, rows: Iterable[Row]) -> None:
        """Add the manifests of generating tasks, which come run by run.

        Only a generating task pays. A sensor of the same run may know that the generation failed.
        """
        for card in _cards(rows, self.until):
            if not self.since <= card.accepted_at < self.until or (self.model or "") not in (
                card.model or ""
            ):
                continue
            item = Item(card.accepted_at.date(), card.dag_id, card.model or "unknown")
            total = self.items.setdefault(item, Credits())
            total.generations += 1
            if card.status is Status.FAILED:
                total.refunded += card.credits_used or 0
            else:
                total.spent += card.credits_used or 0

    def rows(self) -> list[tuple[Any, ...]]:
        """Return a row for each day, DAG and model, under ``HEADER``, from the first day."""
        return [
            (item.day.isoformat(), item.dag_id, item.model, total.generations, total.spent, total.refunded)
            for item, total in sorted(self.items.items())
        ]

    def as_csv(self) -> str:
        """Return the rows as a CSV file, in which no text is a formula."""
        text = io.StringIO()
        writer = csv.writer(text)
        writer.writerow(HEADER)
        for row in self.rows():
            writer.writerow(
                [f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell for cell in row]
            )
        return text.getvalue()


def _cards(rows: Iterable[Row], now: datetime) -> Iterator[Card]:
    """Yield the paid generations, with the rows of one run in memory."""
    run: dict[str, list[Row]] = {}
    dag_run_id: int | None = None
    for row in rows:
        if row.dag_run_id != dag_run_id:
            yield from _paid(run, now)
            run, dag_run_id = {}, row.dag_run_id
        for generation_id in row.generation_ids:
            run.setdefault(generation_id, []).append(row)
    yield from _paid(run, now)


def _paid(run: dict[str, list[Row]], now: datetime) -> Iterator[Card]:
    for generation_id, rows in run.items():
        paying = [row for row in rows if row.role is Role.GENERATING]
        if paying:
            yield merge(generation_id, rows, paying[0], now)
