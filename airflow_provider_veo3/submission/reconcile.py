"""Reconciliation of a lost response with the account's history."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from airflow_provider_veo3.api import flows
from airflow_provider_veo3.exceptions import Veo3AmbiguousSubmissionError
from airflow_provider_veo3.history.lost import Found, InconclusiveHistoryError, Lost, Match, find
from airflow_provider_veo3.submission.decisions import choose, choose_in_doubt

if TYPE_CHECKING:
    from airflow_provider_veo3.api.clock import Clock
    from airflow_provider_veo3.api.models import Generation
    from airflow_provider_veo3.api.request import GenerationRequest
    from airflow_provider_veo3.api.retries import Retries
    from airflow_provider_veo3.hooks.veo3 import Veo3Hook
    from airflow_provider_veo3.submission.claims import RunClaims
    from airflow_provider_veo3.submission.decisions import OnAmbiguous, Timings
    from airflow_provider_veo3.submission.record import Record

log = logging.getLogger(__name__)

MOST_STATUSES: Final = 10
"""Generations whose status is requested at most, to settle a doubt about their time."""


class Reconciler:
    """Finds the generation of a request whose response was lost.

    :param hook: the account.
    :param request: the request that may have been accepted.
    :param claims: claims of this task among those of its run.
    :param on_ambiguous: policy for several possible generations.
    :param retries: retries of each read of the API.
    """

    def __init__(
        self,
        hook: Veo3Hook,
        request: GenerationRequest,
        *,
        claims: RunClaims,
        on_ambiguous: OnAmbiguous,
        retries: Retries,
        clock: Clock,
        timings: Timings,
    ) -> None:
        self._hook = hook
        self._request = request
        self._claims = claims
        self._on_ambiguous = on_ambiguous
        self._retries = retries
        self._clock = clock
        self._timings = timings

    def reconcile(self, record: Record, noticed: float) -> tuple[Generation | None, Record]:
        """Search the history until the generation is found or certainly not there.

        :param record: intent of the lost request.
        :param noticed: Unix seconds when the loss was noticed; when it was sent, if the worker died.
        :return: the adopted generation, ``None`` once the API has certainly not accepted the request; and the
            record to keep.
        :raises Veo3AmbiguousSubmissionError: several generations may be the lost one, and a person decides.
        :raises Veo3ApiError: the history cannot be read.
        """
        settled = self._timings.settled_at(record.last, noticed)
        lost = Lost.of(self._request, record.since, settled)
        due = noticed + self._timings.listing_lag
        while True:
            self._clock.sleep(max(0.0, due - self._clock.time()))
            conclusive = self._clock.time() >= settled
            generation, record = self._adopt(record, lost, conclusive=conclusive)
            if generation is not None:
                return generation, record.submitted(generation)
            if conclusive:
                log.info("No generation in the history belongs to the lost response.")
                return None, record
            due = min(settled, self._clock.time() + self._timings.listing_lag)

    def _adopt(self, record: Record, lost: Lost, *, conclusive: bool) -> tuple[Generation | None, Record]:
        """Read the history once, and adopt the lost generation if it is there.

        :param conclusive: whether a generation that is not listed now was not accepted.
        """
        listed = self._search(lost)
        peers = self._claims.peers()
        taken = {*record.superseded, *peers.taken}
        if {g.id for g in (*listed.certain, *listed.doubtful)} - taken:
            taken |= self._claims.taken_in_other_runs()
        found = [g for g in listed.certain if g.id not in taken and self._is_the_prompt(g, lost)]
        doubtful: list[Generation] = []
        if not found:
            rest = [g for g in listed.doubtful if g.id not in taken]
            found, doubtful = self._settle(rest, lost, listed.clock_skew)
        if (found or doubtful) and (peers.rivals or peers.lookalikes):
            self._clock.sleep(self._timings.peer_patience)  # one of them may have got it just now
        while True:
            peers = self._claims.peers()
            taken |= peers.taken
            free = [g for g in found if g.id not in taken]
            generation = choose(free, self._on_ambiguous, rivals=peers.rivals, lookalikes=peers.lookalikes)
            if not free and conclusive:
                free = [g for g in doubtful if g.id not in taken]
                generation = choose_in_doubt(free, self._on_ambiguous)
            if generation is None:
                # 'resubmit': those must not be taken for the next one that gets lost
                return None, record.passing_over([g.id for g in free]) if free else record
            if self._claims.claim(generation.id):
                log.info("Adopted generation %s, whose acceptance was lost.", generation.id)
                return generation, record
            taken.add(generation.id)

    def _settle(
        self, doubtful: list[Generation], lost: Lost, clock_skew: float | None
    ) -> tuple[list[Generation], list[Generation]]:
        """Ask for the status of generations whose listed time leaves a doubt.

        :return: those whose status proves that they are the lost one, and those that stay in doubt.
        """
        certain, rest = [], []
        for number, generation in enumerate(doubtful):
            match = Match.UNSURE
            if number < MOST_STATUSES:
                flow = flows.get_generation(generation.id, self._hook.settings.base_url, self._retries)
                match = lost.judge_status(self._hook.get_conn().run(flow), clock_skew)
            if match is Match.YES:
                certain.append(generation)
            elif match is Match.UNSURE:
                rest.append(generation)
        return certain, rest

    def _is_the_prompt(self, generation: Generation, lost: Lost) -> bool:
        """Compare the whole prompt where the history shortens it: many prompts begin alike."""
        if lost.has_whole_prompt(generation):
            return True
        flow = flows.get_generation(generation.id, self._hook.settings.base_url, self._retries)
        return not lost.contradicts(self._hook.get_conn().run(flow))

    def _search(self, lost: Lost) -> Found:
        try:
            flow = find(lost, self._hook.settings.base_url, self._retries)
            return self._hook.get_conn().run(flow)
        except InconclusiveHistoryError as error:
            why = f"The response to a submission was lost, and the history does not settle it: {error}."
            if self._on_ambiguous == "resubmit":
                log.warning("%s", why)
                return Found((), (), None)
            raise Veo3AmbiguousSubmissionError(
                f"{why} Credits may have been spent; nothing was submitted again. Look for the generation in "
                "the account, or set on_ambiguous_submission='resubmit' to pay for another."
            ) from error
