"""Claims of the tasks of a DAG run on generations, so that none is shared.

A task publishes what it asks for, and then the generation it got. That is enough while no response is lost:
a published id is taken. A task that searches the history for a lost response leaves the others time to
publish, and claims what it adopts, as does a task that publishes late.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_veo3.links import MANIFEST_KEY, PATIENCE, patiently

if TYPE_CHECKING:
    from airflow_provider_veo3.airflow_names import Context
    from airflow_provider_veo3.api.clock import Clock

REQUEST_KEY: Final = "generation_request"
"""XCom key of a task's request: its task and map index, and the identities of what it asks for."""

CLAIM_KEY: Final = "generation_claim"
"""XCom key of a claim: its task and map index, the generation, and whether the claim is held."""

_REQUEST: Final = {"holder", "fingerprint", "listed"}
_CLAIM: Final = {"holder", "id", "held"}

STANDOFF: Final = 20
"""Checks whether a later claimant has given way, before it is taken for dead."""

CHECK_EVERY: Final = 0.5
"""Seconds between these checks."""

OTHER_RUNS: Final = 20
"""Runs before and after this one whose generations are known to be taken."""


@dataclass(frozen=True)
class Peers:
    """State of the other generating tasks of a run.

    :param taken: ids that they have published or claimed.
    :param rivals: number of them with the very same request and no generation yet.
    :param lookalikes: number of them with another request which the history lists alike, and no generation
        yet.
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
    :param patience: seconds for which XComs are pushed and pulled again while Airflow's API is away.
    """

    def __init__(
        self, context: Context, operator_class: type, clock: Clock = time, patience: float = PATIENCE
    ) -> None:
        self._ti = context["ti"]
        self._clock = clock
        self._patiently = partial(patiently, clock=clock, patience=patience)
        self._task_ids = [
            task.task_id
            for task in context["dag"].tasks
            if issubclass(getattr(task, "operator_class", type(task)), operator_class)
        ]
        self._holder = [self._ti.task_id, self._ti.map_index]
        self._when = str(getattr(self._ti, "run_id", "")).partition("__")[2]
        self._fingerprint = ""
        self._listed = ""

    @property
    def has_peers(self) -> bool:
        """Return whether the run may have another generating task."""
        return len(self._task_ids) > 1 or (self._ti.map_index or 0) >= 0

    def announce(self, fingerprint: str, listed: str) -> None:
        """Publish what this task asks for, before the request is sent.

        :param fingerprint: identity of the request.
        :param listed: identity of what the history lists of it.
        """
        self._fingerprint, self._listed = fingerprint, listed
        self._publish_request(fingerprint)

    def withdraw(self) -> None:
        """Publish that the request was not accepted, so that peers search for none."""
        self._publish_request(None)

    def peers(self) -> Peers:
        """Read the state of the other tasks."""
        if not self.has_peers:
            return Peers(frozenset())
        # in this order a task that claims or publishes in between is seen to have done so
        requests = list(self._pull(REQUEST_KEY, _REQUEST))
        claimed = [(holder, claim["id"]) for holder, claim in self._pull(CLAIM_KEY, _CLAIM) if claim["id"]]
        published = [(holder, manifest["id"]) for holder, manifest in self._pull(MANIFEST_KEY, {"id"})]
        served = {holder for holder, _ in (*claimed, *published)}
        searching = [
            request
            for holder, request in requests
            if request["fingerprint"] is not None and holder not in served
        ]
        return Peers(
            taken=frozenset(str(generation_id) for _, generation_id in (*claimed, *published)),
            rivals=sum(request["fingerprint"] == self._fingerprint for request in searching),
            lookalikes=sum(
                request["fingerprint"] != self._fingerprint and request["listed"] == self._listed
                for request in searching
            ),
        )

    def taken_in_other_runs(self) -> set[str]:
        """Return the generations that the same tasks have published in neighbouring runs of the DAG.

        A schedule may repeat a prompt in each run: the video of another run is not this run's.
        """
        ti = self._ti
        states = self._patiently(partial(ti.get_task_states, dag_id=ti.dag_id, task_ids=self._task_ids))
        when = {run_id: run_id.partition("__")[2] for run_id in states}  # what Airflow begins its ids with
        later = sorted((run for run in when if when[run] >= self._when), key=when.__getitem__)
        earlier = sorted((run for run in when if when[run] < self._when), key=when.__getitem__, reverse=True)
        near = [run for run in (*later[:OTHER_RUNS], *earlier[:OTHER_RUNS]) if run != ti.run_id]
        pulled = (manifest for run in near for _, manifest in self._pull(MANIFEST_KEY, {"id"}, run_id=run))
        return {str(manifest["id"]) for manifest in pulled}

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
            rivals = [claim for _, claim in self._pull(CLAIM_KEY, _CLAIM) if claim["id"] == generation_id]
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
        self._patiently(lambda: self._ti.xcom_push(key=CLAIM_KEY, value=claim))

    def _publish_request(self, fingerprint: str | None) -> None:
        if self.has_peers:
            request = {"holder": self._holder, "fingerprint": fingerprint, "listed": self._listed}
            self._patiently(lambda: self._ti.xcom_push(key=REQUEST_KEY, value=request))

    def _pull(
        self, key: str, fields: set[str], run_id: str | None = None
    ) -> Iterator[tuple[tuple[str, int], Mapping[str, Any]]]:
        """Yield the values of the other tasks, with task id and map index; a value without them is alone.

        :param run_id: another run, all of whose tasks are others; ``None`` for this one.
        """
        run: dict[str, Any] = {} if run_id is None else {"run_id": run_id}
        for task_id in self._task_ids:
            # without map_indexes: the values of all instances
            pulled = self._patiently(partial(self._ti.xcom_pull, task_ids=task_id, key=key, **run))
            for value in pulled if isinstance(pulled, list) else [pulled]:
                if not isinstance(value, Mapping) or not value.keys() >= fields:
                    continue
                map_index = value.get("map_index", -1)
                if "holder" in fields:
                    if not _is_holder(value["holder"]):  # a person has edited the XCom
                        continue
                    _, map_index = value["holder"]
                if run_id is not None or [task_id, map_index] != self._holder:
                    yield (task_id, map_index), value


def _is_holder(value: object) -> bool:
    return isinstance(value, list) and [type(each) for each in value] == [str, int]
