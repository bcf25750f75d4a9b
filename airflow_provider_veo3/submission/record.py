"""Record of a submission, kept between the attempts of a task.

The API has no idempotency key and takes credits when it accepts. So an *intent* is recorded before the
request, the generation id after the response (*submitted*), and a mark when the task is about to succeed
(*delivered*).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_veo3.api.json_values import is_unix_time
from airflow_provider_veo3.exceptions import Veo3StateError, shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_veo3.api.models import Generation

RECORD_KEY: Final = "veo3_submission"
"""Key of the record in Airflow's task state store."""

KEPT_IDS: Final = 100
"""Superseded ids that a record keeps at most, so that it stays small."""


class Phase(StrEnum):
    """Progress of a submission, as far as it is known."""

    INTENT = "intent"
    """A request may have been sent; no response is known."""
    REFUSED = "refused"
    """The request was certainly not accepted."""
    SUBMITTED = "submitted"
    """The request was accepted under a known id."""
    DELIVERED = "delivered"
    """The task was about to succeed with the accepted generation."""


@dataclass(frozen=True)
class Record:
    """Submission of one task instance.

    :param phase: how far the submission came.
    :param fingerprint: identity of everything that was sent, and of the account.
    :param since: Unix seconds before the first request whose fate is not known.
    :param last: Unix seconds before the last request.
    :param max_tries: Airflow's bound at the time; clearing the task raises it.
    :param generation_id: id of the accepted generation; ``None`` before.
    :param credits_remaining: balance of the account after the acceptance, which alone reports it.
    :param superseded: ids of earlier generations of this task, never to be adopted again.
    :param from_environment: whether the account came from environment variables instead of a connection;
        ``None`` if not known.
    """

    phase: Phase
    fingerprint: str
    since: float
    last: float
    max_tries: int
    generation_id: str | None = None
    credits_remaining: int | None = None
    superseded: tuple[str, ...] = ()
    from_environment: bool | None = None

    def submitted(self, generation: Generation) -> Record:
        """Return the record once a generation is known to be this task's."""
        return replace(
            self,
            phase=Phase.SUBMITTED,
            generation_id=generation.id,
            credits_remaining=generation.credits_remaining,
        )

    def refused(self, earlier: Record | None = None) -> Record:
        """Return the record once the last request is known not to be accepted.

        The phase stays an intent where the fate of an earlier request is not known.

        :param earlier: the record before the last request; a request of unknown fate is no later.
        """
        if self.since == self.last:
            return replace(self, phase=Phase.REFUSED)
        return self if earlier is None else replace(self, last=earlier.last)

    def delivered(self, generation_id: str, max_tries: int) -> Record:
        """Return the record of a task that is about to succeed with a generation."""
        return replace(self, phase=Phase.DELIVERED, generation_id=generation_id, max_tries=max_tries)

    def lost_to_another_task(self) -> Record:
        """Return the record once another task of the run has adopted the generation."""
        rest = self.passing_over([self.generation_id] if self.generation_id else [])
        return replace(rest, phase=Phase.INTENT, generation_id=None, credits_remaining=None)

    def passing_over(self, ids: Sequence[str]) -> Record:
        """Return the record with generations that are never to be adopted."""
        return replace(self, superseded=(*self.superseded, *ids)[-KEPT_IDS:])

    def to_json(self) -> dict[str, Any]:
        """Return the record as the store keeps it."""
        fields = {"version": 1, **asdict(self), "superseded": list(self.superseded)}
        if self.from_environment is None:
            del fields[_OPTIONAL]
        return fields

    @classmethod
    def from_json(cls, value: object) -> Record | None:
        """Read a stored value; ``None`` when nothing is stored.

        :raises Veo3StateError: the value is no record. It may stand for a paid generation.
        """
        if value is None:
            return None
        if (
            isinstance(value, Mapping)
            and value.keys() | {_OPTIONAL} == {"version", *_FIELDS}
            and type(value["version"]) is int
            and value["version"] == 1
            and all(fits(value[name]) for name, fits in _FIELDS.items() if name in value)
        ):
            fields = {name: value[name] for name in _FIELDS if name in value}
            fields |= {"phase": Phase(value["phase"]), "superseded": tuple(value["superseded"])}
            record = cls(**fields)
            if (record.generation_id is not None) == (record.phase in (Phase.SUBMITTED, Phase.DELIVERED)):
                return record
        raise Veo3StateError(
            f"The task's stored record {RECORD_KEY!r} cannot be read: {shown(value)}. It may stand for "
            "a paid generation, so nothing was submitted. Find the generation in the account's history, then "
            "delete the record from the task's state in the Airflow UI."
        )


def intent(
    record: Record | None,
    fingerprint: str,
    max_tries: int,
    now: float,
    *,
    from_environment: bool | None = None,
) -> Record:
    """Return the record to store before a request is sent."""
    superseded = () if record is None else record.superseded
    since = now
    if record is not None and record.generation_id is not None:
        superseded = (*superseded, record.generation_id)
    elif record is not None and record.fingerprint == fingerprint and record.phase is Phase.INTENT:
        since = record.since
    return Record(
        Phase.INTENT,
        fingerprint,
        since,
        now,
        max_tries,
        superseded=superseded[-KEPT_IDS:],
        from_environment=from_environment,
    )


def _is_whole(value: object) -> bool:
    return type(value) is int


def _is_id(value: object) -> bool:
    return isinstance(value, str) and bool(value)


_FIELDS: Final[dict[str, Callable[[Any], bool]]] = {
    "phase": lambda value: isinstance(value, str) and value in set(Phase),
    "fingerprint": _is_id,
    "since": is_unix_time,
    "last": is_unix_time,
    "max_tries": _is_whole,
    "generation_id": lambda value: value is None or _is_id(value),
    "credits_remaining": lambda value: value is None or _is_whole(value),
    "superseded": lambda value: isinstance(value, list) and all(map(_is_id, value)),
    "from_environment": lambda value: isinstance(value, bool),
}
"""Check of each field of a stored record."""

_OPTIONAL: Final = "from_environment"
"""Field that records of earlier versions do not have."""
