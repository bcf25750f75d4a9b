"""Which generations the tasks of a DAG run have taken, so that two with the same prompt never share one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_veo3.api.models import Generation

CLAIM_KEY: Final = "generation_claim"
"""XCom key of a claim: the generation's id, and the task and map index that hold it."""


class RunClaims:
    """Claims among the generating tasks of one DAG run, kept as XComs, which the tasks of a run can all read.

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

    def others(self) -> frozenset[str]:
        """Return the ids that other tasks of the run hold."""
        return frozenset(str(claim["id"]) for claim in self._claims() if claim["holder"] != self._holder)

    def claim(self, generation: Generation) -> bool:
        """Take a generation, and say whether it is ours: of two that take it at once, the first in order."""
        self._ti.xcom_push(key=CLAIM_KEY, value={"id": generation.id, "holder": self._holder})
        holders = [claim["holder"] for claim in self._claims() if claim["id"] == generation.id]
        return all(self._holder <= holder for holder in holders)

    def _claims(self) -> Iterator[Mapping[str, Any]]:
        for task_id in self._task_ids:
            # without map_indexes: those of all instances
            pulled = self._ti.xcom_pull(task_ids=task_id, key=CLAIM_KEY)
            for claim in pulled if isinstance(pulled, list) else [pulled]:
                if isinstance(claim, Mapping) and {"id", "holder"} <= claim.keys():
                    yield claim
