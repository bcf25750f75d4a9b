"""Exactly-once submission: what is remembered of it, and what a new attempt makes of the memory.

The API has no idempotency key and takes credits when it accepts. So an *intent* is written before the
request, the id after the answer (*submitted*), and a mark when the task is about to succeed (*delivered*).
All decisions are pure; the memory is anything with ``get`` and ``set``, such as Airflow's task state store.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

from airflow_provider_veo3.exceptions import Veo3AmbiguousSubmissionError, Veo3StateError
from airflow_provider_veo3.history.prompts import plain

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    from airflow_provider_veo3.api.models import Generation
    from airflow_provider_veo3.api.request import GenerationRequest

RECORD_KEY: Final = "veo3_submission"
"""Key of the record in the task state store."""

OnAmbiguous = Literal["fail", "adopt_newest", "resubmit"]
KEPT_IDS: Final = 100
"""Earlier ids that a record keeps, so that it stays small."""

LISTING_LAG = 30.0
"""Seconds after which an accepted generation is taken to be in the history; tests shorten it."""

QUICK = 1.0
"""Seconds within which a request is lost by an API that is no longer at work on it."""

ACCEPTANCE_SPAN = 180.0
"""Seconds in which a slow API may still accept a request after it was sent; tests shorten it."""


class Phase(StrEnum):
    """How far a submission is known to have come."""

    INTENT = "intent"
    """It may have been sent; nothing is known of an answer."""
    REFUSED = "refused"
    """It was certainly not accepted."""
    SUBMITTED = "submitted"
    """It was accepted under a known id."""
    DELIVERED = "delivered"
    """... and the task was about to succeed with it."""


@dataclass(frozen=True)
class Record:
    """What is remembered of a task's submission.

    :param phase: how far it came.
    :param fingerprint: of everything that was sent, and to where.
    :param since: Unix seconds before the first request whose fate is not known.
    :param last: Unix seconds before the last request.
    :param max_tries: Airflow's bound at the time; a person who clears the task raises it.
    :param generation_id: what it was accepted as; ``None`` before.
    :param credits_remaining: the account's balance then, which only the acceptance tells.
    :param superseded: ids of earlier generations of this task, which are not to be taken up again.
    """

    phase: Phase
    fingerprint: str
    since: float
    last: float
    max_tries: int
    generation_id: str | None = None
    credits_remaining: int | None = None
    superseded: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return it as the store keeps it."""
        return {"version": 1, **asdict(self), "superseded": list(self.superseded)}

    @classmethod
    def from_json(cls, value: object) -> Record | None:
        """Read it back; ``None`` when nothing is stored.

        :raises Veo3StateError: what is stored is no record. It may stand for a paid generation.
        """
        if value is None:
            return None
        if (
            isinstance(value, Mapping)
            and value.keys() == {"version", *_FIELDS}
            and type(value["version"]) is int
            and value["version"] == 1
            and all(fits(value[name]) for name, fits in _FIELDS.items())
        ):
            fields = {name: value[name] for name in _FIELDS}
            fields |= {"phase": Phase(value["phase"]), "superseded": tuple(value["superseded"])}
            record = cls(**fields)
            if (record.generation_id is not None) == (record.phase in (Phase.SUBMITTED, Phase.DELIVERED)):
                return record
        raise Veo3StateError(
            f"The task's stored record {RECORD_KEY!r} cannot be understood: {repr(value)[:200]}. It may "
            "stand for a paid generation, so nothing was submitted. Look the generation up in the "
            "account's history, then delete the record from the task's state in the Airflow UI."
        )


LATEST_TIME: Final = 1e12


def _whole(value: object) -> bool:
    return type(value) is int


def _time(value: object) -> bool:
    return type(value) in (int, float) and 0 <= value < LATEST_TIME  # type: ignore[operator]


def _id(value: object) -> bool:
    return isinstance(value, str) and bool(value)


_FIELDS: Final[dict[str, Callable[[Any], bool]]] = {
    "phase": lambda value: isinstance(value, str) and value in set(Phase),
    "fingerprint": _id,
    "since": _time,
    "last": _time,
    "max_tries": _whole,
    "generation_id": lambda value: value is None or _id(value),
    "credits_remaining": lambda value: value is None or _whole(value),
    "superseded": lambda value: isinstance(value, list) and all(map(_id, value)),
}
"""Every field of a stored record, and what it must be like."""


@dataclass(frozen=True)
class Task:
    """What Airflow tells of a task instance's attempt.

    :param try_number: from 1.
    :param max_tries: Airflow's bound; a person who clears the task raises it.
    :param run_started: Unix seconds before which no attempt of it was made.
    """

    try_number: int
    max_tries: int
    run_started: float


class Store(Protocol):
    """Where records are kept: Airflow's task state store, or anything like it."""

    def get(self, key: str) -> Any:
        """Return what is stored, ``None`` if nothing is."""

    def set(self, key: str, value: Any, *, retention: timedelta | None = None) -> None:
        """Store it for so long."""


class Step(StrEnum):
    """What a new attempt does first."""

    SUBMIT = "submit"
    REATTACH = "reattach"
    RECONCILE = "reconcile"


def first_step(record: Record | None, fingerprint: str, max_tries: int) -> Step:
    """Decide what a new attempt does with what an earlier one left."""
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


def next_intent(record: Record | None, fingerprint: str, max_tries: int, now: float) -> Record:
    """Return the record to store before a request is sent."""
    superseded = () if record is None else record.superseded
    since = now
    if record is not None and record.generation_id is not None:
        superseded = (*superseded, record.generation_id)
    elif record is not None and record.fingerprint == fingerprint and record.phase is Phase.INTENT:
        since = record.since
    return Record(Phase.INTENT, fingerprint, since, now, max_tries, superseded=superseded[-KEPT_IDS:])


def submitted(record: Record, generation: Generation) -> Record:
    """Return the record to store once a generation is known to be this task's."""
    return replace(
        record,
        phase=Phase.SUBMITTED,
        generation_id=generation.id,
        credits_remaining=generation.credits_remaining,
    )


def refused(record: Record, earlier: Record | None = None) -> Record:
    """Return the record to store when the last request was certainly not accepted.

    It stays an intent where the fate of an earlier one is not known.

    :param earlier: the record before the last request; the one that may have been accepted is no later.
    """
    if record.since == record.last:
        return replace(record, phase=Phase.REFUSED)
    return record if earlier is None else replace(record, last=earlier.last)


def given_up(record: Record) -> Record:
    """Return the record of a submission whose generation another task of the run has taken up instead."""
    passed_over = passing_over(record, [record.generation_id] if record.generation_id else [])
    return replace(passed_over, phase=Phase.INTENT, generation_id=None, credits_remaining=None)


def passing_over(record: Record, ids: Sequence[str]) -> Record:
    """Return the record with generations that are never to be taken up for it."""
    return replace(record, superseded=(*record.superseded, *ids)[-KEPT_IDS:])


def delivered(record: Record, generation_id: str, max_tries: int) -> Record:
    """Return the record to store when the task is about to succeed with a generation."""
    return replace(record, phase=Phase.DELIVERED, generation_id=generation_id, max_tries=max_tries)


def settled_at(sent: float, noticed: float) -> float:
    """Return when a request whose answer was lost is in the history, if it was accepted at all.

    :param sent: Unix seconds before it was sent.
    :param noticed: Unix seconds when its loss was noticed; ``sent`` where nobody was left to notice.
    """
    quick = 0 < noticed - sent <= QUICK
    return (noticed if quick else max(noticed, sent + ACCEPTANCE_SPAN)) + LISTING_LAG


def choose(
    found: Sequence[Generation], policy: OnAmbiguous, *, rivals: int = 0, lookalikes: int = 0
) -> Generation | None:
    """Return the generation to take up of those that may be the lost one; ``None`` to submit anew.

    :param rivals: other tasks of the run that wait for the very same: as many generations as tasks are
        shared out among them, whichever was whose.
    :param lookalikes: other tasks of the run that wait for something else which the history shows alike, such
        as the same prompt for another image: what is found may be theirs.
    :raises Veo3AmbiguousSubmissionError: there are more, and the policy is ``fail``.
    """
    from_old_to_new = sorted(found, key=lambda g: (g.created_at.timestamp() if g.created_at else 0.0, g.id))
    if not found:
        return None
    if len(found) <= 1 + rivals and not lookalikes:
        return from_old_to_new[0]
    if policy == "resubmit":
        return None
    if policy == "adopt_newest":
        return from_old_to_new[-1]
    ids = ", ".join(sorted(g.id for g in found))
    raise Veo3AmbiguousSubmissionError(
        "The answer to a submission was lost, and which generation in the account's history it is, if it is "
        f"there, cannot be told: {ids}. It was not submitted again. Store the right one with "
        "Veo3DownloadOperator, or set on_ambiguous_submission to 'adopt_newest' or 'resubmit' and clear the "
        "task."
    )


def looks_of(request: GenerationRequest) -> str:
    """Return the identity of what the history tells of a generation: type, model and prompt."""
    shown = [request.type, request.model, plain(request.prompt)]
    return hashlib.sha256(json.dumps(shown).encode()).hexdigest()


def fingerprint_of(request: GenerationRequest, veo3_conn_id: str, base_url: str) -> str:
    """Return the identity of everything that is sent, and of where it goes.

    The key is not part of it: replacing the key of an account must not make its tasks pay again.
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
