"""Submission of one generation per task, paid for once, whatever happened to earlier attempts."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from airflow_provider_veo3 import metrics
from airflow_provider_veo3.api import flows
from airflow_provider_veo3.api.models import Generation, Status
from airflow_provider_veo3.api.protocol import DOUBT
from airflow_provider_veo3.api.retries import ONCE, Retries, was_accepted, was_not_accepted
from airflow_provider_veo3.exceptions import (
    Veo3AmbiguousSubmissionError,
    Veo3ApiError,
    Veo3Error,
    Veo3GenerationNotFoundError,
    Veo3PermanentApiError,
    Veo3RateLimitError,
    Veo3StateError,
)
from airflow_provider_veo3.submission.budget import check_price, warn_if_dearer
from airflow_provider_veo3.submission.decisions import (
    PRODUCTION,
    OnAmbiguous,
    Step,
    Timings,
    fingerprint_of,
    first_step,
    listed_identity_of,
)
from airflow_provider_veo3.submission.rate_limit import BriefRetries, is_worth_deferring
from airflow_provider_veo3.submission.reconcile import Reconciler
from airflow_provider_veo3.submission.record import RECORD_KEY, Phase, Record, intent
from airflow_provider_veo3.submission.store import Attempt, RecordStore, mark_delivered

if TYPE_CHECKING:
    from airflow_provider_veo3.api.clock import Clock
    from airflow_provider_veo3.api.request import GenerationRequest
    from airflow_provider_veo3.hooks.veo3 import Veo3Hook
    from airflow_provider_veo3.submission.claims import RunClaims
    from airflow_provider_veo3.submission.resume_decision import ResumeDecision

log = logging.getLogger(__name__)

Publish = Callable[[Generation, float], None]
"""Publishes a generation as the task's, so that its peers leave it alone; with the time of its acceptance."""


class Submitter:
    """Obtains the one generation of a task instance.

    :param hook: the account.
    :param request: the request for it.
    :param attempt: this attempt of the task.
    :param store: store of the task's record.
    :param claims: claims of this task among those of its run.
    :param publish: publishes the generation as this task's.
    :param on_ambiguous: policy for a lost response that several generations could belong to.
    :param decision: reports to Airflow's metrics and traces whether an earlier attempt is resumed.
    :param defers: whether to raise a 429 that asks for a long pause, or does not end after some short ones,
        so that the task can defer and call :meth:`obtain` again. Otherwise 429s are waited out here, up to
        two minutes at a time.
    :param max_credits: most credits that a new generation may cost by the API's price list; ``None`` for no
        limit, and no request for the list.
    """

    def __init__(
        self,
        hook: Veo3Hook,
        request: GenerationRequest,
        attempt: Attempt,
        *,
        store: RecordStore,
        claims: RunClaims,
        publish: Publish,
        on_ambiguous: OnAmbiguous,
        decision: ResumeDecision,
        defers: bool = False,
        max_credits: int | None = None,
        clock: Clock = time,
        timings: Timings = PRODUCTION,
    ) -> None:
        self._hook = hook
        self._request = request
        self._attempt = attempt
        self._store = store
        self._claims = claims
        self._publish = publish
        self._on_ambiguous = on_ambiguous
        self._defers = defers
        self._max_credits = max_credits
        self._decision = decision
        self._clock = clock
        self._timings = timings
        self._retries = (BriefRetries if defers else Retries)(first_pause=timings.first_pause)
        self._fingerprint = fingerprint_of(request, hook.veo3_conn_id, hook.settings.base_url)
        self._reconciler = Reconciler(
            hook,
            request,
            claims=claims,
            on_ambiguous=on_ambiguous,
            retries=self._retries,
            clock=clock,
            timings=timings,
        )
        self._record: Record | None = None
        self._failed_id: str | None = None

    def obtain(self) -> Generation:
        """Return the generation of this task: the one that an earlier attempt paid for, or a new one.

        :raises Veo3StateError: the record cannot be read or written; nothing was submitted.
        :raises Veo3AmbiguousSubmissionError: several generations may be the task's, and a person decides.
        :raises Veo3GenerationNotFoundError: the API no longer knows the generation that was paid for.
        :raises Veo3CreditLimitError: a new generation would cost too much; nothing was submitted.
        :raises Veo3RateLimitError: the API refuses for now; calling this again later goes on from here.
        :raises Veo3ApiError: the API refused, or cannot be reached.
        """
        with self._decision.span(RECORD_KEY):
            record = self._record = self._store.load(self._fingerprint)
            self._check_account(record)
            self._claims.announce(self._fingerprint, listed_identity_of(self._request))
            generation = None if record is None else self._reuse(record)
            if generation is None:
                self._decision.submit(self._failed_id)
            else:
                self._decision.resume(generation.id, generation.status)
        if generation is None:
            return self._submit()
        self._publish_accepted(generation)
        metrics.reattached(self._request)
        return generation

    def mark_delivered(self, generation: Generation) -> None:
        """Record that the task is about to succeed with its generation."""
        mark_delivered(self._store, self._attempt, generation.id, self._record)

    def _check_account(self, record: Record | None) -> None:
        """Check that an earlier attempt had the account of the same place: connection or environment.

        Airflow calls a connection missing also when it cannot read it for a moment.
        """
        now = self._hook.settings.is_from_environment
        if record is None or record.phase not in (Phase.INTENT, Phase.SUBMITTED):
            return
        if record.from_environment in (None, now):
            return
        account = f"the Airflow connection {self._hook.veo3_conn_id!r}", "the key of the environment"
        paid = "" if record.generation_id is None else f" and paid for generation {record.generation_id}"
        raise Veo3StateError(
            f"An earlier attempt of this task used {account[not now]}{paid}; this attempt finds only "
            f"{account[now]}, perhaps for a moment. Nothing was submitted; a retry looks again. If the "
            f"account has changed for good, delete {RECORD_KEY!r} from the task's state in the Airflow UI."
        )

    def _reuse(self, record: Record) -> Generation | None:
        """Return the generation that an earlier attempt paid for; ``None`` to submit."""
        step = first_step(record, self._fingerprint, self._attempt.max_tries)
        if step is not Step.SUBMIT:
            self._decision.attempt()
        match step:
            case Step.REATTACH:
                return self._reattach(record)
            case Step.RECONCILE:
                log.info("An earlier attempt may have submitted this generation; searching the history.")
                generation = self._reconcile(record, record.last)
                # the worker died before it counted the submission in the metrics
                if generation is not None and not self._store.is_assumed:
                    metrics.submitted(self._request, generation, self._hook.veo3_conn_id)
                return generation
            case Step.SUBMIT:
                if record.fingerprint != self._fingerprint and record.generation_id:
                    log.warning(
                        "The request or the account has changed since an earlier attempt, so this task "
                        "submits a new generation. The task does not store generation %s, which that attempt "
                        "paid for; store it with Veo3DownloadOperator.",
                        record.generation_id,
                    )
                return None

    def _reattach(self, record: Record) -> Generation | None:
        """Reuse the recorded generation, unless it failed, or another task has adopted it."""
        recorded = record.generation_id or ""
        # a new attempt starts without XComs: the id is claimed again before others read
        if not self._claims.claim(recorded):
            return self._find_own(record)
        try:
            generation = self._confirmed(recorded, record.last)
        except Veo3GenerationNotFoundError as error:
            raise Veo3GenerationNotFoundError(
                f"{error} An earlier attempt of this task paid for it, so nothing was submitted now. To pay "
                f"for a new one, delete {RECORD_KEY!r} from the task's state in the Airflow UI.",
                status=error.status,
                code=error.code,
                body=error.body,
            ) from error
        if generation.status is Status.FAILED:
            log.info("Generation %s of an earlier attempt failed and was refunded.", generation.id)
            self._failed_id = generation.id
            return None
        log.info("Reusing generation %s, which an earlier attempt paid for.", generation.id)
        return replace(generation, credits_remaining=record.credits_remaining)

    def _confirmed(self, generation_id: str, accepted: float) -> Generation:
        """Return a generation; a failure only once a second, later response has confirmed it.

        :param accepted: Unix seconds of its acceptance; the API may not know it for some time after.
        """
        # the clock of an earlier worker may have been ahead
        known_by = min(accepted, self._clock.time()) + self._timings.status_lag
        while True:
            try:
                generation = self._status(generation_id)
            except Veo3GenerationNotFoundError as error:
                pause = min(self._timings.listing_lag, known_by - self._clock.time())
                if pause <= 0:
                    raise
                log.warning("%s It was accepted a short time ago; asking again in %.0f s.", error, pause)
                self._clock.sleep(pause)
            else:
                break
        if generation.status is not Status.FAILED:
            return generation
        log.info("Generation %s is reported as failed; checking that again before paying.", generation_id)
        self._clock.sleep(self._timings.failure_confirmation)
        return self._status(generation_id)

    def _status(self, generation_id: str) -> Generation:
        flow = flows.get_generation(generation_id, self._hook.settings.base_url, self._retries)
        return self._hook.get_conn().run(flow)

    def _find_own(self, record: Record) -> Generation | None:
        """Search for the generation that is left for this task.

        Another task adopted this task's generation, and has left its own.
        """
        log.warning("Another task of this run has adopted generation %s.", record.generation_id)
        return self._reconcile(record.lost_to_another_task(), record.last)

    def _reconcile(self, record: Record, noticed: float) -> Generation | None:
        generation, after = self._reconciler.reconcile(record, noticed)
        if after != record:
            self._keep(after)
        return generation

    def _submit(self) -> Generation:
        """Submit, and retry short refusals, until the API accepts a generation."""
        self._check_price()  # before a record says that a request may have been sent
        attempt = 0
        while True:
            attempt += 1
            earlier, record = self._record, self._record_intent()
            try:
                generation = self._hook.submit(self._request, ONCE)
            except Veo3ApiError as error:
                adopted = self._settle_failed_request(error, record, earlier)
                if adopted is not None:
                    return adopted
                self._pause_or_raise(error, attempt)
            else:
                own = self._accept(generation, record)
                if own is not None:
                    return own

    def _accept(self, generation: Generation, record: Record) -> Generation | None:
        """Record and publish an accepted generation; ``None`` where another task has adopted it meanwhile."""
        # before anything that an outage of Airflow's API would hold up
        log.info("The API has accepted generation %s.", generation.id)
        record = record.submitted(generation)
        self._keep(record)
        warn_if_dearer(generation, self._max_credits)
        metrics.submitted(self._request, generation, self._hook.veo3_conn_id)
        self._publish_accepted(generation)
        in_time = 0 <= self._clock.time() - record.last <= self._timings.publishing
        if in_time or self._claims.claim(generation.id):
            return generation
        own = self._find_own(record)
        if own is not None:
            self._publish_accepted(own)
        return own

    def _publish_accepted(self, generation: Generation) -> None:
        last = self._clock.time() if self._record is None else self._record.last
        created = generation.created_at
        # the API's clock may be ahead of ours
        self._publish(generation, last if created is None else min(last, created.timestamp()))

    def _settle_failed_request(
        self, error: Veo3ApiError, record: Record, earlier: Record | None
    ) -> Generation | None:
        """Settle a submission that brought no generation: refused, or its response was lost."""
        if was_not_accepted(error):
            self._keep(record.refused(earlier))
            return None
        log.warning("%s Searching the history for it.", error)
        adopted = self._search_after_lost_response(error, record)
        if adopted is None:
            self._check_may_pay_again(error)
            if self._on_ambiguous != "resubmit":  # which goes on in doubt
                settled = "The history does not list it, so no credits were spent."
                error.args = (str(error).replace(DOUBT, settled),)
            return None
        metrics.submitted(self._request, adopted, self._hook.veo3_conn_id)
        self._publish_accepted(adopted)
        return adopted

    def _search_after_lost_response(self, error: Veo3ApiError, record: Record) -> Generation | None:
        try:
            return self._reconcile(record, self._clock.time())
        except Veo3ApiError as trouble:
            log.warning("%s", trouble)
            if self._defers and isinstance(trouble, Veo3RateLimitError) and self._will_reconcile_later():
                raise
            raise error from trouble  # a later attempt searches again

    def _pause_or_raise(self, error: Veo3ApiError, attempt: int) -> None:
        """Pause before the next submission; raise what a pause cannot mend, or what is worth a deferral."""
        pause = self._retries.pause(attempt, error.retry_after)
        is_final = isinstance(error, Veo3PermanentApiError)
        if is_final or pause is None or (self._defers and is_worth_deferring(error)):
            if is_final:
                metrics.refused(self._request, error)
            if was_not_accepted(error) and not (self._defers and self._may_have_been_accepted()):
                self._claims.withdraw()
            raise error
        log.warning("%s Submitting again in %.0f s.", error, pause)
        self._clock.sleep(pause)

    def _check_price(self) -> None:
        if self._max_credits is None:
            return
        try:
            models = self._hook.get_conn().run(flows.list_models(self._retries))
            check_price(self._request, models, self._max_credits)
        except Veo3Error:
            if not self._may_have_been_accepted():
                self._claims.withdraw()
            raise

    def _check_may_pay_again(self, error: Veo3ApiError) -> None:
        """Refuse to submit an accepted request again, even if its id is not found."""
        if was_accepted(error) and self._on_ambiguous != "resubmit":
            raise Veo3AmbiguousSubmissionError(
                f"{error} The API accepted the request, but its response has no usable id, and the history "
                "does not list the generation. Credits may have been spent; nothing was submitted again. "
                "Clearing the task searches once more, and then submits; "
                "on_ambiguous_submission='resubmit' pays for another at once."
            ) from error

    def _may_have_been_accepted(self) -> bool:
        """Return whether an earlier request, whose fate is not known, may have been accepted."""
        return self._record is not None and self._record.phase is Phase.INTENT

    def _will_reconcile_later(self) -> bool:
        """Return whether a later call will find the intent in the store: only then may the task defer."""
        try:
            record = self._store.load(self._fingerprint)
        except Veo3StateError:
            return False
        return first_step(record, self._fingerprint, self._attempt.max_tries) is Step.RECONCILE

    def _record_intent(self) -> Record:
        """Record that a request is about to be sent; without the record it is not sent."""
        record = intent(
            self._record,
            self._fingerprint,
            self._attempt.max_tries,
            self._clock.time(),
            from_environment=self._hook.settings.is_from_environment,
        )
        try:
            self._store.save(record)
        except Veo3StateError as error:
            raise Veo3StateError(f"{error} Nothing was submitted; a retry tries again.") from error
        self._record = record
        return record

    def _keep(self, record: Record) -> None:
        """Save a record, or only warn: the stored intent already prevents a second payment."""
        self._record = record
        try:
            self._store.save(record)
        except Veo3StateError as error:
            log.warning("%s The stored intent stays; a retry would search the history.", error)
