"""Obtain the one generation of a task instance, whatever happened to its earlier attempts."""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Final, Protocol

from airflow_provider_veo3.api import lookup
from airflow_provider_veo3.api.models import Generation, Status
from airflow_provider_veo3.api.retries import Retries, was_not_accepted
from airflow_provider_veo3.exceptions import (
    Veo3AmbiguousSubmissionError,
    Veo3ApiError,
    Veo3PermanentApiError,
    Veo3StateError,
)
from airflow_provider_veo3.submission import (
    OnAmbiguous,
    Record,
    Step,
    Task,
    choose,
    fingerprint_of,
    first_step,
    next_intent,
    refused,
    submitted,
)

if TYPE_CHECKING:
    from airflow_provider_veo3.api.request import GenerationRequest
    from airflow_provider_veo3.hooks.veo3 import Veo3Hook
    from airflow_provider_veo3.memory import Memory

log = logging.getLogger(__name__)

LISTING_LAG: Final = 30.0
"""Seconds after which an accepted generation is taken to be in the history."""

ACCEPTANCE_SPAN: Final = 180.0
"""Seconds after a request was sent in which the API may still accept it."""


class Claims(Protocol):
    """What the other tasks of the run have taken, so that two with the same prompt do not take one video."""

    def others(self) -> frozenset[str]:
        """Return the ids that are taken."""

    def claim(self, generation: Generation) -> bool:
        """Take a generation; say whether nobody else has."""


class ExactlyOnce:
    """Obtains the generation of one task instance.

    :param hook: the account.
    :param request: what is wanted.
    :param task: this attempt.
    :param memory: what is known of earlier attempts.
    :param claims: what other tasks have taken.
    :param on_ambiguous: what to do when several generations may be the one an attempt has paid for.
    """

    def __init__(
        self,
        hook: Veo3Hook,
        request: GenerationRequest,
        task: Task,
        *,
        memory: Memory,
        claims: Claims,
        on_ambiguous: OnAmbiguous,
    ) -> None:
        self._hook = hook
        self._request = request
        self._task = task
        self._memory = memory
        self._claims = claims
        self._on_ambiguous = on_ambiguous
        self._retries = Retries()
        self._fingerprint = fingerprint_of(request, hook.veo3_conn_id, hook.settings.base_url)

    def obtain(self) -> Generation:
        """Return the generation to go on with: an earlier attempt's, or a new one.

        :raises Veo3StateError: it cannot be told or noted whether one was paid for; nothing was submitted.
        :raises Veo3AmbiguousSubmissionError: several may be the one, and the policy is to ask a person.
        :raises Veo3GenerationNotFoundError: the API no longer knows the one that was paid for.
        :raises Veo3ApiError: the API refused, or cannot be asked.
        """
        record = self._memory.load(self._fingerprint)
        step = first_step(record, self._fingerprint, self._task.max_tries)
        earlier = None
        if record is not None and step is Step.REATTACH:
            earlier = self._reattach(record)
        elif record is not None and step is Step.RECONCILE:
            log.info("An earlier attempt may have submitted this generation; looking for it in the history.")
            earlier = self._reconcile(record, record.last)
        return earlier or self._submit(record)

    def _reattach(self, record: Record) -> Generation | None:
        """Go on with a recorded generation, unless it failed and was refunded."""
        generation = self._hook.get_generation(record.generation_id or "")
        if generation.status is Status.FAILED:
            log.info(
                "Generation %s of an earlier attempt failed and was refunded; submitting anew.", generation.id
            )
            return None
        log.info("Going on with generation %s, which an earlier attempt paid for.", generation.id)
        # a new attempt starts without XComs: take it again before others look
        self._claims.claim(generation)
        return replace(generation, credits_remaining=record.credits_remaining)

    def _submit(self, record: Record | None) -> Generation:
        attempt = 0
        while True:
            attempt += 1
            record = next_intent(record, self._fingerprint, self._task.max_tries, time.time())
            self._memory.save(record)
            try:
                generation = self._hook.submit(self._request, Retries(attempts=1))
            except Veo3ApiError as error:
                taken_up = self._after_error(error, record)
                if taken_up is not None:
                    return taken_up
                record = refused(record) if was_not_accepted(error) else record
                self._note(record)
                pause = self._retries.pause(attempt, error.retry_after)
                if pause is None or isinstance(error, Veo3PermanentApiError):
                    raise
                log.warning("%s Submitting again in %.0f s.", error, pause)
                time.sleep(pause)
            else:
                self._note(submitted(record, generation))
                self._claims.claim(generation)
                return generation

    def _after_error(self, error: Veo3ApiError, record: Record) -> Generation | None:
        """Look for a submission whose answer was lost."""
        if was_not_accepted(error):
            return None
        log.warning("%s Looking for it in the history.", error)
        return self._reconcile(record, time.time())

    def _reconcile(self, record: Record, lost_at: float) -> Generation | None:
        """Find the generation of a lost answer; ``None`` when the API has not accepted it."""
        time.sleep(max(0.0, lost_at + LISTING_LAG - time.time()))
        lost = lookup.Lost.of(self._request, record.since, max(lost_at, record.last + ACCEPTANCE_SPAN))
        taken: set[str] = set(record.superseded)
        while True:
            found = self._look_up(lost)
            taken |= self._claims.others()
            generation = choose([g for g in found if g.id not in taken], self._on_ambiguous)
            if generation is None:
                log.info("The history holds no generation that an earlier attempt could have submitted.")
                return None
            self._note(submitted(record, generation))
            if self._claims.claim(generation):
                log.info("Going on with generation %s, whose acceptance was lost.", generation.id)
                return generation
            self._note(record)
            taken.add(generation.id)

    def _look_up(self, lost: lookup.Lost) -> tuple[Generation, ...]:
        try:
            return self._hook.get_conn().run(lookup.find(lost, self._hook.settings.base_url, self._retries))
        except lookup.HistoryTooLongError as error:
            raise Veo3AmbiguousSubmissionError(
                f"An earlier attempt may have submitted this generation, and it cannot be looked up: "
                f"{error}. Nothing was submitted now."
            ) from error

    def _note(self, record: Record) -> None:
        """Keep a record that makes things easier but is not needed to stay safe."""
        try:
            self._memory.save(record)
        except Veo3StateError as error:
            log.warning("%s The stored intent stands; a retry would look in the history.", error)
