"""Arguments of a sensor that starts in the triggerer, and the reasons why it cannot."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from airflow.triggers.base import BaseTrigger, StartTriggerArgs

from airflow_provider_veo3.exceptions import shown
from airflow_provider_veo3.triggers.generation import DEFERRAL_MARGIN
from airflow_provider_veo3.triggers.sensor import Veo3SensorTrigger

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_veo3.airflow_names import BaseOperator, BaseSensorOperator
    from airflow_provider_veo3.parameters import Text

_UNSUPPORTED_NAMES: Final = re.compile(r"\b(prev_\w+|\w+_events|\w+_state_store|expanded_ti_count|get_\w+)\b")
"""Names in a template whose requests a triggerer does not serve: it would wait for ever."""

_STRING_LITERALS: Final = re.compile(r"'[^']*'|\"[^\"]*\"")


def start_trigger_args(
    sensor: BaseSensorOperator, fields: Mapping[str, Text], poll_interval: float | None
) -> StartTriggerArgs:
    """Return the arguments with which the scheduler starts a sensor's trigger.

    :param fields: the sensor's templated parameters by name.
    :param poll_interval: seconds between two polls; ``None`` takes the connection's.
    """
    backstop = sensor.timeout + DEFERRAL_MARGIN
    if sensor.execution_timeout is not None:  # to which Airflow shortens the deferral
        backstop = min(backstop, sensor.execution_timeout.total_seconds())
    return StartTriggerArgs(
        trigger_cls=f"{Veo3SensorTrigger.__module__}.{Veo3SensorTrigger.__qualname__}",
        next_method="execute_complete",
        trigger_kwargs={
            **{name: _as_template(value) for name, value in fields.items()},
            "poll_interval": poll_interval,
            "timeout": sensor.timeout,
            "backstop": backstop,
            "skips": bool(sensor.soft_fail or sensor.never_fail),
            "retries": bool(sensor.retries),
            "returns": bool(sensor.do_xcom_push),
            "generated_by": _generating_task(fields["generation_id"]),
        },
        timeout=timedelta(seconds=sensor.timeout + DEFERRAL_MARGIN),
    )


def _generating_task(generation_id: Any) -> str | None:
    """Return the id of the generating task whose output was given; ``None`` for any other value."""
    operator: Any = getattr(generation_id, "operator", None)
    return operator.task_id if hasattr(operator, "generation_type") else None


def unsupported_reason(sensor: BaseSensorOperator, fields: Mapping[str, Text]) -> str | None:
    """Return why a sensor cannot start in the triggerer; ``None`` when it can.

    :param fields: the sensor's templated parameters by name.
    """
    if not hasattr(BaseTrigger, "render_template_fields"):
        return "it needs Airflow 3.3 or later"
    if _is_in_mapped_group(sensor):
        return "Airflow does not support it for mapped tasks"
    for name, value in fields.items():
        reason = _text_reason(sensor, value) if isinstance(value, str) else _output_reason(value)
        if reason is not None:
            return f"{name} {reason}"
    return None


def _output_reason(value: Any) -> str | None:
    """Return why a triggerer cannot pull the output of a task."""
    upstream = getattr(value, "operator", None)
    if upstream is None or not hasattr(value, "key"):
        return "must be text or the output of one task"
    if upstream.is_mapped or _is_in_mapped_group(upstream):
        return "is the output of a mapped task"
    return None


def _text_reason(sensor: BaseSensorOperator, text: str) -> str | None:
    """Return why a triggerer cannot render a text."""
    if "{{" not in text and "{%" not in text:
        return None
    unsupported = _UNSUPPORTED_NAMES.search(_STRING_LITERALS.sub("", text))
    if unsupported is not None:
        return f"is a template with {shown(unsupported[0])}, which a triggerer does not know"
    dag = sensor.dag if sensor.has_dag() else None
    if dag is not None and (dag.user_defined_macros or dag.user_defined_filters):
        return "is a template, and a triggerer does not know the DAG's own macros"
    return None


def _is_in_mapped_group(task: BaseOperator) -> bool:
    return next(iter(task.iter_mapped_task_groups()), None) is not None


def _as_template(value: Any) -> str:
    """Return text as it is, and the output of a task as a template."""
    if isinstance(value, str):
        return value
    return f"{{{{ ti.xcom_pull(task_ids={value.operator.task_id!r}, key={value.key!r}, map_indexes=-1) }}}}"
