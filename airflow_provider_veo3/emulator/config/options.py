"""Declaration and validation of options: one pydantic field per option.

The same declaration drives ``Settings(...)``, ``--help``, changes at run time and the reference in the docs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeVar, get_args, get_origin

import pydantic

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pydantic.fields import FieldInfo

T = TypeVar("T")

STRICT = pydantic.ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)
# The longest duration of an option. Slowed down a thousand times it still ends before the year 9999, the last
# year of Python's dates.
YEAR = 366 * 86_400
HEADER_TEXT = r"^[\t\x20-\x7e\x80-\xff]*$"
"""Pattern of a header's value."""


def option(default: Any, group: str, help_text: str, *, runtime: bool = True, **constraints: Any) -> Any:
    """Declare an option as a pydantic field.

    :param group: heading in ``--help``.
    :param help_text: explanation in ``--help`` and in the docs.
    :param runtime: whether a running emulator accepts a new value.
    :param constraints: further arguments of :func:`pydantic.Field`, such as ``ge``.
    """
    extra: dict[str, Any] = {"group": group, "runtime": runtime}
    return pydantic.Field(default, description=help_text, json_schema_extra=extra, **constraints)


def extra_of(field: FieldInfo, name: str) -> Any:
    """Return the ``group`` or the ``runtime`` flag of an option."""
    extra = field.json_schema_extra
    return extra[name] if isinstance(extra, dict) else None


def choices_of(field: FieldInfo) -> tuple[Any, ...]:
    """Return the allowed values of an option or its members, if listed."""
    annotation: Any = field.annotation
    if get_origin(annotation) is tuple:
        annotation = get_args(annotation)[0]
    return get_args(annotation) if get_origin(annotation) is Literal else ()


def validated(make: Callable[..., T], values: Mapping[str, Any], *, spell: Callable[[str], str] = str) -> T:
    """Call a pydantic model or function, and reduce its validation error to one line.

    :param spell: spelling of a field's name in the error, such as the flag of the command line.
    :raises ValueError: names each refused field, its value and the allowed values.
    """
    try:
        return make(**values)
    except pydantic.ValidationError as error:
        refused = [_refusal(detail, spell) for detail in error.errors(include_url=False)]
        raise ValueError("; ".join(refused)) from None


def _refusal(detail: Any, spell: Callable[[str], str]) -> str:
    kind, path = detail["type"], [str(part) for part in detail["loc"]]
    message = str(detail["ctx"]["error"]) if kind == "value_error" else str(detail["msg"])
    if not path:
        return message
    name = ".".join([spell(path[0]), *path[1:]])
    return f"{name}: {message}" if kind.startswith("missing") else f"{name}={detail['input']!r}: {message}"
