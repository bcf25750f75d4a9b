"""What makes a dataclass field an option: one declaration drives checks, ``--help`` and run-time changes."""

from __future__ import annotations

import argparse
import dataclasses
import math
import types
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Union, get_args, get_origin, get_type_hints

OFF = "off"
# The longest that an option lets pass: slowed down a thousand times it still ends before the year 9999, which
# is the last that dates can tell.
YEAR = 366 * 86_400


@dataclasses.dataclass(frozen=True)
class Option:
    """The rules of one option, kept in the metadata of its dataclass field."""

    help: str
    group: str
    choices: tuple[Any, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    runtime: bool = True
    check: Callable[[Any], Any] | None = None


def option(default: Any, group: str, help_text: str, **rules: Any) -> Any:
    """Declare a dataclass field that is an option."""
    return dataclasses.field(default=default, metadata={"option": Option(help_text, group, **rules)})


def options_of(owner: type[Any]) -> dict[str, tuple[Option, Any, Any]]:
    """Every option of a dataclass: name -> (rules, type, default)."""
    hints = get_type_hints(owner)
    return {
        field.name: (field.metadata["option"], hints[field.name], field.default)
        for field in dataclasses.fields(owner)
    }


def checked(name: str, value: Any, rules: Option, kind: Any) -> Any:
    """Return the value as the field stores it, or say which option refuses it and what is allowed."""
    try:
        value = _typed(value, kind)
        if rules.check is not None:
            value = rules.check(value)
    except ValueError as error:
        raise ValueError(f"{name}={value!r}: {error}") from None
    for member in value if isinstance(value, tuple) else (value,):
        if rules.choices and member not in rules.choices:
            allowed = ", ".join(str(choice) for choice in rules.choices)
            raise ValueError(f"{name}={value!r}: allowed are {allowed}")
    if isinstance(value, int | float):
        _check_range(name, value, rules)
    return value


def _check_range(name: str, value: float, rules: Option) -> None:
    if not math.isfinite(value):
        raise ValueError(f"{name}={value!r}: must be a finite number")
    if rules.minimum is not None and value < rules.minimum:
        raise ValueError(f"{name}={value!r}: must be at least {rules.minimum:g}")
    if rules.maximum is not None and value > rules.maximum:
        raise ValueError(f"{name}={value!r}: must be at most {rules.maximum:.0f}")


def _typed(value: Any, kind: Any) -> Any:
    members = get_args(kind) if get_origin(kind) in (Union, types.UnionType) else (kind,)
    if value is None and type(None) in members:
        return None
    if get_origin(kind) is tuple:
        if isinstance(value, str) or not isinstance(value, Sequence):
            raise ValueError("must be a list of strings")
        if not all(isinstance(item, str) for item in value):
            raise ValueError("must be a list of strings")
        return tuple(value)
    if isinstance(value, bool):
        if bool in members:
            return value
    elif isinstance(value, int) and float in members and int not in members:
        return float(value)
    elif isinstance(value, tuple(member for member in members if member is not type(None))):
        return value
    names = " or ".join("null" if member is type(None) else member.__name__ for member in members)
    raise ValueError(f"must be {names}")


def add_arguments(parser: argparse.ArgumentParser, owner: type[Any], defaults: Mapping[str, Any]) -> None:
    """Give the parser one argument for each option.

    :param defaults: defaults that differ on the command line.
    """
    groups: dict[str, argparse._ArgumentGroup] = {}
    options = options_of(owner)
    # What a class declares itself is of more interest than what it inherits, and comes first.
    for name in sorted(options, key=lambda name: name not in owner.__annotations__):
        rules, kind, default = options[name]
        default = defaults.get(name, default)
        if rules.group not in groups:
            groups[rules.group] = parser.add_argument_group(rules.group)
        flag = "--" + name.replace("_", "-")
        help_text = rules.help.replace("%", "%%")
        settings: dict[str, Any] = {"dest": name, "default": default}
        if kind is bool:
            settings["action"] = argparse.BooleanOptionalAction
            help_text += f" (default: {'yes' if default else 'no'})"
        else:
            settings["type"] = _reader(kind)
            settings["metavar"] = _placeholder(rules, kind)
            help_text += f" (default: {_shown(default)})"
        groups[rules.group].add_argument(flag, help=help_text, **settings)


def _placeholder(rules: Option, kind: Any) -> str:
    if rules.choices and get_origin(kind) is not tuple:
        return "|".join(str(choice) for choice in rules.choices)
    if get_origin(kind) is tuple:
        return "A,B"
    return "TEXT" if kind is str or str in get_args(kind) else "N"


def _shown(value: Any) -> str:
    if value is None:
        return OFF
    return ",".join(value) if isinstance(value, tuple) else str(value)


def _reader(kind: Any) -> Callable[[str], Any]:
    """How the text of a command-line argument becomes a value of this type."""
    members = get_args(kind) if get_origin(kind) in (Union, types.UnionType) else (kind,)

    def read(text: str) -> Any:
        if type(None) in members and text == OFF:
            return None
        if get_origin(kind) is tuple:
            return tuple(part.strip() for part in text.split(",") if part.strip())
        if str in members:
            return text
        return int(text) if int in members else float(text)

    read.__name__ = "number" if str not in members else "text"
    return read


def read_changes(owner: type[Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Check changes meant for a running emulator; an unknown or a fixed option is refused by name."""
    known = options_of(owner)
    for name in changes:
        if name not in known:
            raise ValueError(f"{name}: no such option")
        if not known[name][0].runtime:
            raise ValueError(f"{name}: is fixed once the emulator runs")
    return {name: checked(name, value, *known[name][:2]) for name, value in changes.items()}
