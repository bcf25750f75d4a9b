"""Which generations of the account's history are asked for, and how far it has to be read. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from airflow_provider_veo3.api.models import Status
from airflow_provider_veo3.exceptions import Veo3ValidationError
from airflow_provider_veo3.history.lost import is_another_model
from airflow_provider_veo3.polling.durations import LONGEST_GENERATION

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from airflow_provider_veo3.api.models import Generation

SLACK: Final = timedelta(seconds=LONGEST_GENERATION)
"""Read beyond a window: a listing may be ordered by when they finished, which its pages need not show."""

_MOMENT: Final = "a time as ISO 8601 text or datetime (UTC unless it says so), or a timedelta back from now"


@dataclass(frozen=True)
class Wanted:
    """What is asked for. What the listing does not tell of a generation speaks for it.

    :param status: only those that stand so; ``None``: however they stand.
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

    def fits(self, generation: Generation) -> bool:
        """Whether it is among them."""
        if self.status is not None and generation.status is not self.status:
            return False  # an API that does not heed the filter
        if self.model and generation.model and is_another_model(self.model, generation.model):
            return False
        created = created_at(generation)
        return created is None or (
            (self.since is None or created >= self.since) and (self.until is None or created < self.until)
        )


def created_at(generation: Generation) -> datetime | None:
    """Return when it was created, as far as the listing tells."""
    return generation.created_at or generation.completed_at


def select(pages: Iterable[Sequence[Generation]], wanted: Wanted) -> list[Generation]:
    """Return those that are asked for, the oldest first, and ask for no page that cannot hold one.

    The API does not say how it orders its listing. Pages that run from new to old, or from old to new, end
    the reading when they have left the window; in any other order all are read.
    """
    found: list[Generation] = []
    times: list[datetime | None] = []
    for page in pages:
        found += filter(wanted.fits, page)
        times += map(created_at, page)
        if _nothing_follows(times, wanted, len(found)):
            break
    found.sort(key=lambda each: (created_at(each) or datetime.min.replace(tzinfo=UTC), each.id))
    return found if wanted.limit is None else found[-wanted.limit :]


def _nothing_follows(times: Sequence[datetime | None], wanted: Wanted, found: int) -> bool:
    known = [time for time in times if time is not None]
    if len(known) < len(times) or not known or known[0] == known[-1]:
        return False  # no order shows
    last = known[-1]
    if all(sooner >= later for sooner, later in pairwise(known)):
        enough = wanted.limit is not None and found >= wanted.limit
        return enough or (wanted.since is not None and last < wanted.since - SLACK)
    if all(sooner <= later for sooner, later in pairwise(known)):
        return wanted.until is not None and last > wanted.until + SLACK
    return False


def read_wanted(
    *, status: object, since: object, until: object, model: object, limit: object, now: datetime
) -> Wanted:
    """Read what an operator was given.

    :param now: what durations count back from.
    :raises Veo3ValidationError: something makes no sense.
    """
    from airflow_provider_veo3.api.request import read_integer

    if status is not None and status not in tuple(Status):
        raise Veo3ValidationError.of("status", status, f"{', '.join(Status)}, or None for all")
    if model is not None and not (isinstance(model, str) and model.strip()):
        raise Veo3ValidationError.of("model", model, "a model id, or None for all")
    start, end = _read_moment("since", since, now), _read_moment("until", until, now)
    if start is not None and end is not None and start >= end:
        raise Veo3ValidationError.of("since", since, f"a time before 'until', which is {end.isoformat()}")
    return Wanted(
        status=None if status is None else Status(str(status)),
        since=start,
        until=end,
        model=model if isinstance(model, str) else None,
        limit=None if limit is None else read_integer("limit", limit, range(1, 10**6 + 1)),
    )


def _read_moment(field: str, value: object, now: datetime) -> datetime | None:
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
