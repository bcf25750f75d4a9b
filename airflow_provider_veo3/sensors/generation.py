"""The sensor that waits for a generation somebody else submitted."""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import (
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
    BaseSensorOperator,
    PokeReturnValue,
    conf,
)

from airflow_provider_veo3.exceptions import Veo3SensorTimeoutError
from airflow_provider_veo3.hooks.connection_form import DEFAULT_POLL_INTERVAL
from airflow_provider_veo3.links import Veo3GenerationLink, publish_link, publish_manifest

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_veo3.hooks.veo3 import Veo3Hook
    from airflow_provider_veo3.parameters import Text
    from airflow_provider_veo3.polling.result import WaitResult
    from airflow_provider_veo3.polling.wait import Wait


class Veo3GenerationSensor(BaseSensorOperator):
    """Wait until a generation is completed; returns its id.

    It only asks, so that a retry never costs credits. The XCom key ``generation`` holds a small manifest of
    the generation (id, type, model, status, credits, times).

    :param generation_id: the id a generating task returned (templated).
    :param veo3_conn_id: Airflow connection of type ``veo3`` (templated). Default ``veo3_default``.
    :param deferrable: wait in the triggerer, which holds no worker. Default ``[operators]
        default_deferrable``. Otherwise ``mode`` decides between ``poke`` and ``reschedule``.
    :param start_from_trigger: start no worker at all for the wait: the scheduler hands the task to the
        triggerer, which ends it (Airflow 3.3 and later). Default ``False``. ``generation_id`` may be the
        output of a task that is not mapped, or a template. Where it cannot be done (an older Airflow, mapped
        tasks, a template that only a worker can render) a warning says why, and a worker starts the wait,
        which then is a deferred one. A failure is told in the triggerer's log of the task; with ``retries``
        a worker fails the task, since Airflow would repeat whatever a trigger fails.
    :param poke_interval: seconds between two looks. Default ``None``: the connection's, 10 unless set there.
        The vendor allows 60 requests a minute for all tasks on a key together.
    :param timeout: seconds until the sensor gives up, from its first look, or from the moment at which the
        scheduler hands it to the triggerer. Default 1800; a video typically takes 45 to 120.
    :raises Veo3SensorFailedError: the generation failed; its credits were refunded.
    :raises Veo3SensorTimeoutError: it was still running after ``timeout``; it goes on at the vendor.
    :raises Veo3GenerationNotFoundError: the API does not know the id.
    :raises Veo3ValidationError: what was given cannot be an id; nothing was asked.
    """

    template_fields: Sequence[str] = ("generation_id", "veo3_conn_id")
    operator_extra_links = (Veo3GenerationLink(),)
    ui_color = "#e8e0f7"

    def __init__(
        self,
        *,
        generation_id: Text,
        veo3_conn_id: str = "veo3_default",
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        start_from_trigger: bool = False,
        poke_interval: timedelta | float | None = None,
        timeout: timedelta | float = 1800.0,
        **kwargs: Any,
    ) -> None:
        interval = DEFAULT_POLL_INTERVAL if poke_interval is None else poke_interval
        super().__init__(poke_interval=interval, timeout=timeout, **kwargs)
        self._takes_connection_interval = poke_interval is None
        self._pause = 0.0
        self.generation_id = generation_id
        self.veo3_conn_id = veo3_conn_id
        self.deferrable = deferrable or start_from_trigger
        self.start_from_trigger = start_from_trigger and self._set_up_start_from_trigger()

    def _set_up_start_from_trigger(self) -> bool:
        """Tell the scheduler how, or the author of the DAG why not; return whether it can."""
        from airflow_provider_veo3.triggers.sensor import start_args, why_a_worker

        reason = why_a_worker(self)
        if reason is not None:
            warnings.warn(
                f"start_from_trigger of {self.task_id!r}: {reason}. A worker starts the wait, and defers.",
                UserWarning,
                stacklevel=2,
            )
            return False
        # not at the class: a mapped sensor would take it from there, which no scheduler understands
        self.start_trigger_args = start_args(
            self, None if self._takes_connection_interval else self.poke_interval
        )
        return True

    def execute(self, context: Context) -> str:
        """Look once; then wait in the triggerer, or as ``mode`` says."""
        from airflow_provider_veo3.polling.result import WaitResult
        from airflow_provider_veo3.triggers.generation import defer_until_done

        if self.start_from_trigger and context["ti"].map_index not in (None, -1):
            self.log.warning("start_from_trigger does not work in mapped tasks: a worker starts the wait.")
        if self._takes_connection_interval:
            self.poke_interval = self._hook.settings.poll_interval
        publish_link(context, self._hook.settings.base_url, self._wait.generation_id)
        if self.deferrable:
            verdict = self._look()
            if isinstance(verdict, WaitResult):
                return self._finish(context, verdict)
            defer_until_done(
                self,
                context,
                self._wait.generation_id,
                self.veo3_conn_id,
                self.timeout,
                poll_interval=self.poke_interval,
                accepted_at=self._wait.accepted_at,
                model=self._wait.model,
            )
        try:
            generation_id: str = super().execute(context)
        except Veo3SensorTimeoutError:
            raise
        except AirflowSensorTimeout:  # Airflow's, which does not say what became of the generation
            return self._finish(context, self._wait.time_out())
        return generation_id

    def poke(self, context: Context) -> PokeReturnValue:
        """Look once; trouble that passes means not yet."""
        from airflow_provider_veo3.polling.result import WaitResult

        verdict = self._look()
        if isinstance(verdict, WaitResult):
            return PokeReturnValue(is_done=True, xcom_value=self._finish(context, verdict))
        self._pause = verdict
        return PokeReturnValue(is_done=False)

    def _get_next_poke_interval(self, *args: Any, **kwargs: Any) -> float:
        """Wait longer where the API asks for it, or is in trouble; but not beyond the timeout."""
        interval: float = super()._get_next_poke_interval(*args, **kwargs)
        return max(0.0, min(max(interval, self._pause), self._wait.deadline - time.time()))

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Take up the trigger's event; start over where Airflow 3.0 brings an earlier attempt's."""
        from airflow_provider_veo3.triggers.events import is_stale

        if is_stale(next_kwargs, context):
            return self.execute(context)
        return super().resume_execution(next_method, next_kwargs, context)

    def execute_complete(self, context: Context, event: Any = None) -> str:
        """Take up the trigger's event."""
        from airflow_provider_veo3.api.request import check_generation_id
        from airflow_provider_veo3.polling.result import WaitResult
        from airflow_provider_veo3.triggers.sensor import IN_WORKER

        if isinstance(event, Mapping) and IN_WORKER in event:
            self.log.warning("start_from_trigger: %s; a worker starts the wait.", event[IN_WORKER])
            return self.execute(context)
        generation_id = check_generation_id(self.generation_id)
        if self.start_from_trigger:  # no worker has been here
            publish_link(context, self._hook.settings.base_url, generation_id)
        return self._finish(context, WaitResult.from_event(event, generation_id))

    @cached_property
    def _hook(self) -> Veo3Hook:
        from airflow_provider_veo3.hooks.veo3 import Veo3Hook

        return Veo3Hook(self.veo3_conn_id)

    @cached_property
    def _wait(self) -> Wait:
        """The wait of this process; Airflow keeps the time where it is not deferred."""
        from airflow_provider_veo3.api.request import check_generation_id
        from airflow_provider_veo3.polling.wait import Wait

        return Wait(check_generation_id(self.generation_id), time.time() + self.timeout, self.poke_interval)

    def _look(self) -> WaitResult | float:
        from airflow_provider_veo3.polling.blocking import poll_once

        return poll_once(self._hook, self._wait)

    def _finish(self, context: Context, result: WaitResult) -> str:
        """Publish a completed generation; fail, or skip where the user asked for that, on any other end."""
        try:
            manifest = result.manifest_or_raise(sensor=True)
        except (AirflowFailException, AirflowSensorTimeout) as error:
            if self.soft_fail or self.never_fail:
                raise AirflowSkipException(str(error)) from error
            raise
        publish_manifest(context, manifest)
        self.log.info("%s", result.message)
        return result.generation_id
