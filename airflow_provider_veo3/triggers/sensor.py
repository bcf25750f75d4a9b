"""The trigger that is a sensor's whole task: no worker is started for it (Airflow 3.3 and later)."""

from __future__ import annotations

import re
import time
from datetime import UTC, timedelta
from typing import TYPE_CHECKING, Any, Final

from airflow.triggers.base import BaseTrigger, StartTriggerArgs, TriggerEvent

from airflow_provider_veo3.triggers.generation import DEFERRAL_MARGIN, Veo3GenerationTrigger

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    import jinja2
    from airflow.providers.common.compat.sdk import BaseOperator, Context

    from airflow_provider_veo3.polling.result import WaitResult
    from airflow_provider_veo3.sensors.generation import Veo3GenerationSensor

IN_WORKER: Final = "go_on_in_worker"
"""Key of an event that sends the task to a worker, to wait in the ordinary way; its value says why."""

_UNANSWERED: Final = re.compile(r"\b(prev_\w+|\w+_events|\w+_state_store|expanded_ti_count|get_\w+)\b")
"""What a template may ask of Airflow and a triggerer does not answer: it would wait for ever."""

_QUOTED: Final = re.compile(r"'[^']*'|\"[^\"]*\"")


class Veo3SensorTrigger(Veo3GenerationTrigger):
    """Wait for a generation and end the task with it: its state, its XComs.

    The scheduler starts it with what the DAG file says, so that it keeps no time of its own: when the wait
    began follows from ``timeout_after``, the end that Airflow has noted for the deferral.

    :param generation_id: what to wait for; a template is rendered in the triggerer.
    :param veo3_conn_id: Airflow connection of type ``veo3``; a template likewise.
    :param poll_interval: seconds between two looks; ``None`` takes the connection's (10 unless set).
    :param timeout: seconds from the start of the wait until it gives up.
    :param backstop: seconds from the start of the wait until Airflow ends it.
    :param skips: skip the task instead of failing it (``soft_fail``, ``never_fail``).
    :param retries: whether the task has retries: Airflow would repeat what a trigger fails, whatever it is,
        so that then a worker tells the failure, as one that is not to be repeated.
    :param returns: whether the id becomes the task's ``return_value`` (``do_xcom_push``).
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
        self._unrendered: str | None = None

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return what the triggerer needs to make this trigger again: nothing secret."""
        path, kwargs = super().serialize()
        del kwargs["deadline"]
        names = ("timeout", "backstop", "skips", "retries", "returns")
        return path, kwargs | {name: getattr(self, name) for name in names}

    def render_template_fields(self, context: Context, jinja_env: jinja2.Environment | None = None) -> None:
        """Render what is a template, in the triggerer; where that fails, a worker does it."""
        ti: Any = _OneXCom(context["ti"])
        try:
            super().render_template_fields({**context, "ti": ti, "task_instance": ti}, jinja_env)
        except Exception as error:  # noqa: BLE001 - whatever a template does
            self._unrendered = f"{type(error).__name__}: {error}"

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield exactly one event."""
        from airflow_provider_veo3.api.request import check_generation_id
        from airflow_provider_veo3.exceptions import Veo3ValidationError
        from airflow_provider_veo3.polling.shared import wait_for_generation

        if self._unrendered is not None:
            self.log.warning("A template cannot be rendered here (%s); a worker goes on.", self._unrendered)
            yield TriggerEvent({"version": 1, IN_WORKER: self._unrendered})
            return
        try:
            generation_id = check_generation_id(self.generation_id)
        except Veo3ValidationError as error:
            yield self._failed(str(error), None)
            return
        self.deadline = self._from_start()
        result = await wait_for_generation(
            self.veo3_conn_id, generation_id, self.deadline, self.poll_interval
        )
        yield await self._end(result)

    def _from_start(self) -> float:
        """Return the deadline, which a restarted triggerer finds where it was."""
        ends = getattr(self, "timeout_after", None)
        if ends is None:
            return self.deadline
        start: float = (ends if ends.tzinfo else ends.replace(tzinfo=UTC)).timestamp() - self.backstop
        return start + self.timeout

    async def _end(self, result: WaitResult) -> TriggerEvent:
        """Leave what a worker would leave, and end the task."""
        from airflow.triggers.base import TaskSuccessEvent

        from airflow_provider_veo3 import metrics
        from airflow_provider_veo3.links import MANIFEST_KEY
        from airflow_provider_veo3.polling.result import Ending

        done = result.ending is Ending.COMPLETED
        try:
            xcoms = await self._links(result.generation_id)
            if done:
                ti: Any = self.task_instance
                xcoms[MANIFEST_KEY] = {**result.manifest, "map_index": ti.map_index}
            if done and self.returns:
                xcoms["return_value"] = result.generation_id
            await self._push(xcoms)
        except Exception as error:  # noqa: BLE001 - the wait is over, whatever stands between here and the XComs
            self.log.warning("The XComs cannot be pushed here (%s); a worker ends the task.", error)
            return TriggerEvent(result.to_event())
        if done or self.skips or not self.retries:  # no worker learns of it
            metrics.ended(result.ending.value, result.reason, result.manifest)
        if not done:
            return self._failed(result.message, result.to_event())
        self.log.info("%s", result.message)
        return TaskSuccessEvent()

    def _failed(self, message: str, event: Mapping[str, Any] | None) -> TriggerEvent:
        """Return the event for any other end; the message is in the log that the task shows."""
        from airflow.triggers.base import TaskFailedEvent, TaskSkippedEvent

        self.log.error("%s", message)
        if self.skips:
            return TaskSkippedEvent()
        return TriggerEvent(event) if self.retries else TaskFailedEvent()

    async def _links(self, generation_id: str) -> dict[str, Any]:
        """Return the XComs behind the link in the UI."""
        from airflow_provider_veo3.hooks.veo3 import Veo3Hook
        from airflow_provider_veo3.links import STATUS_URL_KEY, Veo3GenerationLink, status_url

        hook = Veo3Hook(self.veo3_conn_id)
        try:
            await (await hook.aget_conn()).close()
        except Exception as error:  # noqa: BLE001 - a link is no reason to fail
            self.log.warning("No link to generation %s: %s", generation_id, error)
            return {}
        url = status_url(hook.settings.base_url, generation_id)
        return {STATUS_URL_KEY: url, Veo3GenerationLink().xcom_key: url}

    async def _push(self, xcoms: Mapping[str, Any]) -> None:
        """Push as a task does: what an event carries, Airflow stores so that workers read JSON text of it."""
        from airflow.providers.common.compat.sdk import XCom

        ti: Any = self.task_instance
        for key, value in xcoms.items():
            await XCom.aset(
                key, value, dag_id=ti.dag_id, task_id=ti.task_id, run_id=ti.run_id, map_index=ti.map_index
            )


class _OneXCom:
    """A task instance whose ``xcom_pull`` asks for one value, since a triggerer answers nothing else.

    Without ``map_indexes`` Airflow would ask for those of all map indexes, and wait for ever.
    """

    def __init__(self, ti: Any) -> None:
        self._ti = ti

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ti, name)

    def xcom_pull(self, task_ids: Any = None, *args: Any, map_indexes: Any = -1, **kwargs: Any) -> Any:
        return self._ti.xcom_pull(task_ids, *args, map_indexes=map_indexes, **kwargs)


def start_args(sensor: Veo3GenerationSensor, poll_interval: float | None) -> StartTriggerArgs:
    """Return what the scheduler starts a sensor's trigger with.

    :param poll_interval: seconds between two looks; ``None`` takes the connection's.
    """
    backstop = sensor.timeout + DEFERRAL_MARGIN
    if sensor.execution_timeout is not None:  # to which Airflow shortens the deferral
        backstop = min(backstop, sensor.execution_timeout.total_seconds())
    return StartTriggerArgs(
        trigger_cls=f"{Veo3SensorTrigger.__module__}.{Veo3SensorTrigger.__qualname__}",
        next_method="execute_complete",
        trigger_kwargs={
            "generation_id": _as_template(sensor.generation_id),
            "veo3_conn_id": _as_template(sensor.veo3_conn_id),
            "poll_interval": poll_interval,
            "timeout": sensor.timeout,
            "backstop": backstop,
            "skips": bool(sensor.soft_fail or sensor.never_fail),
            "retries": bool(sensor.retries),
            "returns": bool(sensor.do_xcom_push),
        },
        timeout=timedelta(seconds=sensor.timeout + DEFERRAL_MARGIN),
    )


def why_a_worker(sensor: Veo3GenerationSensor) -> str | None:
    """Say why a sensor cannot be started without a worker; ``None`` when it can."""
    if not hasattr(BaseTrigger, "render_template_fields"):
        return "it needs Airflow 3.3 or later"
    if next(iter(sensor.iter_mapped_task_groups()), None) is not None:
        return "Airflow does not support it for mapped tasks"
    for name in ("generation_id", "veo3_conn_id"):
        value = getattr(sensor, name)
        if not isinstance(value, str):
            upstream = getattr(value, "operator", None)
            if upstream is None or not hasattr(value, "key"):
                return f"{name} must be text or the output of one task"
            if _is_mapped(upstream):
                return f"{name} is the output of a mapped task"
        elif "{{" in value or "{%" in value:
            if (asked := _UNANSWERED.search(_QUOTED.sub("", value))) is not None:
                return f"a triggerer cannot answer {asked[0]!r} in the template of {name}"
            dag = sensor.dag if sensor.has_dag() else None  # type: ignore[no-untyped-call]
            if dag is not None and (dag.user_defined_macros or dag.user_defined_filters):
                return f"{name} is a template, and a triggerer does not know the DAG's own macros"
    return None


def _is_mapped(task: BaseOperator) -> bool:
    return bool(task.is_mapped) or next(iter(task.iter_mapped_task_groups()), None) is not None


def _as_template(value: Any) -> str:
    """Return text as it is, and the output of a task as the template that a triggerer can render."""
    if isinstance(value, str):
        return value
    return f"{{{{ ti.xcom_pull(task_ids={value.operator.task_id!r}, key={value.key!r}, map_indexes=-1) }}}}"
