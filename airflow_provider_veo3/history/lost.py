"""Search of the account's history for a submission whose response was lost."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING, Final

from airflow_provider_veo3.api.models import Status, is_another_model, time_in_id
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
"""Seconds by which a time may be off although both clocks were compared: an HTTP date has whole seconds, and
the worker that searches is not always the one that submitted."""

UNKNOWN_CLOCK_SLACK: Final = 120.0
"""Seconds by which the API's clock may be off where its responses have no date."""

DOUBT: Final = 600.0
"""Seconds outside of the possible times within which a generation may still be the lost one: the compared
date may be that of a gateway, whose clock is right while the API's is not."""

ZONES: Final = 14 * 3600.0
"""Seconds by which a time without a zone may be off."""

_KNOWN_TYPES: Final = {name.replace("-", "") for name in IMAGE_ROLES}


class Match(Enum):
    """Verdict on a listed generation."""

    YES = auto()
    """It can be the lost one."""
    UNSURE = auto()
    """It can be the lost one if its time is not what it seems."""
    NO = auto()
    """It is another one."""


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

    def judge(self, generation: Generation, clock_skew: float | None, longest: Sizes) -> Match:
        """Return whether a listed generation can be this one; a field that is not listed excludes none.

        :param clock_skew: seconds by which the API's clock is ahead of ours; ``None`` when unknown.
        :param longest: sizes of the longest prompts of the page, which show how it shortens prompts.
        """
        if (
            generation.status is Status.FAILED  # refunded: nothing to adopt
            or (generation.type is not None and _is_another_type(self.type, generation.type))
            or (generation.model is not None and is_another_model(self.model, generation.model))
            or (generation.prompt is not None and not same_prompt(self.prompt, generation.prompt, longest))
        ):
            return Match.NO
        return self._judge_time(generation, clock_skew)

    def judge_page(self, page: HistoryPage) -> dict[str, tuple[Generation, Match]]:
        """Return the generations of a page that can be this one, by id."""
        longest = sizes_of(g.prompt for g in page.generations if g.prompt is not None)
        judged = ((g, self.judge(g, page.clock_skew, longest)) for g in page.generations)
        return {g.id: (g, match) for g, match in judged if match is not Match.NO}

    def is_unnamed(self, page: HistoryPage) -> bool:
        """Return whether a page lists the prompt under an unusable id."""
        prompted = [g for g in page.unnamed if g.prompt is not None]
        longest = sizes_of(g.prompt for g in (*page.generations, *prompted) if g.prompt is not None)
        return any(self.judge(g, page.clock_skew, longest) is not Match.NO for g in prompted)

    def has_whole_prompt(self, generation: Generation) -> bool:
        """Return whether a generation is listed with the whole prompt, in whatever form."""
        return generation.prompt is not None and plain(generation.prompt) == plain(self.prompt)

    def contradicts(self, generation: Generation) -> bool:
        """Return whether a generation has another prompt than was sent, shortened or not."""
        listed = generation.prompt
        return listed is not None and not same_prompt(self.prompt, listed, sizes_of([listed]))

    def judge_status(self, generation: Generation, clock_skew: float | None) -> Match:
        """Return whether a generation can be this one, by its status response."""
        return self.judge(generation, clock_skew, sizes_of([generation.prompt or ""]))

    def _judge_time(self, generation: Generation, clock_skew: float | None) -> Match:
        written, is_exact = _written_time(generation)
        if written is None:
            return Match.UNSURE
        created = written - (clock_skew or 0.0)
        slack = UNKNOWN_CLOCK_SLACK if clock_skew is None else CLOCK_SLACK
        off = max(self.since - slack - created, created - self.until - slack, 0.0)
        if is_exact:
            return Match.YES if off == 0.0 else Match.UNSURE if off <= DOUBT else Match.NO
        return Match.UNSURE if off <= ZONES + DOUBT else Match.NO


def _written_time(generation: Generation) -> tuple[float | None, bool]:
    """Return the API's time of acceptance in Unix seconds, and whether that is exact.

    A time without a zone is exact only where the id carries the same moment.
    """
    created = None if generation.created_at is None else generation.created_at.timestamp()
    in_id = time_in_id(generation.id)
    if created is None:
        return in_id, False
    if generation.created_in_zone:
        return created, True
    if in_id is not None and _is_offset(created - in_id):
        return in_id, True
    return created, False


def _is_offset(seconds: float) -> bool:
    """Return whether two times of one moment may differ by so much: a zone's quarters of an hour."""
    return abs(seconds) <= ZONES + 1.0 and abs((seconds + 450.0) % 900.0 - 450.0) <= 1.0


def _is_another_type(sent: str, listed: str) -> bool:
    """Return whether a listed type is of another endpoint; an undocumented word proves nothing."""
    ours, theirs = (re.sub("[^a-z]", "", name.lower()) for name in (sent, listed))
    # no vendor page shows how a generation from two images is listed
    unclear = {ours, theirs} == {"firstlastframe", "imagetovideo"}
    return ours != theirs and theirs in _KNOWN_TYPES and not unclear


@dataclass(frozen=True)
class Found:
    """Generations that may be the lost one.

    :param certain: those whose prompt and time fit.
    :param doubtful: those whose prompt fits, while their time is not known or slightly off.
    :param clock_skew: seconds by which the API's clock is ahead of ours; ``None`` when unknown.
    """

    certain: tuple[Generation, ...]
    doubtful: tuple[Generation, ...]
    clock_skew: float | None


def find(lost: Lost, base_url: str, retries: Retries) -> Flow[Found]:
    """Return every generation that may be the lost one, whatever order the history comes in.

    A history that runs from new to old is read until it is older than the submission, one that runs from old
    to new from its end, any other whole.

    :raises InconclusiveHistoryError: the history does not prove that the generation is absent.
    """
    return (yield from reading_flow(_search(lost), base_url, retries))


def _search(lost: Lost) -> Generator[Page, HistoryPage, Found]:
    judged: dict[str, tuple[Generation, Match]] = {}
    unnamed = False
    clock_skew: float | None = None

    def enough(page: HistoryPage, rest: Rest) -> bool:
        nonlocal unnamed, clock_skew
        judged.update(lost.judge_page(page))
        unnamed = unnamed or lost.is_unnamed(page)
        clock_skew = page.clock_skew
        in_zone = all(each.created_in_zone for each in page.generations)
        limit = lost.since - DOUBT - UNKNOWN_CLOCK_SLACK + (page.clock_skew or 0.0)
        return rest.before is not None and rest.before.timestamp() < limit - (0.0 if in_zone else ZONES)

    end = yield from HistoryReader().read(enough, latest_only=True, most=MAX_PAGES)
    if end is End.LIMIT:
        most = MAX_PAGES * HISTORY_PAGE_LIMIT
        raise InconclusiveHistoryError(f"the history holds more than {most} generations and is not in order")
    if end is End.REPEATED:
        raise InconclusiveHistoryError("the API lists the same page of the history again: it ignores 'skip'")
    if unnamed and not judged:
        raise InconclusiveHistoryError("the history lists such a generation under an id that cannot be used")
    found = [generation for generation, _ in judged.values()]
    # where the whole prompt is listed, others only begin alike: the listing shortens none that short
    found = list(filter(lost.has_whole_prompt, found)) or found
    return Found(
        certain=tuple(g for g in found if judged[g.id][1] is Match.YES),
        doubtful=tuple(g for g in found if judged[g.id][1] is Match.UNSURE),
        clock_skew=clock_skew,
    )
