"""The error tree: its drawing, pickling, and messages."""

from __future__ import annotations

import copy
import pickle
import re
from typing import Any

import pytest
from airflow.exceptions import AirflowException
from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSensorTimeout

from airflow_provider_veo3 import exceptions

CLASSES: list[Any] = [
    kind
    for kind in vars(exceptions).values()
    if isinstance(kind, type) and kind.__module__ == exceptions.__name__ and issubclass(kind, Exception)
]

DETAILS = {
    exceptions.Veo3ValidationError: {"field": "f", "value": "v", "allowed": "a"},
    exceptions.Veo3CreditLimitError: {"estimate": 190, "limit": 100},
    exceptions.Veo3ApiError: {"status": 500, "code": "C", "body": "b", "retry_after": 1.5},
    exceptions.Veo3NoAnswerError: {"sent": False, "status": None},
    exceptions.Veo3InsufficientCreditsError: {"required": 5, "available": 4, "status": 402},
    exceptions.Veo3GenerationError: {"generation_id": "veo_1", "manifest": {"id": "veo_1"}},
}


def details(kind: type[Exception]) -> dict[str, Any]:
    """Return every detail that a class can hold."""
    found: dict[str, Any] = {}
    for base in kind.__mro__:
        found = {**DETAILS.get(base, {}), **found}
    return found


def test_all_classes_are_found() -> None:
    assert len(CLASSES) >= 23
    assert exceptions.Veo3CorruptVideoError in CLASSES


@pytest.mark.parametrize("kind", CLASSES)
@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_an_error_survives_pickling_with_all_it_holds(kind: type[Exception], protocol: int) -> None:
    for held in ({}, details(kind)):
        error = kind("what happened", **held)
        pickled = pickle.loads(pickle.dumps(error, protocol))  # noqa: S301 - our own
        for copied in (pickled, copy.copy(error), copy.deepcopy(error)):
            assert type(copied) is kind
            assert (str(copied), vars(copied)) == ("what happened", vars(error))
            assert vars(copied).items() >= held.items()


@pytest.mark.parametrize("kind", CLASSES)
def test_every_error_is_ours_and_airflow_s(kind: type[Exception]) -> None:
    assert issubclass(kind, exceptions.Veo3Error)
    assert issubclass(kind, AirflowException)
    assert kind.__doc__


def test_the_drawing_is_the_tree() -> None:
    drawing = (exceptions.__doc__ or "").partition("::")[2].partition("Classes marked")[0]
    drawn: dict[str, tuple[int, bool]] = {}
    for line in drawing.splitlines():
        found = re.match(r"[ │├└─]*(?P<name>Veo3\w+)", line)
        if found:
            drawn[found["name"]] = (found.start("name"), line.rstrip().endswith(" x"))
    assert set(drawn) == {kind.__name__ for kind in CLASSES}
    path: list[tuple[int, str]] = []
    for name, (indent, marked) in drawn.items():
        while path and path[-1][0] >= indent:
            path.pop()
        kind = getattr(exceptions, name)
        assert issubclass(kind, getattr(exceptions, path[-1][1]) if path else AirflowException)
        timeout = issubclass(kind, AirflowSensorTimeout)
        inherits = bool(path) and issubclass(getattr(exceptions, path[-1][1]), AirflowFailException)
        assert issubclass(kind, AirflowFailException) == (marked or inherits)
        assert not (timeout and marked)
        path.append((indent, name))


class Nasty:
    def __repr__(self) -> str:
        raise RuntimeError("no repr for you")


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("x", "'x'"),
        (None, "None"),
        ("y" * 100, "'" + "y" * 76 + "... (102 characters)"),
        (Nasty(), "<Nasty>"),
    ],
    ids=["text", "none", "long", "nasty"],
)
def test_a_validation_error_shows_any_value_in_a_line(value: object, shown: str) -> None:
    error = exceptions.Veo3ValidationError.of("seed", value, "a number")
    assert (error.field, error.value, error.allowed) == ("seed", shown, "a number")
    assert str(error) == f"seed={shown} is not acceptable; allowed: a number. Nothing was submitted or spent."
    assert isinstance(error, ValueError)
