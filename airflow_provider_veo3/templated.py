"""What templated parameters take in a DAG file, for type checkers: a value, text, or the output of a task."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import XComArg

Text: TypeAlias = "str | XComArg"
Number: TypeAlias = "int | str | XComArg"
Flag: TypeAlias = "bool | str | XComArg"
