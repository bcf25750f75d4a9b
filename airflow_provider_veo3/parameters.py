"""Types and readers of parameters, of a DAG file or rendered; cheap to import."""

from __future__ import annotations

import os
import re
import warnings
from contextlib import suppress
from datetime import timedelta
from decimal import Decimal
from numbers import Number as AnyNumber
from numbers import Real
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from airflow_provider_veo3.exceptions import Veo3ValidationError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_veo3.airflow_names import ObjectStoragePath, XComArg

Text: TypeAlias = "str | XComArg"
"""Templated text: a value, a template, or the output of a task."""

PathText: TypeAlias = "str | os.PathLike[str] | ObjectStoragePath | XComArg"
"""Templated path or URI of object storage."""

Number: TypeAlias = "int | float | Decimal | str | XComArg"
"""Templated whole number."""

Flag: TypeAlias = "bool | str | XComArg"
"""Templated boolean."""

Seconds: TypeAlias = "float | timedelta"
"""Length of time: a number of seconds, or a ``timedelta``."""

OPTIONS: Final = (
    "prompt",
    "model",
    "sample_count",
    "duration_seconds",
    "aspect_ratio",
    "generate_audio",
    "enhance_prompt",
    "negative_prompt",
    "seed",
    "person_generation",
    "extra_options",
)
"""Options of a video, in the order of ``GenerationRequest`` and of the documentation.

Template fields, the decorator, manifests and descriptions beside files take the options from here.
"""

LONGEST_WAIT: Final = 366 * 24 * 3600
"""Seconds of the longest wait, a year; Airflow's deferral timeout could not hold much more."""

_NOTHING: Final = frozenset({"", "none", "null", "undefined", "nan", "<na>", "nat"})
"""Texts, in lower case, that a template renders to when it finds nothing."""

_NOTHING_TYPES: Final = frozenset({"NoneType", "Undefined", "NAType", "NaTType"})
"""Types of a missing value: Python's, Jinja's and pandas'."""

_WHOLE_NUMBER: Final = re.compile(r"\s*([0-9]{1,12})(?:\.0*)?\s*", re.ASCII)


def unwrapped(value: Any) -> Any:
    """Return the Python value of a NumPy scalar; any other value as it is."""
    if type(value).__module__ == "numpy" and getattr(value, "shape", None) == ():
        return value.item()
    return value


def is_nothing(value: object) -> bool:
    """Return whether a value is missing, or the text of a missing one."""
    value = unwrapped(value)
    if isinstance(value, str):
        return value.strip().lower() in _NOTHING
    if not _NOTHING_TYPES.isdisjoint(each.__name__ for each in type(value).__mro__):
        return True
    return isinstance(value, AnyNumber) and value != value  # noqa: PLR0124 - not a number


def is_left_out(value: object) -> bool:
    """Return whether an option is left out: a missing value, or an empty text, as an empty cell.

    A text such as ``None`` is neither: a template found nothing where something was meant to be.
    """
    value = unwrapped(value)
    return not value.strip() if isinstance(value, str) else is_nothing(value)


def check_rendered(field: str, value: object, allowed: str = "text") -> None:
    """Refuse a value that is empty, missing, or a text such as ``None``.

    Every parameter that costs credits or names a place is checked so: its template may find nothing.

    :param field: name of the parameter.
    :param value: the value, or a whole part of it.
    :param allowed: acceptable values, for the error.
    :raises Veo3ValidationError: a template rendered to nothing.
    """
    if is_nothing(value):
        hint = (
            f"a template that finds nothing renders so; give it a default: {{{{ params.{field} or '...' }}}}"
        )
        raise Veo3ValidationError.of(field, value, f"{allowed} ({hint})")


def check_choice(field: str, value: object, allowed: Sequence[str]) -> None:
    """Refuse a value that is not one of the allowed texts.

    :raises Veo3ValidationError: it is not.
    """
    read_choice(field, value, allowed)


def read_choice(field: str, value: object, allowed: Sequence[str]) -> str:
    """Return one of the allowed texts.

    :raises Veo3ValidationError: the value is none of them.
    """
    plain = unwrapped(value)
    if not isinstance(plain, str) or plain not in allowed:
        raise Veo3ValidationError.of(field, value, " or ".join(allowed))
    return str(plain)


def read_integer(field: str, value: object, allowed: range, hint: str = "") -> int:
    """Return a whole number, given as text, a NumPy number, ``8.0`` or a ``Decimal``.

    :param allowed: smallest and, behind the end, largest acceptable number.
    :param hint: clause for the error.
    :raises Veo3ValidationError: it is not a whole number of the allowed range.
    """
    number = _whole_number(unwrapped(value), allowed)
    if number is None:
        text = f"a whole number from {allowed.start} to {allowed.stop - 1}"
        raise Veo3ValidationError.of(field, value, f"{text}{hint}")
    return number


def _whole_number(value: object, allowed: range) -> int | None:
    if isinstance(value, str):
        match = _WHOLE_NUMBER.fullmatch(value)
        value = int(match[1]) if match else None
    if isinstance(value, bool) or not isinstance(value, Real | Decimal):
        return None
    number: Any = value
    try:
        # the range first: a Decimal may stand for more digits than fit into memory
        is_whole = allowed.start <= number < allowed.stop and int(number) == number
    except ArithmeticError:  # Decimal's signalling NaN
        return None
    return int(number) if is_whole else None


def read_flag(field: str, value: object) -> bool:
    """Return a boolean, which may come as text or from NumPy.

    :raises Veo3ValidationError: it is neither true nor false.
    """
    plain = unwrapped(value)
    if isinstance(plain, str):
        plain = {"true": True, "false": False}.get(plain.strip().lower())
    if not isinstance(plain, bool):
        raise Veo3ValidationError.of(field, value, "true or false")
    return plain


def read_seconds(field: str, value: object, most: float = LONGEST_WAIT) -> float:
    """Return a length of time in seconds: from a number or a ``timedelta``, above 0.

    :param most: most seconds.
    :raises Veo3ValidationError: it is not acceptable.
    """
    plain = unwrapped(value)
    number: Any = plain.total_seconds() if isinstance(plain, timedelta) else plain
    is_number = isinstance(number, Real | Decimal) and not isinstance(number, bool)
    with suppress(ArithmeticError):  # Decimal's signalling NaN
        if is_number and 0 < number <= most:
            return number if isinstance(number, int) else float(number)
    raise Veo3ValidationError.of(field, value, f"a number of seconds above 0, at most {most}")


def path_text(value: Any) -> Any:
    """Return the text of a ``pathlib.Path`` or ``ObjectStoragePath``, connection id included.

    :param value: anything; what is no path is returned unchanged.
    """
    value = unwrapped(value)
    # by its form: importing Airflow's class would slow every DAG file down
    if hasattr(type(value), "protocol") and hasattr(type(value), "joinpath"):
        text, connection = str(value), getattr(value, "conn_id", None)
        scheme, separator, rest = text.partition("://")
        if connection and separator and "@" not in rest.partition("/")[0]:  # Airflow before 3.2
            return f"{scheme}://{connection}@{rest}"
        return text
    return os.fspath(value) if isinstance(value, os.PathLike) else value


def check_execution_timeout(task_id: str, execution_timeout: timedelta | None, timeout: float) -> None:
    """Warn of an ``execution_timeout`` that Airflow ignores for the deferred wait of a task.

    :param timeout: seconds of the wait. A longer ``execution_timeout`` asks for nothing that it does not get.
    """
    if execution_timeout is not None and execution_timeout.total_seconds() <= timeout:
        warnings.warn(
            f"execution_timeout={execution_timeout} does not end the wait of task {task_id!r}: Airflow "
            "counts the seconds in a worker only, and a deferred wait has none. The limit that holds is "
            f"timeout={timeout:g} s; set 'timeout' instead.",
            UserWarning,
            stacklevel=3,
        )
