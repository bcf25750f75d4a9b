"""Names of Airflow that moved between its versions, each imported on first use.

Import them from here, as from Airflow itself: ``from airflow_provider_veo3.airflow_names import BaseHook``.
The provider needs no package of compatibility imports for them, whose versions Airflow's constraints hold
back.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from airflow.sdk import (
        BaseHook,
        BaseOperator,
        BaseOperatorLink,
        BaseSensorOperator,
        Connection,
        Context,
        ObjectStoragePath,
        PokeReturnValue,
        TriggerRule,
        XComArg,
    )
    from airflow.sdk.bases.decorator import (
        DecoratedOperator,
        TaskDecorator,
        determine_kwargs,
        task_decorator_factory,
    )
    from airflow.sdk.configuration import conf
    from airflow.sdk.exceptions import (
        AirflowException,
        AirflowFailException,
        AirflowNotFoundException,
        AirflowRescheduleException,
        AirflowSensorTimeout,
        AirflowSkipException,
    )
    from airflow.sdk.execution_time.xcom import XCom
    from airflow.sdk.observability.stats import Stats
    from airflow.sdk.plugins_manager import AirflowPlugin
    from airflow.sdk.types import TaskInstanceKey

__all__ = [
    "AirflowException",
    "AirflowFailException",
    "AirflowNotFoundException",
    "AirflowPlugin",
    "AirflowRescheduleException",
    "AirflowSensorTimeout",
    "AirflowSkipException",
    "BaseHook",
    "BaseOperator",
    "BaseOperatorLink",
    "BaseSensorOperator",
    "Connection",
    "Context",
    "DecoratedOperator",
    "ObjectStoragePath",
    "PokeReturnValue",
    "Stats",
    "TaskDecorator",
    "TaskInstanceKey",
    "TriggerRule",
    "XCom",
    "XComArg",
    "conf",
    "determine_kwargs",
    "task_decorator_factory",
]

_EXCEPTIONS: Final = ("airflow.sdk.exceptions", "airflow.exceptions")
_DECORATOR: Final = ("airflow.sdk.bases.decorator",)

_MODULES: Final = {
    "AirflowException": _EXCEPTIONS,
    "AirflowFailException": _EXCEPTIONS,
    "AirflowNotFoundException": _EXCEPTIONS,
    "AirflowPlugin": ("airflow.sdk.plugins_manager", "airflow.plugins_manager"),
    "AirflowRescheduleException": _EXCEPTIONS,
    "AirflowSensorTimeout": _EXCEPTIONS,
    "AirflowSkipException": _EXCEPTIONS,
    "BaseHook": ("airflow.sdk", "airflow.hooks.base"),
    "DecoratedOperator": _DECORATOR,
    "Stats": ("airflow.sdk.observability.stats", "airflow.stats"),
    "TaskDecorator": _DECORATOR,
    "TaskInstanceKey": ("airflow.sdk.types", "airflow.models.taskinstancekey"),
    "TriggerRule": ("airflow.sdk", "airflow.utils.trigger_rule"),
    "XCom": ("airflow.sdk.execution_time.xcom",),
    "conf": ("airflow.sdk.configuration", "airflow.configuration"),
    "determine_kwargs": (*_DECORATOR, "airflow.utils.operator_helpers"),
    "task_decorator_factory": _DECORATOR,
}
"""Modules of a name, that of the newest Airflow first. All other names are in ``airflow.sdk`` everywhere."""


if not TYPE_CHECKING:  # a type checker finds a wrong name by the imports above

    def __getattr__(name: str) -> Any:
        """Return a name from the first of its modules that has it."""
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        *newer, oldest = _MODULES.get(name, ("airflow.sdk",))
        for module in newer:
            try:
                return getattr(import_module(module), name)
            except (ImportError, AttributeError):
                continue
        return getattr(import_module(oldest), name)
