"""Obtain the one generation of a task instance, whatever happened to its earlier attempts."""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from airflow_provider_veo3 import metrics
from airflow_provider_veo3.api import flows
from airflow_provider_veo3.api.models import Generation, Status
from airflow_provider_veo3.api.retries import Retries, was_accepted, was_not_accepted
from airflow_provider_veo3.exceptions import (
    Veo3AmbiguousSubmissionError,
    Veo3ApiError,
    Veo3Error,
    Veo3GenerationNotFoundError,
    Veo3PermanentApiError,
    Veo3RateLimitError,
    Veo3StateError,
)
from airflow_provider_veo3.history import lost as lookup
from airflow_provider_veo3.submission import record as submission
from airflow_provider_veo3.submission.budget import check_price, warn_of_price
from airflow_provider_veo3.submission.rate_limit import BriefRetries, is_worth_deferring
from airflow_provider_veo3.submission.record import OnAmbiguous, Phase, Record, Step, Task

if TYPE_CHECKING:
    from airflow_provider_veo3.api.request import GenerationRequest
    from airflow_provider_veo3.hooks.veo3 import Veo3Hook
    from airflow_provider_veo3.submission.claims import Claims
    from airflow_provider_veo3.submission.store import Memory

log = logging.getLogger(__name__)


class ExactlyOnce:
    """Obtains the generation of one task instance.

    :param hook: the account.
    :param request: what is wanted.
    :param task: this attempt.
    :param memory: what is known of earlier attempts.
    :param claims: what other tasks have taken.
    :param on_ambiguous: what to do when several generations may be the one an attempt has paid for.
    :param defers: a 429 that asks for a long wait, or does not end after some short ones, is raised, so that
        the task can defer and call :meth:`obtain` again: whatever was raised so can be taken up from memory.
        Otherwise it is waited out here, up to two minutes at a time.
    :param max_credits: what a new generation may cost by the API's price list, which is asked for only then.
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
        defers: bool = False,
        max_credits: int | None = None,
    ) -> None:
        self._hook = hook
        self._request = request
        self._task = task
        self._memory = memory
        self._claims = claims
        self._on_ambiguous = on_ambiguous
        self._defers = defers
        self._max_credits = max_credits
        self._retries = BriefRetries() if defers else Retries()
        self._fingerprint = submission.fingerprint_of(request, hook.veo3_conn_id, hook.settings.base_url)
        self._looks = submission.looks_of(request)
        self._record: Record | None = None

    def obtain(self) -> Generation:
        """Return the generation to go on with: an earlier attempt's, or a new one.

        :raises Veo3StateError: it cannot be told or noted whether one was paid for; nothing was submitted.
        :raises Veo3AmbiguousSubmissionError: several may be the one, and the policy is to ask a person.
        :raises Veo3GenerationNotFoundError: the API no longer knows the one that was paid for.
        :raises Veo3CreditLimitError: a new one would cost too much; nothing was submitted.
        :raises Veo3RateLimitError: the API refuses for now; asking again later goes on from here.
        :raises Veo3ApiError: the API refused, or cannot be asked.
        """
        record = self._record = self._memory.load(self._fingerprint)
        self._claims.want(self._fingerprint, self._looks)
        if record is None:
            return self._submit()
        earlier = None
        match submission.first_step(record, self._fingerprint, self._task.max_tries):
            case Step.REATTACH:
                earlier = self._reattach(record)
            case Step.RECONCILE:
                log.info("An earlier attempt may have submitted this generation; looking in the history.")
                earlier = self._reconcile(record, record.last)
                if earlier is not None and not self._memory.supposes:  # nobody was left to count it
                    metrics.submitted(self._request, earlier, self._hook.veo3_conn_id)
            case Step.SUBMIT if record.fingerprint != self._fingerprint and record.generation_id:
                log.warning(
                    "This task submits something else than before, or elsewhere; generation %s, which it "
                    "paid for then, stays in the account. Veo3DownloadOperator can store it.",
                    record.generation_id,
                )
        if earlier is None:
            return self._submit()
        metrics.reattached(self._request)
        return earlier

    def _reattach(self, record: Record) -> Generation | None:
        """Go on with a recorded generation, unless it failed and was refunded, or another task has it."""
        recorded = record.generation_id or ""
        # a new attempt starts without XComs: claim it again before others look
        if not self._claims.claim(recorded):
            return self._find_own(record)
        try:
            generation = self._ask(recorded)
        except Veo3GenerationNotFoundError as error:
            raise Veo3GenerationNotFoundError(
                f"{error} An earlier attempt of this task paid for it, so nothing was submitted now. To pay "
                f"for a new one, delete {submission.RECORD_KEY!r} from the task's state in the Airflow UI.",
                status=error.status,
                code=error.code,
                body=error.body,
            ) from error
        if generation.status is Status.FAILED:
            log.info(
                "Generation %s of an earlier attempt failed and was refunded; submitting anew.", generation.id
            )
            self._claims.want(self._fingerprint, self._looks)
            return None
        log.info("Going on with generation %s, which an earlier attempt paid for.", generation.id)
        return replace(generation, credits_remaining=record.credits_remaining)

    def _find_own(self, record: Record) -> Generation | None:
        """Look for another, which may be what was paid for by whoever has taken up the recorded one."""
        taken = record.generation_id
        log.warning("Another task of this run has taken up generation %s; this needs its own.", taken)
        return self._reconcile(submission.given_up(record), record.last)

    def _submit(self) -> Generation:
        self._check_price()  # before anything says that a request may have been sent
        attempt = 0
        while True:
            attempt += 1
            earlier, record = self._record, self._intend()
            try:
                generation = self._hook.submit(self._request, Retries(attempts=1))
            except Veo3ApiError as error:
                if was_not_accepted(error):
                    self._note(submission.refused(record, earlier))
                else:
                    log.warning("%s Looking for it in the history.", error)
                    taken_up = self._after_loss(record, error)
                    if taken_up is not None:
                        metrics.submitted(self._request, taken_up, self._hook.veo3_conn_id)
                        return taken_up
                    self._check_may_pay_again(error)
                pause = self._retries.pause(attempt, error.retry_after)
                leaves = self._defers and is_worth_deferring(error)
                if pause is None or leaves or isinstance(error, Veo3PermanentApiError):
                    if was_not_accepted(error) and not (self._defers and self._may_have_one()):
                        self._claims.want(None)
                    if isinstance(error, Veo3PermanentApiError):
                        metrics.refused(self._request, error)
                    raise
                log.warning("%s Submitting again in %.0f s.", error, pause)
                time.sleep(pause)
            else:
                record = submission.submitted(record, generation)
                self._note(record)
                warn_of_price(generation, self._max_credits)
                metrics.submitted(self._request, generation, self._hook.veo3_conn_id)
                if self._claims.claim(generation.id):
                    return generation
                taken_up = self._find_own(record)
                if taken_up is not None:
                    return taken_up

    def _check_price(self) -> None:
        if self._max_credits is None:
            return
        try:
            models = self._hook.get_conn().run(flows.list_models(self._retries))
            check_price(self._request, models, self._max_credits)
        except Veo3Error:
            if not self._may_have_one():
                self._claims.want(None)
            raise

    def _intend(self) -> Record:
        """Write down that a request is about to be sent; without that none is."""
        record = submission.next_intent(self._record, self._fingerprint, self._task.max_tries, time.time())
        try:
            self._memory.save(record)
        except Veo3StateError as error:
            raise Veo3StateError(f"{error} Nothing was submitted now.") from error
        self._record = record
        return record

    def _after_loss(self, record: Record, error: Veo3ApiError) -> Generation | None:
        """Look for a submission whose answer was lost."""
        try:
            return self._reconcile(record, time.time())
        except Veo3ApiError as trouble:
            log.warning("%s", trouble)
            if self._defers and isinstance(trouble, Veo3RateLimitError) and self._will_look_again():
                raise
            raise error from trouble  # a later attempt looks again

    def _check_may_pay_again(self, error: Veo3ApiError) -> None:
        """Refuse to submit anew what was accepted, though neither its answer nor the history names it."""
        if was_accepted(error) and self._on_ambiguous != "resubmit":
            raise Veo3AmbiguousSubmissionError(
                f"{error} The answer says that it was accepted, but the history does not name it either, so "
                "it was not submitted again. Clearing the task looks once more, and then submits anew; "
                "on_ambiguous_submission='resubmit' pays for another at once."
            ) from error

    def _may_have_one(self) -> bool:
        """Whether an earlier request, whose fate is not known, may have been accepted."""
        return self._record is not None and self._record.phase is Phase.INTENT

    def _will_look_again(self) -> bool:
        """Whether memory tells whoever goes on later of the lost answer: only then may this go on later."""
        try:
            record = self._memory.load(self._fingerprint)
        except Veo3StateError:
            return False
        return submission.first_step(record, self._fingerprint, self._task.max_tries) is Step.RECONCILE

    def _reconcile(self, record: Record, noticed: float) -> Generation | None:
        """Find the generation of a lost answer; ``None`` once it is certain that the API has not accepted it.

        :param noticed: Unix seconds when the loss was noticed; when it was sent if nobody was left to notice.
        """
        settled = submission.settled_at(record.last, noticed)
        look = noticed + submission.LISTING_LAG
        lost = lookup.Lost.of(self._request, record.since, settled)
        while True:
            time.sleep(max(0.0, look - time.time()))
            conclusive = time.time() >= settled
            generation = self._take_up(record, lost)
            if generation is not None or conclusive:
                return generation
            look = min(settled, time.time() + submission.LISTING_LAG)

    def _take_up(self, record: Record, lost: lookup.Lost) -> Generation | None:
        """Take up the lost generation if the history has it."""
        passed_over = {*record.superseded, *self._claims.survey().taken}
        found = [g for g in self._look_up(lost) if g.id not in passed_over and self._is_it(g, lost)]
        while True:
            others = self._claims.survey()
            passed_over |= others.taken
            free = [g for g in found if g.id not in passed_over]
            generation = submission.choose(
                free, self._on_ambiguous, rivals=others.rivals, lookalikes=others.lookalikes
            )
            if generation is None:
                if free:  # 'resubmit': they must not be taken for the next one that gets lost
                    self._note(submission.passing_over(record, [g.id for g in free]))
                log.info("No generation in the history is taken for the one whose answer was lost.")
                return None
            if self._claims.claim(generation.id):
                self._note(submission.submitted(record, generation))
                log.info("Going on with generation %s, whose acceptance was lost.", generation.id)
                return generation
            passed_over.add(generation.id)

    def _is_it(self, generation: Generation, lost: lookup.Lost) -> bool:
        """Ask for the whole prompt where the listing shortens it: many begin alike."""
        whole = lost.has_the_words(generation)
        return whole or not lost.contradicts(self._ask(generation.id))

    def _ask(self, generation_id: str) -> Generation:
        flow = flows.get_generation(generation_id, self._hook.settings.base_url, self._retries)
        return self._hook.get_conn().run(flow)

    def _look_up(self, lost: lookup.Lost) -> tuple[Generation, ...]:
        try:
            return self._hook.get_conn().run(lookup.find(lost, self._hook.settings.base_url, self._retries))
        except lookup.InconclusiveHistoryError as error:
            said = f"The answer to a submission was lost, and it cannot be looked up: {error}."
            if self._on_ambiguous == "resubmit":
                log.warning("%s", said)
                return ()
            raise Veo3AmbiguousSubmissionError(
                f"{said} It was not submitted again; on_ambiguous_submission='resubmit' pays for another."
            ) from error

    def _note(self, record: Record) -> None:
        """Keep a record that makes things easier but is not needed to stay safe."""
        self._record = record
        try:
            self._memory.save(record)
        except Veo3StateError as error:
            log.warning("%s The stored intent stands; a retry would look in the history.", error)
