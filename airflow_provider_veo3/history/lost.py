"""Search of the account's history for a submission whose response was lost."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from airflow_provider_veo3.api.models import Status, is_another_model
from airflow_provider_veo3.api.protocol import HISTORY_PAGE_LIMIT
from airflow_provider_veo3.api.request import IMAGE_ROLES
from airflow_provider_veo3.history.pages import MAX_PAGES, End, HistoryReader, reading_flow
from airflow_provider_veo3.history.prompts import plain, same_prompt, sizes_of

if TYPE_CHECKING:
    from collections.abc import Generator

    from airflow_provider_veo3.api.flows import Flow
    from airflow_provider_veo3.api.models import Generation, HistoryPage
    from airflow_provider_veo3.api.request import GenerationRequest
    from airflow_provider_veo3.api.retries import Retries
    from airflow_provider_veo3.history.pages import Page, Rest
    from airflow_provider_veo3.history.prompts import Sizes

CLOCK_SLACK: Final = 30.0
"""Seconds by which a time may be off although both clocks were compared: an HTTP date has whole seconds, a
gateway's clock is not the API's, and the worker that searches is not always the one that submitted."""

UNKNOWN_CLOCK_SLACK: Final = 120.0
"""Seconds by which the API's clock may be off where its responses have no date."""

_KNOWN_TYPES: Final = {name.replace("-", "") for name in IMAGE_ROLES}


class InconclusiveHistoryError(Exception):
    """The history does not prove that a generation is absent; the message says why."""


@dataclass(frozen=True)
class Lost:
    """A submission that may have been accepted.

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
        """Return the generations of a page that can be this one; a field that is not listed excludes none."""
        longest = sizes_of(g.prompt for g in page.generations if g.prompt is not None)
        return {g.id: g for g in page.generations if self._may_be(g, page.clock_skew, longest)}

    def is_unnamed(self, page: HistoryPage) -> bool:
        """Return whether a page lists such a prompt under an unusable id."""
        prompted = [g for g in page.unnamed if g.prompt is not None]
        longest = sizes_of(g.prompt for g in (*page.generations, *prompted) if g.prompt is not None)
        return any(self._may_be(g, page.clock_skew, longest) for g in prompted)

    def has_whole_prompt(self, generation: Generation) -> bool:
        """Return whether a generation is listed with the whole prompt, in whatever form."""
        return generation.prompt is not None and plain(generation.prompt) == plain(self.prompt)

    def contradicts(self, generation: Generation) -> bool:
        """Return whether a generation has another prompt than was sent, shortened or not."""
        listed = generation.prompt
        return listed is not None and not same_prompt(self.prompt, listed, sizes_of([listed]))

    def _may_be(self, generation: Generation, clock_skew: float | None, longest: Sizes) -> bool:
        if generation.status is Status.FAILED:  # refunded: nothing to adopt
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
    """Return whether a listed type is of another endpoint; an undocumented word proves nothing."""
    ours, theirs = (re.sub("[^a-z]", "", name.lower()) for name in (sent, listed))
    # no vendor page shows how a generation from two images is listed
    unclear = {ours, theirs} == {"firstlastframe", "imagetovideo"}
    return ours != theirs and theirs in _KNOWN_TYPES and not unclear


def find(lost: Lost, base_url: str, retries: Retries) -> Flow[tuple[Generation, ...]]:
    """Return every generation that may be the lost one, whatever order the history comes in.

    A history that runs from new to old is read until it is older than the submission, any other whole.

    :raises InconclusiveHistoryError: it is not whole after ``MAX_PAGES``, or lists the generation without
        an id.
    """
    return (yield from reading_flow(_search(lost), base_url, retries))


def _search(lost: Lost) -> Generator[Page, HistoryPage, tuple[Generation, ...]]:
    found: dict[str, Generation] = {}
    unnamed = False

    def enough(page: HistoryPage, rest: Rest) -> bool:
        nonlocal unnamed
        found.update(lost.candidates(page))
        unnamed = unnamed or lost.is_unnamed(page)
        limit = lost.since - UNKNOWN_CLOCK_SLACK + (page.clock_skew or 0.0)
        return rest.before is not None and rest.before.timestamp() < limit

    end = yield from HistoryReader().read(enough, most=MAX_PAGES)
    if end is End.LIMIT:
        most = MAX_PAGES * HISTORY_PAGE_LIMIT
        raise InconclusiveHistoryError(f"the history holds more than {most} generations and is not in order")
    if end is End.REPEATED:
        raise InconclusiveHistoryError("the API lists the same page of the history again and again")
    if unnamed and not found:
        raise InconclusiveHistoryError("the history lists such a generation under an id that cannot be used")
    # where the whole prompt is listed, others only begin alike: the listing shortens none that short
    return tuple(filter(lost.has_whole_prompt, found.values())) or tuple(found.values())
