"""Trigger that is a sensor's whole task, without a worker (Airflow 3.3 and later)."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import TriggerEvent

from airflow_provider_veo3.triggers.generation import Veo3GenerationTrigger

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import jinja2

    from airflow_provider_veo3.airflow_names import Context
    from airflow_provider_veo3.polling.result import WaitResult


class Veo3SensorTrigger(Veo3GenerationTrigger):
    """Wait for a generation, then push the task's XComs and end the task.

    The scheduler starts it with the arguments in the DAG file, which hold no time. The start of the wait
    follows from ``timeout_after``, Airflow's own end of the deferral.

    :param generation_id: generation to wait for; the triggerer renders a template.
    :param veo3_conn_id: Airflow connection of type ``veo3``; the triggerer renders a template.
    :param poll_interval: seconds between two polls; ``None`` takes the connection's (10 unless set).
    :param timeout: seconds from the start of the wait until it gives up.
    :param backstop: seconds from the start of the wait until Airflow ends the deferral.
    :param skips: skip the task instead of failing it (``soft_fail``, ``never_fail``).
    :param retries: whether the task has retries. Airflow would retry any failure by a trigger, so that a
        worker then raises the failure, as an error without a retry.
    :param returns: push the id as the task's ``return_value`` (``do_xcom_push``).
    :param generated_by: id of the task that submitted the generation, if known: its manifest tells when.
    """

    def __init__(
        self,
        *,
        generation_id: str,
        veo3_conn_id: str,
        poll_interval: float | None,
        timeout: float,
        backstop: float,
        skips: bool,
        retries: bool,
        returns: bool,
        generated_by: str | None = None,
    ) -> None:
        super().__init__(
            generation_id=generation_id,
            veo3_conn_id=veo3_conn_id,
            deadline=time.time() + timeout,
            poll_interval=poll_interval,
        )
        self.timeout = timeout
        self.backstop = backstop
        self.skips = skips
        self.retries = retries
        self.returns = returns
        self.generated_by = generated_by
        self._template_error: str | None = None

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and arguments that recreate this trigger; nothing secret."""
        path, kwargs = super().serialize()
        for name in ("deadline", "accepted_at", "model"):
            kwargs.pop(name, None)
        names = ("timeout", "backstop", "skips", "retries", "returns", "generated_by")
        return path, kwargs | {name: getattr(self, name) for name in names}

    def render_template_fields(self, context: Context, jinja_env: jinja2.Environment | None = None) -> None:
        """Render the templates in the triggerer; leave it to a worker where that fails."""
        ti: Any = _SingleXComPull(context["ti"])
        try:
            super().render_template_fields({**context, "ti": ti, "task_instance": ti}, jinja_env)
        except Exception as error:  # noqa: BLE001 - whatever a template does
            self._template_error = f"{type(error).__name__}: {error}"
            return
        if self.generated_by is not None:
            self._read_manifest(ti)

    def _read_manifest(self, ti: Any) -> None:
        """Read when the generation was accepted, and its model, from the task that submitted it."""
        from airflow_provider_veo3.links import MANIFEST_KEY
        from airflow_provider_veo3.polling.wait import acceptance_of

        try:
            manifest = ti.xcom_pull(task_ids=self.generated_by, key=MANIFEST_KEY)
        except Exception as error:  # noqa: BLE001 - the wait does without it
            self.log.warning("The manifest of task %s cannot be read: %s", self.generated_by, error)
            return
        if isinstance(manifest, Mapping) and manifest.get("id") == self.generation_id:
            self.accepted_at = acceptance_of(manifest, time.time())
            model = manifest.get("model")
            self.model = model if isinstance(model, str) else None

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield the one event when the wait is over."""
        from airflow_provider_veo3.api.request import check_generation_id
        from airflow_provider_veo3.exceptions import Veo3ValidationError
        from airflow_provider_veo3.polling.shared import wait_for_generation
        from airflow_provider_veo3.triggers.events import CONTINUE_IN_WORKER

        if self._template_error is not None:
            self.log.warning(
                "The triggerer cannot render a template (%s). Nothing was sent; a worker starts the wait.",
                self._template_error,
            )
            yield TriggerEvent({"version": 1, CONTINUE_IN_WORKER: self._template_error})
            return
        try:
            generation_id = check_generation_id(self.generation_id)
        except Veo3ValidationError as error:
            yield self._failure(str(error), None)
            return
        self.deadline = self.deadline_of_deferral()
        result = await wait_for_generation(
            self.veo3_conn_id,
            generation_id,
            self.deadline,
            self.poll_interval,
            accepted_at=self.accepted_at,
            model=self.model,
        )
        yield await self._finish(result)

    def deadline_of_deferral(self) -> float:
        """Return the deadline in Unix seconds, which is the same in a restarted triggerer."""
        timeout_after: datetime | None = getattr(self, "timeout_after", None)
        if timeout_after is None:
            return self.deadline
        aware = timeout_after if timeout_after.tzinfo else timeout_after.replace(tzinfo=UTC)
        return aware.timestamp() - self.backstop + self.timeout

    async def _finish(self, result: WaitResult) -> TriggerEvent:
        """Push the XComs of a sensor from its trigger, and return the final event."""
        from airflow.triggers.base import TaskSuccessEvent

        from airflow_provider_veo3 import metrics
        from airflow_provider_veo3.polling.result import Ending

        completed = result.ending is Ending.COMPLETED
        try:
            await self._push(self._xcoms(result, completed=completed))
        except Exception as error:  # noqa: BLE001 - the wait is over, whatever is between here and the XComs
            self.log.warning(
                "The triggerer cannot push the XComs of generation %s (%s). A worker pushes them, and ends "
                "the task; no credits are spent.",
                result.generation_id,
                error,
            )
            return TriggerEvent(result.to_event())
        if completed or self.skips or not self.retries:  # else a worker counts it
            metrics.ended(result.ending.value, result.reason, result.manifest)
        if not completed:
            return self._failure(result.message, result.to_event())
        self.log.info("%s", result.message)
        return TaskSuccessEvent()

    def _failure(self, message: str, event: Mapping[str, Any] | None) -> TriggerEvent:
        """Log a failure, and return the event that fails or skips the task.

        :param event: payload for the worker that raises the failure, where the task has retries.
        """
        from airflow.triggers.base import TaskFailedEvent, TaskSkippedEvent

        self.log.error("%s", message)
        if self.skips:
            return TaskSkippedEvent()
        return TriggerEvent(event) if self.retries else TaskFailedEvent()

    def _xcoms(self, result: WaitResult, *, completed: bool) -> dict[str, Any]:
        from airflow_provider_veo3.links import MANIFEST_KEY, Veo3VideosLink, videos_url

        xcoms: dict[str, Any] = {Veo3VideosLink().xcom_key: videos_url(self.task_instance)}
        if result.has_ended:
            ti: Any = self.task_instance
            xcoms[MANIFEST_KEY] = {**result.manifest, "map_index": ti.map_index}
        if completed and self.returns:
            xcoms["return_value"] = result.generation_id
        return xcoms

    async def _push(self, xcoms: Mapping[str, Any]) -> None:
        """Push XComs as a task does; those in an event would be stored as JSON text."""
        from airflow_provider_veo3.airflow_names import XCom

        ti: Any = self.task_instance
        for key, value in xcoms.items():
            await XCom.aset(
                key, value, dag_id=ti.dag_id, task_id=ti.task_id, run_id=ti.run_id, map_index=ti.map_index
            )


class _SingleXComPull:
    """Task instance whose ``xcom_pull`` requests a single XCom, the only request that a triggerer serves.

    Without ``map_indexes``, Airflow would request those of all map indexes, and wait for ever.
    """

    def __init__(self, ti: Any) -> None:
        self._ti = ti

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ti, name)

    def xcom_pull(self, task_ids: Any = None, *args: Any, map_indexes: Any = -1, **kwargs: Any) -> Any:
        return self._ti.xcom_pull(task_ids, *args, map_indexes=map_indexes, **kwargs)
