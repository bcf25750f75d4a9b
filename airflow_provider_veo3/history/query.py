"""Query of the account's history: its parameters, and how far the history must be read. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from airflow_provider_veo3.api.models import Status, is_another_model
from airflow_provider_veo3.exceptions import Veo3ValidationError
from airflow_provider_veo3.history.pages import LONGEST_GENERATION, HistoryReader
from airflow_provider_veo3.parameters import read_integer

if TYPE_CHECKING:
    from collections.abc import Generator

    from airflow_provider_veo3.api.models import Generation, HistoryPage
    from airflow_provider_veo3.history.pages import Page, Rest

SLACK: Final = timedelta(seconds=LONGEST_GENERATION)
"""Read beyond a window: a listing may be ordered by completion, which its pages need not show."""

_MOMENT: Final = "a time as ISO 8601 text or datetime (UTC unless it says so), or a timedelta back from now"


@dataclass(frozen=True)
class HistoryQuery:
    """Filter of the account's generations. A field that the history does not list excludes none.

    :param status: only this status; ``None`` for all.
    :param since: only those created then or later.
    :param until: only those created before.
    :param model: only those of this model.
    :param limit: only so many, the newest.
    """

    status: Status | None = None
    since: datetime | None = None
    until: datetime | None = None
    model: str | None = None
    limit: int | None = None

    def matches(self, generation: Generation) -> bool:
        """Return whether a generation passes the filter."""
        if self.status is not None and generation.status is not self.status:
            return False  # an API that ignores the filter
        if self.model and generation.model and is_another_model(self.model, generation.model):
            return False
        created = created_at(generation)
        return created is None or (
            (self.since is None or created >= self.since) and (self.until is None or created < self.until)
        )

    def ends(self, rest: Rest, found: int) -> bool:
        """Return whether no page that is not read yet can add to the result.

        :param found: generations that match so far.
        """
        if rest.before is not None:
            is_full = self.limit is not None and found >= self.limit
            return is_full or (self.since is not None and self.since - rest.before > SLACK)
        return rest.after is not None and self.until is not None and rest.after - self.until > SLACK


def created_at(generation: Generation) -> datetime | None:
    """Return when a generation was created, as far as the history lists it."""
    return generation.created_at or generation.completed_at


def select(query: HistoryQuery) -> Generator[Page, HistoryPage, list[Generation]]:
    """Return the generations that match, the oldest first; request no page without one.

    The API does not document the order of its history. Pages that run from new to old, or from old to new,
    end the reading when they have left the window; in any other order all are read.
    """
    found: dict[str, Generation] = {}

    def enough(page: HistoryPage, rest: Rest) -> bool:
        found.update((each.id, each) for each in page.generations if query.matches(each))
        return query.ends(rest, len(found))

    yield from HistoryReader().read(enough, query.status)
    result = sorted(
        found.values(), key=lambda each: (created_at(each) or datetime.min.replace(tzinfo=UTC), each.id)
    )
    return result if query.limit is None else result[-query.limit :]


def parse_query(
    *, status: object, since: object, until: object, model: object, limit: object, now: datetime
) -> HistoryQuery:
    """Parse an operator's parameters.

    :param now: the time that durations count back from.
    :raises Veo3ValidationError: a parameter is not acceptable.
    """
    if status is not None and status not in tuple(Status):
        raise Veo3ValidationError.of("status", status, f"{', '.join(Status)}, or None for all")
    if model is not None and not (isinstance(model, str) and model.strip()):
        raise Veo3ValidationError.of("model", model, "a model id, or None for all")
    start, end = _parse_moment("since", since, now), _parse_moment("until", until, now)
    if start is not None and end is not None and start >= end:
        raise Veo3ValidationError.of("since", since, f"a time before 'until', which is {end.isoformat()}")
    return HistoryQuery(
        status=None if status is None else Status(str(status)),
        since=start,
        until=end,
        model=model if isinstance(model, str) else None,
        limit=None if limit is None else read_integer("limit", limit, range(1, 10**6 + 1)),
    )


def _parse_moment(field: str, value: object, now: datetime) -> datetime | None:
    try:
        if value is None:
            return None
        if isinstance(value, timedelta) and value >= timedelta(0):
            return now - value
        moment = datetime.fromisoformat(value.strip()) if isinstance(value, str) else value
        if isinstance(moment, datetime):
            return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError) as error:
        raise Veo3ValidationError.of(field, value, _MOMENT) from error
    raise Veo3ValidationError.of(field, value, _MOMENT)
