"""Pure decisions of a submission: submit, re-attach or reconcile; which generation to adopt."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final, Literal

from airflow_provider_veo3.exceptions import Veo3AmbiguousSubmissionError
from airflow_provider_veo3.history.prompts import plain
from airflow_provider_veo3.polling.wait import LISTING_LAG
from airflow_provider_veo3.submission.record import Phase

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_veo3.api.models import Generation
    from airflow_provider_veo3.api.request import GenerationRequest
    from airflow_provider_veo3.submission.record import Record

OnAmbiguous = Literal["fail", "adopt_newest", "resubmit"]
"""Policy for a lost response that several generations in the history could belong to."""


@dataclass(frozen=True)
class Timings:
    """Seconds that bound what cannot be known; tests shorten them.

    :param listing_lag: until an accepted generation is taken to be in the history.
    :param status_lag: until the status of an accepted generation is taken to be known.
    :param acceptance_span: after sending, in which a slow API may still accept a request.
    :param quick_loss: within which a response is lost by an API that is no longer at work on the request.
    :param publishing: after sending, within which a task publishes the id; later, it claims the id as well.
    :param peer_patience: for which another task of the run that may have got a generation is given time to
        publish it, before the generation is adopted; longer than ``publishing``.
    :param first_pause: before a refused or failed request is repeated; doubles from there.
    :param airflow_patience: for which calls to Airflow's own API are repeated through an outage.
    :param failure_confirmation: between two responses that report a generation as failed, before a new
        generation is paid for.
    """

    listing_lag: float = 30.0
    status_lag: float = LISTING_LAG
    acceptance_span: float = 180.0
    quick_loss: float = 1.0
    publishing: float = 20.0
    peer_patience: float = 30.0
    first_pause: float = 1.0
    airflow_patience: float = 60.0
    failure_confirmation: float = 30.0

    def settled_at(self, sent: float, noticed: float) -> float:
        """Return the Unix time by which the history must list an accepted request.

        :param sent: Unix seconds before the request was sent.
        :param noticed: Unix seconds when the loss was noticed; ``sent`` where the worker died.
        """
        quick = 0 < noticed - sent <= self.quick_loss
        return (noticed if quick else max(noticed, sent + self.acceptance_span)) + self.listing_lag


PRODUCTION: Final = Timings()
"""Timings of every task outside tests."""


class Step(StrEnum):
    """First step of a new attempt."""

    SUBMIT = "submit"
    REATTACH = "reattach"
    RECONCILE = "reconcile"


def first_step(record: Record | None, fingerprint: str, max_tries: int) -> Step:
    """Decide how a new attempt begins, from the record that an earlier attempt left."""
    if record is None or record.fingerprint != fingerprint:
        return Step.SUBMIT  # nothing was sent, or something else: an edited prompt, a shifted map index
    match record.phase:
        case Phase.INTENT:
            return Step.RECONCILE
        case Phase.SUBMITTED:
            return Step.REATTACH
        case Phase.DELIVERED if record.max_tries == max_tries:
            return Step.REATTACH  # the worker died between the mark and Airflow's success
        case Phase.DELIVERED | Phase.REFUSED:
            return Step.SUBMIT  # a person cleared a task that had succeeded, and wants a new video


def choose(
    found: Sequence[Generation], policy: OnAmbiguous, *, rivals: int = 0, lookalikes: int = 0
) -> Generation | None:
    """Return which of the possible generations to adopt; ``None`` to submit anew.

    :param rivals: other tasks of the run that search for the same request: as many generations as tasks are
        shared out among them, in any order.
    :param lookalikes: other tasks of the run that search for another request which the history lists alike,
        such as the same prompt with another image: a generation may be theirs.
    :raises Veo3AmbiguousSubmissionError: there are more, and the policy is ``fail``.
    """
    if not found:
        return None
    oldest_first = _oldest_first(found)
    if len(found) <= 1 + rivals and not lookalikes:
        return oldest_first[0]
    if policy == "resubmit":
        return None
    if policy == "adopt_newest":
        return oldest_first[-1]
    ids = ", ".join(sorted(g.id for g in found))
    raise Veo3AmbiguousSubmissionError(
        f"The response to a submission was lost, and each of these generations may belong to it: {ids}. "
        "Credits may have been spent; nothing was submitted again. Store the right generation with "
        "Veo3DownloadOperator, or set on_ambiguous_submission to 'adopt_newest' or 'resubmit' and clear the "
        "task."
    )


def choose_in_doubt(found: Sequence[Generation], policy: OnAmbiguous) -> Generation | None:
    """Return the generation to adopt among those of doubtful times; ``None`` to submit.

    :raises Veo3AmbiguousSubmissionError: there are some, and the policy is ``fail``.
    """
    if not found or policy == "resubmit":
        return None
    if policy == "adopt_newest":
        return _oldest_first(found)[-1]
    ids = ", ".join(sorted(g.id for g in found))
    raise Veo3AmbiguousSubmissionError(
        "The response to a submission was lost. The history has the same prompt, but its time is missing or "
        f"does not fit exactly: {ids}. Credits may have been spent; nothing was submitted again. Store the "
        "right generation with Veo3DownloadOperator, or set on_ambiguous_submission to 'adopt_newest' or "
        "'resubmit' and clear the task."
    )


def _oldest_first(generations: Sequence[Generation]) -> list[Generation]:
    return sorted(generations, key=lambda g: (g.created_at.timestamp() if g.created_at else 0.0, g.id))


def listed_identity_of(request: GenerationRequest) -> str:
    """Return the identity of what the history lists of a generation: type, model and prompt."""
    listed = [request.type, request.model, plain(request.prompt)]
    return hashlib.sha256(json.dumps(listed).encode()).hexdigest()


def fingerprint_of(request: GenerationRequest, veo3_conn_id: str, base_url: str) -> str:
    """Return the identity of everything that is sent, and of the account.

    The key is no part of it: a replaced key must not make the tasks of an account pay again.
    """
    identity = {
        "connection": [veo3_conn_id, base_url],
        "type": request.type,
        "options": request.wire_options(),
        "images": [hashlib.sha256(image.data).hexdigest() for image in request.images],
    }
    as_sent = json.loads(json.dumps(identity))  # whose names are text, which can be sorted
    canonical = json.dumps(as_sent, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()
