"""Credits spent and refunded, added up by day, DAG and model. Pure: no database, no clock."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from airflow_provider_veo3.plugins.cards import Role, Status, accepted_at, as_number, as_text, first

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import date, datetime

HEADER: Final = ("day", "dag_id", "model", "generations", "credits", "refunded")

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
"""First characters by which a spreadsheet takes a text for a formula."""


class Report(NamedTuple):
    """Part of a published manifest, as its credits need it."""

    dag_run_id: int
    dag_id: str
    role: Role
    at: datetime
    facts: Mapping[str, Any]


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

    def add(self, reports: Iterable[Report]) -> None:
        """Add reports, which come run by run; those of one run are in memory."""
        for _, of_run in groupby(reports, key=lambda report: report.dag_run_id):
            generations: dict[str, list[Report]] = {}
            for report in of_run:
                generations.setdefault(report.facts["id"], []).append(report)
            for found in generations.values():
                self._add(found)

    def _add(self, reports: list[Report]) -> None:
        """Add a generation that a generating task has paid for; a sensor may know that it failed."""
        reports.sort(key=lambda report: (report.role, report.at))
        paying, facts = reports[0], [report.facts for report in reports]
        accepted = accepted_at(facts) or paying.at
        model = first(as_text, facts, "model") or ""
        is_counted = self.since <= accepted < self.until and self.model in model
        if paying.role is not Role.GENERATING or not is_counted:
            return
        total = self.items.setdefault(Item(accepted.date(), paying.dag_id, model or "unknown"), Credits())
        total.generations += 1
        credits_used = first(as_number, facts, "credits_used") or 0
        if any(fact.get("status") == Status.FAILED for fact in facts):
            total.refunded += credits_used
        else:
            total.spent += credits_used

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
