"""Which generations the tasks of a DAG run have taken, so that two with the same prompt never share one."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

CLAIM_KEY: Final = "generation_claim"
"""XCom key of a claim: of which task and map index, what they want, and which generation they have."""

_FIELDS: Final = {"holder", "wanted", "id", "held"}

STANDOFF: Final = 20
"""Times that a task looks whether one behind it has given way, before it takes that one for dead."""

LOOK_AGAIN = 0.5
"""Seconds between these looks."""


@dataclass(frozen=True)
class Survey:
    """What the other tasks of a run say.

    :param taken: ids they have taken.
    :param rivals: how many wait for the very same.
    :param lookalikes: how many wait for something else that looks the same in the history.
    """

    taken: frozenset[str]
    rivals: int
    lookalikes: int


class Claims(Protocol):
    """What the other tasks of the run have taken, so that two with the same prompt do not take one video."""

    def want(self, fingerprint: str | None, looks: str = "") -> None:
        """Say what this task waits for, and what the history would show of it; ``None``: for nothing."""

    def survey(self) -> Survey:
        """Tell what others have taken and wait for."""

    def claim(self, generation_id: str) -> bool:
        """Take a generation; say whether it is ours."""


class RunClaims:
    """Claims among the generating tasks of one DAG run, kept as XComs, which the tasks of a run can all read.

    A task has one claim. Airflow deletes it when a new attempt begins, which therefore claims again.

    :param context: of the task that claims.
    :param operator_class: whose tasks claim.
    """

    def __init__(self, context: Context, operator_class: type) -> None:
        self._ti = context["ti"]
        self._task_ids = [
            task.task_id
            for task in context["dag"].tasks
            if issubclass(getattr(task, "operator_class", type(task)), operator_class)
        ]
        self._holder = [self._ti.task_id, self._ti.map_index]
        self._wanted: str | None = None
        self._looks = ""

    def want(self, fingerprint: str | None, looks: str = "") -> None:
        """Say what this task waits for, and what the history would show of it; ``None``: for nothing."""
        self._wanted, self._looks = fingerprint, looks
        self._push(None)

    def survey(self) -> Survey:
        """Look at the other tasks' claims at once: one that changes between two looks would be in neither."""
        claims = list(self._others())
        waiting = [claim["wanted"] for claim in claims if claim["id"] is None and claim["wanted"] is not None]
        return Survey(
            taken=frozenset(str(claim["id"]) for claim in claims if claim["id"] is not None),
            rivals=sum(wanted == self._wanted for wanted in waiting),
            lookalikes=sum(
                claim["wanted"] not in (None, self._wanted) and claim["looks"] == self._looks
                for claim in claims
                if claim["id"] is None
            ),
        )

    def claim(self, generation_id: str) -> bool:
        """Take a generation, and say whether it is ours.

        Of several that take it at once, each having pushed before it looked, the first in order gets it: a
        later one that sees it gives way, and it waits until a later one that has not seen it is through.

        One that the first has waited for long enough, and taken for dead, may have been suspended before it
        held what it had found free. So each looks again once it holds it, and a later one gives way then too;
        if it does not, since it was through before, the first does.
        """
        for held in (False, True):
            self._push(generation_id, held=held)
            if self._is_anothers(generation_id, held=held):
                self._push(None)
                return False
        return True

    def _is_anothers(self, generation_id: str, *, held: bool) -> bool:
        """Say whether a generation that we have pushed, and hold or do not yet, is another's all the same."""
        for _ in range(STANDOFF):
            rivals = [claim for claim in self._others() if claim["id"] == generation_id]
            if held:  # those who do not hold it will see us
                rivals = [claim for claim in rivals if claim["held"]]
            if any(claim["holder"] < self._holder or (claim["held"] and not held) for claim in rivals):
                return True
            if not rivals:
                return False
            time.sleep(LOOK_AGAIN)
        return held

    def _push(self, generation_id: str | None, *, held: bool = False) -> None:
        claim = {"holder": self._holder, "wanted": self._wanted, "looks": self._looks}
        self._ti.xcom_push(key=CLAIM_KEY, value=claim | {"id": generation_id, "held": held})

    def _others(self) -> Iterator[Mapping[str, Any]]:
        for task_id in self._task_ids:
            # without map_indexes: those of all instances
            pulled = self._ti.xcom_pull(task_ids=task_id, key=CLAIM_KEY)
            for claim in pulled if isinstance(pulled, list) else [pulled]:
                readable = isinstance(claim, Mapping) and claim.keys() >= _FIELDS
                if readable and claim["holder"] != self._holder:
                    yield claim
