"""Claims on generations among the tasks of a DAG run, so that two tasks never share a video.

The XCom ``generation`` says what a task asks for, and then which generation it got. That is enough while no
response is lost: an id that is published is taken. A task that searches the history for a lost response
leaves the others time to publish, and claims what it adopts, as does a task that publishes late.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_veo3.api.clock import SYSTEM_CLOCK, Clock
from airflow_provider_veo3.links import MANIFEST_KEY

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

CLAIM_KEY: Final = "generation_claim"
"""XCom key of a claim: its task and map index, the generation, and whether the claim is held."""

_CLAIM: Final = {"holder", "id", "held"}
_REQUEST: Final = {"holder", "fingerprint", "listed"}

STANDOFF: Final = 20
"""Checks whether a later claimant has given way, before it is taken for dead."""

CHECK_EVERY: Final = 0.5
"""Seconds between these checks."""


@dataclass(frozen=True)
class Peers:
    """State of the other generating tasks of a run.

    :param taken: ids that they have published or claimed.
    :param rivals: number of them that have asked for the very same and have no generation yet.
    :param lookalikes: number of them that have asked for something else which the history lists alike, and
        have no generation yet.
    """

    taken: frozenset[str]
    rivals: int = 0
    lookalikes: int = 0


class RunClaims:
    """Requests and claims of one task among the generating tasks of its DAG run.

    Airflow deletes both when a new attempt begins, which therefore announces and claims again.

    :param context: context of the task.
    :param operator_class: base class of the tasks that take part.
    :param clock: times the checks of a contested claim.
    """

    def __init__(self, context: Context, operator_class: type, clock: Clock = SYSTEM_CLOCK) -> None:
        self._ti = context["ti"]
        self._clock = clock
        self._task_ids = [
            task.task_id
            for task in context["dag"].tasks
            if issubclass(getattr(task, "operator_class", type(task)), operator_class)
        ]
        self._holder = [self._ti.task_id, self._ti.map_index]
        self._fingerprint = ""
        self._listed = ""

    @property
    def has_peers(self) -> bool:
        """Whether the run may have another generating task."""
        return len(self._task_ids) > 1 or (self._ti.map_index or 0) >= 0

    def announce(self, fingerprint: str, listed: str) -> None:
        """Publish what this task asks for, before the request is sent.

        :param fingerprint: identity of the request.
        :param listed: identity of what the history lists of it.
        """
        self._fingerprint, self._listed = fingerprint, listed
        if self.has_peers:
            request = {"holder": self._holder, "fingerprint": fingerprint, "listed": listed}
            self._publish("submitting", request)

    def withdraw(self) -> None:
        """Publish that the request was not accepted, and that nothing is searched for."""
        if self.has_peers:
            self._publish("refused", None)

    def peers(self) -> Peers:
        """Read the state of the other tasks."""
        if not self.has_peers:
            return Peers(frozenset())
        # in this order: a task that claims in between is seen to have claimed
        manifests = list(self._pull(MANIFEST_KEY))
        claims = {tuple(claim["holder"]): claim["id"] for claim in self._others()}
        searching = [
            request
            for manifest in manifests
            if isinstance(request := manifest.get("request"), Mapping) and request.keys() >= _REQUEST
            if request["holder"] != self._holder and claims.get(tuple(request["holder"])) is None
        ]
        return Peers(
            taken=frozenset(
                [*self._published(manifests), *(str(claim) for claim in claims.values() if claim)]
            ),
            rivals=sum(request["fingerprint"] == self._fingerprint for request in searching),
            lookalikes=sum(
                request["fingerprint"] != self._fingerprint and request["listed"] == self._listed
                for request in searching
            ),
        )

    def claim(self, generation_id: str) -> bool:
        """Claim a generation, and return whether it is this task's.

        Of several tasks that claim at once, each having pushed before it reads, the first in order wins: a
        later one that sees the first gives way, and the first waits until a later one that has not seen it is
        through.

        A later task that the first took for dead may only have been suspended. So each reads again once it
        holds the generation, and a later one gives way then too; if it was through before, the first does.
        """
        if not self.has_peers:
            return True
        for held in (False, True):
            self._push(generation_id, held=held)
            if self._belongs_to_another(generation_id, held=held):
                self._push(None)
                return False
        return True

    def _belongs_to_another(self, generation_id: str, *, held: bool) -> bool:
        """Return whether another task wins a generation that this task has claimed, or already holds."""
        for _ in range(STANDOFF):
            rivals = [claim for claim in self._others() if claim["id"] == generation_id]
            if held:  # those that do not hold the generation yet will see this task's claim
                rivals = [claim for claim in rivals if claim["held"]]
            if any(claim["holder"] < self._holder or (claim["held"] and not held) for claim in rivals):
                return True
            if not rivals:
                return False
            self._clock.sleep(CHECK_EVERY)
        return held

    def _push(self, generation_id: str | None, *, held: bool = False) -> None:
        claim = {"holder": self._holder, "id": generation_id, "held": held}
        self._ti.xcom_push(key=CLAIM_KEY, value=claim)

    def _publish(self, status: str, request: Mapping[str, Any] | None) -> None:
        """Publish a manifest without a generation."""
        value = {"version": 1, "id": None, "status": status, "request": request}
        self._ti.xcom_push(key=MANIFEST_KEY, value=value)

    def _others(self) -> Iterator[Mapping[str, Any]]:
        for claim in self._pull(CLAIM_KEY):
            if claim.keys() >= _CLAIM and claim["holder"] != self._holder:
                yield claim

    def _published(self, manifests: list[Mapping[str, Any]]) -> list[str]:
        """Return the ids in the manifests of the other tasks."""
        ids = [manifest["id"] for manifest in manifests if isinstance(manifest.get("id"), str)]
        # where Airflow 3.0 resumes a retry, the manifest of this task's earlier attempt is still there
        ti = self._ti
        own = ti.xcom_pull(task_ids=ti.task_id, key=MANIFEST_KEY, map_indexes=ti.map_index) if ids else None
        if isinstance(own, Mapping) and own.get("id") in ids:
            ids.remove(own["id"])
        return ids

    def _pull(self, key: str) -> Iterator[Mapping[str, Any]]:
        for task_id in self._task_ids:
            # without map_indexes: the values of all instances
            pulled = self._ti.xcom_pull(task_ids=task_id, key=key)
            for value in pulled if isinstance(pulled, list) else [pulled]:
                if isinstance(value, Mapping):
                    yield value
