"""Find a submission whose answer was lost in the account's history."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from airflow_provider_veo3.api.flows import Flow, get_history_page
from airflow_provider_veo3.api.models import Status
from airflow_provider_veo3.api.protocol import HISTORY_PAGE_LIMIT
from airflow_provider_veo3.api.request import IMAGE_ROLES
from airflow_provider_veo3.history.prompts import plain, same_prompt, sizes_of

if TYPE_CHECKING:
    from airflow_provider_veo3.api.models import Generation, HistoryPage
    from airflow_provider_veo3.api.request import GenerationRequest
    from airflow_provider_veo3.api.retries import Retries
    from airflow_provider_veo3.history.prompts import Sizes

CLOCK_SLACK: Final = 30.0
"""Seconds by which a time may be off although both clocks were compared: an HTTP date tells whole seconds,
a gateway's clock is not the API's, and the worker that looks is not always the one that sent."""

UNKNOWN_CLOCK_SLACK: Final = 120.0
"""Seconds by which the API's clock may be off where it does not tell its time."""

PAGE_OVERLAP: Final = 5
"""Generations that are read again with the next page: what is accepted meanwhile moves the rest on."""

MAX_PAGES: Final = 50
"""Pages of the history that are read at most: 5000 generations."""

_KNOWN_TYPES: Final = {name.replace("-", "") for name in IMAGE_ROLES}


class InconclusiveHistoryError(Exception):
    """It cannot be said that a generation is not in the history; says why."""


@dataclass(frozen=True)
class Lost:
    """What is known of a submission that may have been accepted.

    :param type: the endpoint's name.
    :param model: as it was sent.
    :param prompt: as it was sent.
    :param since: Unix seconds, our clock: it was not sent before.
    :param until: Unix seconds, our clock: it cannot have been accepted later.
    """

    type: str
    model: str
    prompt: str
    since: float
    until: float

    @classmethod
    def of(cls, request: GenerationRequest, since: float, until: float) -> Lost:
        """Describe a request."""
        return cls(request.type, request.model, request.prompt, since, until)

    def candidates(self, page: HistoryPage) -> dict[str, Generation]:
        """Return the generations of a page that can be it; what the listing does not tell speaks for them."""
        longest = sizes_of(g.prompt for g in page.generations if g.prompt is not None)
        return {g.id: g for g in page.generations if self._may_be(g, page.clock_skew, longest)}

    def is_unnamed(self, page: HistoryPage) -> bool:
        """Whether a page has it, as far as the prompt tells, under an id that cannot be used."""
        told = [g for g in page.unnamed if g.prompt is not None]
        longest = sizes_of(g.prompt for g in (*page.generations, *told) if g.prompt is not None)
        return any(self._may_be(g, page.clock_skew, longest) for g in told)

    def has_the_words(self, generation: Generation) -> bool:
        """Whether a generation is listed with the very prompt, in whatever form."""
        return generation.prompt is not None and plain(generation.prompt) == plain(self.prompt)

    def contradicts(self, generation: Generation) -> bool:
        """Whether the status of a generation tells of another prompt than was sent, shortened or not."""
        told = generation.prompt
        return told is not None and not same_prompt(self.prompt, told, sizes_of([told]))

    def _may_be(self, generation: Generation, clock_skew: float | None, longest: Sizes) -> bool:
        if generation.status is Status.FAILED:  # refunded: nothing to take up
            return False
        if generation.type is not None and _is_another_type(self.type, generation.type):
            return False
        if generation.model is not None and is_another_model(self.model, generation.model):
            return False
        if generation.prompt is not None and not same_prompt(self.prompt, generation.prompt, longest):
            return False
        return generation.created_at is None or self._in_time(generation.created_at.timestamp(), clock_skew)

    def _in_time(self, created: float, clock_skew: float | None) -> bool:
        slack = UNKNOWN_CLOCK_SLACK if clock_skew is None else CLOCK_SLACK
        return self.since - slack <= created - (clock_skew or 0.0) <= self.until + slack


def _is_another_type(sent: str, listed: str) -> bool:
    """Whether a listing says that it is of another endpoint; a word that no page knows says nothing."""
    ours, theirs = (re.sub("[^a-z]", "", name.lower()) for name in (sent, listed))
    # no page shows how the listing calls it that starts from two images
    unclear = {ours, theirs} == {"firstlastframe", "imagetovideo"}
    return ours != theirs and theirs in _KNOWN_TYPES and not unclear


def is_another_model(sent: str, listed: str) -> bool:
    """Whether a listing names another model; a name that is no id says nothing, nor does its ending."""
    ours, theirs = (re.sub(r"-(\d{3}|preview)$", "", name.strip().lower()) for name in (sent, listed))
    return ours != theirs and ours.startswith("veo-") and theirs.startswith("veo-")


def find(lost: Lost, base_url: str, retries: Retries) -> Flow[tuple[Generation, ...]]:
    """Return every generation that may be the lost one, whatever order the history comes in.

    A history that runs from new to old is read until it is older than the submission, any other whole.

    :raises InconclusiveHistoryError: it is not whole after ``MAX_PAGES``, or shows it without an id.
    """
    found: dict[str, Generation] = {}
    skip = 0
    newest_first, unnamed = True, False
    for _ in range(MAX_PAGES):
        page = yield from get_history_page(HISTORY_PAGE_LIMIT, skip, None, base_url, retries)
        found |= lost.candidates(page)
        unnamed = unnamed or lost.is_unnamed(page)
        newest_first = newest_first and _runs_from_new_to_old(page)
        next_skip = _next_skip(page, skip)
        if next_skip is None or (newest_first and _is_older(page, lost)):
            if unnamed and not found:
                raise InconclusiveHistoryError("the history lists such a one under an id that cannot be used")
            return _whole_ones_first(lost, tuple(found.values()))
        skip = max(skip + 1, next_skip - PAGE_OVERLAP)
    raise InconclusiveHistoryError(
        f"the history holds more than {MAX_PAGES * HISTORY_PAGE_LIMIT} generations and is not in order"
    )


def _next_skip(page: HistoryPage, skip: int) -> int | None:
    """Return where the next page starts; the last is one that nothing contradicts, or an empty one."""
    read = skip + len(page.generations)
    if page.next_skip is not None or len(page.generations) <= PAGE_OVERLAP:
        return page.next_skip
    # a page may hold less than was asked for, and an API that does not see that says that no more follows
    return read if page.total is None or page.total > read else None


def _whole_ones_first(lost: Lost, found: tuple[Generation, ...]) -> tuple[Generation, ...]:
    """Leave out what only begins alike, where the listing has the very prompt: it shortens none so short."""
    return tuple(filter(lost.has_the_words, found)) or found


def _runs_from_new_to_old(page: HistoryPage) -> bool:
    times = [g.created_at for g in page.generations]
    known = [time for time in times if time is not None]
    return len(known) == len(times) and known == sorted(known, reverse=True)


def _is_older(page: HistoryPage, lost: Lost) -> bool:
    """Whether everything behind a page that runs from new to old is older than the submission."""
    oldest = page.generations[-1].created_at if page.generations else None
    if oldest is None:
        return False
    limit = lost.since - UNKNOWN_CLOCK_SLACK + (page.clock_skew or 0.0)
    return oldest.timestamp() < limit
