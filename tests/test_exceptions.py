"""The error tree: its drawing, pickling, and messages."""

from __future__ import annotations

import copy
import pickle
import re
import traceback
from typing import Any

import pytest
from airflow.exceptions import AirflowException

from airflow_provider_veo3 import exceptions
from airflow_provider_veo3.airflow_names import AirflowFailException, AirflowSensorTimeout

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
    also: dict[str, list[Any]] = {}
    for line in drawing.splitlines():
        found = re.match(r"[ │├└─]*(?P<name>Veo3\w+)", line)
        if found:
            drawn[found["name"]] = (found.start("name"), line.rstrip().endswith(" x"))
            also[found["name"]] = [getattr(exceptions, name) for name in re.findall(r"\(also (\w+)\)", line)]
    assert set(drawn) == {kind.__name__ for kind in CLASSES}
    path: list[tuple[int, str]] = []
    for name, (indent, marked) in drawn.items():
        while path and path[-1][0] >= indent:
            path.pop()
        kind = getattr(exceptions, name)
        parent = getattr(exceptions, path[-1][1]) if path else AirflowException
        assert set(kind.__bases__) & {*CLASSES, AirflowException} == {parent, *also[name]}
        timeout = issubclass(kind, AirflowSensorTimeout)
        inherits = bool(path) and issubclass(getattr(exceptions, path[-1][1]), AirflowFailException)
        assert issubclass(kind, AirflowFailException) == (marked or inherits)
        assert not (timeout and marked)
        path.append((indent, name))


@pytest.mark.parametrize("kind", CLASSES)
def test_no_message_is_longer_than_a_log_line_may_be(kind: type[Exception]) -> None:
    error = kind(f"It begins. {'x' * 10**6}. It ends.")
    text = str(error)
    assert len(text) == exceptions.MESSAGE_LENGTH
    assert text.startswith("It begins. xxx")
    assert "xxx... (1000021 characters) ...xxx" in text
    assert text.endswith("xxx. It ends.")
    assert str(pickle.loads(pickle.dumps(error))) == text  # noqa: S301 - our own
    assert str(kind("y" * exceptions.MESSAGE_LENGTH)) == "y" * exceptions.MESSAGE_LENGTH


@pytest.mark.parametrize("is_explicit", [False, True])
@pytest.mark.parametrize(("length", "shown"), [(10, True), (10**6, False)])
def test_a_cause_with_a_long_message_is_left_out_of_the_traceback(
    length: int, *, is_explicit: bool, shown: bool
) -> None:
    first, second, ours = KeyError("first"), OSError("y" * length), exceptions.Veo3Error("Ours.")
    second.__context__ = first
    ours.__context__ = second
    if is_explicit:
        ours.__cause__ = second
    with pytest.raises(exceptions.Veo3Error) as caught, exceptions.logged_by_sentence():
        raise ours
    text = "".join(traceback.format_exception(caught.value))
    assert ("OSError: yyy" in text, "KeyError: 'first'" in text) == (shown, shown)
    assert len(text) < 4000


class Nasty:
    def __repr__(self) -> str:
        raise RuntimeError("no repr for you")


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("x", "'x'"),
        (None, "None"),
        ("y" * 100, "'" + "y" * 59 + "... (100 characters)"),
        (Nasty(), "<Nasty>"),
    ],
    ids=["text", "none", "long", "nasty"],
)
def test_a_validation_error_shows_any_value_in_a_line(value: object, shown: str) -> None:
    error = exceptions.Veo3ValidationError.of("seed", value, "a number")
    assert (error.field, error.value, error.allowed) == ("seed", shown, "a number")
    assert str(error) == f"seed={shown} is not acceptable; allowed: a number. Nothing was submitted or spent."
    assert isinstance(error, ValueError)


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0 stored files"), (1, "1 stored file"), (2, "2 stored files")]
)
def test_one_of_a_thing_is_no_plural(number: int, text: str) -> None:
    assert exceptions.counted(number, "stored file") == text
