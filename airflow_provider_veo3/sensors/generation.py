"""Sensor that waits for a generation."""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from airflow_provider_veo3 import DEFAULT_POLL_INTERVAL
from airflow_provider_veo3.airflow_names import (
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
    BaseSensorOperator,
    PokeReturnValue,
    conf,
)
from airflow_provider_veo3.exceptions import (
    Veo3SensorTimeoutError,
    Veo3ValidationError,
    logged_by_sentence,
)
from airflow_provider_veo3.links import (
    Veo3VideosLink,
    publish_manifest,
    upstream_manifests,
)
from airflow_provider_veo3.parameters import check_execution_timeout, read_flag, read_seconds, unwrapped

if TYPE_CHECKING:
    from airflow_provider_veo3.airflow_names import Context
    from airflow_provider_veo3.api.clock import Clock
    from airflow_provider_veo3.hooks.veo3 import Veo3Hook
    from airflow_provider_veo3.parameters import Seconds, Text
    from airflow_provider_veo3.polling.result import WaitResult
    from airflow_provider_veo3.polling.wait import Wait


class Veo3GenerationSensor(BaseSensorOperator):
    """Wait until a generation is completed, and return its id.

    It never submits, so that a retry never costs credits. The XCom key ``generation`` holds a small manifest
    of the generation (id, type, model, status, credits, times).

    :param generation_id: id that a generating task returned (templated).
    :param veo3_conn_id: Airflow connection of type ``veo3`` (templated). Default ``veo3_default``.
    :param deferrable: wait in the triggerer, which holds no worker. Default ``[operators]
        default_deferrable``. Otherwise ``mode`` decides between ``poke`` and ``reschedule``.
    :param start_from_trigger: start no worker at all for the wait: the scheduler hands the task to the
        triggerer, which ends it (Airflow 3.3 and later). Default ``False``. ``generation_id`` may be the
        output of a task that is not mapped, or a template. Where the triggerer cannot start the wait (an
        older Airflow, mapped tasks, a template that only a worker can render), a warning gives the reason,
        and a worker starts and defers it. A failure is reported in the triggerer's log of the task; with
        ``retries`` a worker fails the task, since Airflow would retry any failure by a trigger.
    :param poke_interval: seconds between two polls. Default ``None``: the connection's, 10 unless set there.
        The vendor allows 60 requests a minute for all tasks on a key together.
    :param timeout: seconds until the sensor gives up, from its first poll, or from the moment at which the
        scheduler hands it to the triggerer. Default 1800; a video typically takes 45 to 120.
    :raises Veo3SensorFailedError: the generation failed; its credits were refunded.
    :raises Veo3SensorTimeoutError: the generation was still running after ``timeout``; it goes on at the
        vendor.
    :raises Veo3GenerationNotFoundError: the API does not know the id.
    :raises Veo3ValidationError: the given value cannot be an id; nothing was sent.
    """

    template_fields: Sequence[str] = ("generation_id", "veo3_conn_id")
    operator_extra_links = (Veo3VideosLink(),)
    ui_color = "#e8e0f7"

    clock: ClassVar[Clock] = time
    """Clock of the sensor's own waits; tests put another one in its place."""

    def __init__(
        self,
        *,
        generation_id: Text,
        veo3_conn_id: str = "veo3_default",
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        start_from_trigger: bool = False,
        poke_interval: Seconds | None = None,
        timeout: Seconds = 1800.0,
        **kwargs: Any,
    ) -> None:
        interval = DEFAULT_POLL_INTERVAL if poke_interval is None else poke_interval
        super().__init__(
            poke_interval=read_seconds("poke_interval", interval),
            timeout=read_seconds("timeout", timeout),
            **kwargs,
        )
        self._uses_connection_interval = poke_interval is None
        self._next_poll = 0.0
        self.generation_id = generation_id
        self.veo3_conn_id = veo3_conn_id
        starts_from_trigger = read_flag("start_from_trigger", start_from_trigger)
        self.deferrable = read_flag("deferrable", deferrable) or starts_from_trigger
        self.start_from_trigger = starts_from_trigger and self._set_start_trigger_args()
        if self.deferrable and not self.start_from_trigger:
            check_execution_timeout(self.task_id, self.execution_timeout, self.timeout)

    def _set_start_trigger_args(self) -> bool:
        """Set the trigger's arguments for the scheduler, or warn; return whether they are set."""
        from airflow_provider_veo3.sensors._start_from_trigger import start_trigger_args, unsupported_reason

        fields = {"generation_id": self.generation_id, "veo3_conn_id": self.veo3_conn_id}
        reason = unsupported_reason(self, fields)
        if reason is not None:
            warnings.warn(
                f"start_from_trigger is not possible for task {self.task_id!r}: {reason}. A worker starts "
                "the wait, and defers it.",
                UserWarning,
                stacklevel=2,
            )
            return False
        # not at the class: a mapped sensor would take it from there, which no scheduler understands
        self.start_trigger_args = start_trigger_args(
            self, fields, None if self._uses_connection_interval else self.poke_interval
        )
        return True

    def execute(self, context: Context) -> str:
        """Poll once; then wait in the triggerer, or as ``mode`` says."""
        with logged_by_sentence():
            return self._execute(context)

    def _execute(self, context: Context) -> str:
        from airflow_provider_veo3.airflow_names import AirflowRescheduleException
        from airflow_provider_veo3.polling.result import WaitResult

        if self.start_from_trigger and context["ti"].map_index not in (None, -1):
            self.log.warning(
                "start_from_trigger does not work in mapped tasks: a worker starts the wait, and defers it."
            )
        if self._uses_connection_interval:
            self.poke_interval = self._hook.settings.poll_interval
        self._wait.find_acceptance = partial(self._upstream_acceptance, context)
        if self.reschedule and not self.deferrable:
            self._resume_wait(context)
        if self.deferrable:
            verdict = self._poll()
            if isinstance(verdict, WaitResult):
                return self._finish(context, verdict)
            self._defer(context)
        try:
            generation_id: str = super().execute(context)
        except AirflowRescheduleException as error:  # see poke
            next_poll = datetime.fromtimestamp(self._next_poll, UTC)
            raise AirflowRescheduleException(max(error.reschedule_date, next_poll)) from None
        except Veo3SensorTimeoutError:
            raise
        except AirflowSensorTimeout:  # Airflow's, which names no generation
            return self._finish(context, self._wait.time_out())
        return generation_id

    def _defer(self, context: Context) -> NoReturn:
        from airflow_provider_veo3.triggers.generation import defer_wait

        defer_wait(
            self,
            context,
            self._wait.generation_id,
            self.veo3_conn_id,
            self.timeout,
            poll_interval=self.poke_interval,
            accepted_at=self._wait.accepted_at,
            model=self._wait.model,
            clock=self.clock,
        )

    def poke(self, context: Context) -> PokeReturnValue:
        """Poll once; a transient error counts as not completed yet."""
        from airflow_provider_veo3.polling.blocking import log_progress
        from airflow_provider_veo3.polling.result import WaitResult

        early = self._next_poll - self.clock.time()
        if early > 0:
            self.clock.sleep(early)
        verdict = self._poll()
        if isinstance(verdict, WaitResult):
            return PokeReturnValue(is_done=True, xcom_value=self._finish(context, verdict))
        log_progress(self._wait, self.clock)
        # Airflow pauses for poke_interval, or with exponential_backoff for a multiple or a part of it. Where
        # that is too short for the API, the next poke sleeps for the rest, or execute reschedules for later.
        self._next_poll = self.clock.time() + verdict
        self.poke_interval = min(verdict, self._wait.poll_interval) if self.exponential_backoff else verdict
        return PokeReturnValue(is_done=False)

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Resume with the trigger's event; start over where Airflow 3.0 brings an earlier attempt's."""
        from airflow_provider_veo3.triggers.events import is_stale

        if is_stale(next_kwargs, context):
            return self.execute(context)
        with logged_by_sentence():
            return super().resume_execution(next_method, next_kwargs, context)

    def execute_complete(self, context: Context, event: Any = None) -> str:
        """Finish after a deferred wait, whose result the event carries."""
        from airflow_provider_veo3.polling.result import WaitResult
        from airflow_provider_veo3.triggers.events import CONTINUE_IN_WORKER

        if isinstance(event, Mapping) and CONTINUE_IN_WORKER in event:
            self.log.warning(
                "The triggerer could not start the wait (%s). A worker starts it, and defers it.",
                event[CONTINUE_IN_WORKER],
            )
            return self._execute(context)
        generation_id = single_generation_id(self.generation_id)
        return self._finish(context, WaitResult.from_event(event, generation_id))

    @cached_property
    def _hook(self) -> Veo3Hook:
        from airflow_provider_veo3.hooks.veo3 import Veo3Hook

        return Veo3Hook(self.veo3_conn_id)

    @cached_property
    def _wait(self) -> Wait:
        """Wait of this process."""
        from airflow_provider_veo3.polling.wait import Wait

        deadline = self.clock.time() + self.timeout
        return Wait(single_generation_id(self.generation_id), deadline, self.poke_interval)

    def _resume_wait(self, context: Context) -> None:
        """Let the wait begin when the first process of a rescheduled sensor began it."""
        began = context["ti"].get_first_reschedule_date(context)
        if began is not None:
            self._wait.began = began.timestamp()
            self._wait.deadline = self._wait.began + self.timeout

    def _upstream_acceptance(self, context: Context) -> float | None:
        """Return when an upstream task submitted the generation, in Unix seconds; ``None`` if unknown."""
        from airflow_provider_veo3.polling.wait import acceptance_of

        generation_id = self._wait.generation_id
        try:
            manifest = upstream_manifests(context, [generation_id]).get(generation_id, {})
        except Exception as error:  # noqa: BLE001 - the wait does without it
            self.log.warning("The manifest of generation %s cannot be read: %s", generation_id, error)
            return None
        return acceptance_of(manifest, self.clock.time())

    def _poll(self) -> WaitResult | float:
        """Poll once, again for a reported failure; return the result, or the seconds until the next poll.

        A process that reschedules or defers forgets the first report of a failure.
        """
        from airflow_provider_veo3.polling.blocking import poll_once
        from airflow_provider_veo3.polling.result import WaitResult

        verdict = poll_once(self._hook, self._wait, self.clock)
        while self._wait.needs_confirmation and not isinstance(verdict, WaitResult):
            self.clock.sleep(verdict)
            verdict = poll_once(self._hook, self._wait, self.clock)
        return verdict

    def _finish(self, context: Context, result: WaitResult) -> str:
        """Publish a generation that has ended; fail or skip unless it is completed."""
        if result.has_ended:
            publish_manifest(context, result.manifest)
        try:
            result.manifest_or_raise(sensor=True)
        except (AirflowFailException, AirflowSensorTimeout) as error:
            if self.soft_fail or self.never_fail:
                raise AirflowSkipException(str(error)) from error
            raise
        self.log.info("%s", result.message)
        return result.generation_id


def single_generation_id(value: Any) -> str:
    """Return the id of one generation.

    :raises Veo3ValidationError: the value cannot be one; a list has to be expanded.
    """
    from airflow_provider_veo3.api.request import check_generation_id

    value = unwrapped(value)
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        raise Veo3ValidationError.of(
            "generation_id",
            value,
            "the id of one generation; for several, as a mapped task returns them, map the sensor: "
            "Veo3GenerationSensor.partial(task_id=...).expand(generation_id=submit.output)",
        )
    return check_generation_id(value)
