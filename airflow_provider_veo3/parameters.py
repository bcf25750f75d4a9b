"""Types and checks of parameters that a DAG file sets; cheap to import."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

from airflow_provider_veo3.exceptions import Veo3ValidationError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.providers.common.compat.sdk import XComArg

Text: TypeAlias = "str | XComArg"
"""Templated text: a value, a template, or the output of a task."""

Number: TypeAlias = "int | str | XComArg"
"""Templated whole number."""

Flag: TypeAlias = "bool | str | XComArg"
"""Templated boolean."""

LONGEST_WAIT: Final = 366 * 24 * 3600
"""Seconds of the longest wait, a year; Airflow's deferral timeout could not hold much more."""


def check_seconds(field: str, value: object) -> None:
    """Refuse a value that is not a number of seconds from above 0 to ``LONGEST_WAIT``.

    :raises Veo3ValidationError: it is not.
    """
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= LONGEST_WAIT:
        return
    raise Veo3ValidationError.of(field, value, f"a number of seconds above 0, at most {LONGEST_WAIT}")


def check_choice(field: str, value: object, allowed: Sequence[str]) -> None:
    """Refuse a value that is not one of the allowed texts.

    :raises Veo3ValidationError: it is not.
    """
    if value not in allowed:
        raise Veo3ValidationError.of(field, value, " or ".join(allowed))
