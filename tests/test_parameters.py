"""Readers and checks of parameters: every form of a value, and the texts of missing ones."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path, PurePosixPath
from typing import Any

import jinja2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_veo3.exceptions import SHOWN_LENGTH, Veo3ValidationError, sentence, shown, shown_text
from airflow_provider_veo3.parameters import (
    check_choice,
    check_rendered,
    is_nothing,
    path_text,
    read_flag,
    read_integer,
    read_seconds,
)


class NAType:
    """Missing value by the name of pandas'."""


NOTHING = [
    "",
    " \t\n",
    "None",
    " none ",
    "NULL",
    "null",
    "undefined",
    "Undefined\n",
    "nan",
    "NaN",
    "<NA>",
    "NaT",
    None,
    float("nan"),
    Decimal("NaN"),
    jinja2.Undefined(name="x"),
    jinja2.StrictUndefined(name="x"),
    NAType(),
]


@pytest.mark.parametrize("value", NOTHING, ids=lambda value: type(value).__name__)
def test_a_missing_value_is_refused_with_the_way_to_give_a_default(value: Any) -> None:
    with pytest.raises(Veo3ValidationError, match="renders so; give it a default") as caught:
        check_rendered("prompt", value)
    assert caught.value.field == "prompt"
    assert "{{ params.prompt or '...' }}" in str(caught.value)
    assert "Nothing was submitted or spent" in str(caught.value)


@pytest.mark.parametrize(
    "value", ["None of them", "nonesuch", "a null result", "none.", "0", "NA", 0, False, [], 1.5, object()]
)
def test_any_other_value_is_not_nothing(value: Any) -> None:
    check_rendered("prompt", value)
    assert not is_nothing(value)


EIGHT = [
    8,
    "8",
    " 8 ",
    "08",
    "8.0",
    "8.",
    8.0,
    Decimal(8),
    Decimal("8.00"),
    Fraction(8),
]


@pytest.mark.parametrize("value", EIGHT, ids=lambda value: f"{type(value).__name__}-{value}")
def test_a_whole_number_of_any_type_is_read(value: Any) -> None:
    number = read_integer("duration_seconds", value, range(4, 9))
    assert (number, type(number)) == (8, int)


@pytest.mark.parametrize(
    "value",
    [
        3,
        9,
        8.5,
        "8.5",
        "8,0",
        "1e1",
        "0x8",
        "²",
        "\uff18",
        True,
        float("inf"),
        float("nan"),
        Decimal("NaN"),
        Decimal("sNaN"),
        Decimal("1e1000000000"),
        10**5000,
        8j,
        b"8",
        None,
        "",
    ],
    ids=lambda value: type(value).__name__,
)
def test_anything_else_is_no_whole_number_of_the_range(value: Any) -> None:
    with pytest.raises(Veo3ValidationError, match="allowed: a whole number from 4 to 8, or so") as caught:
        read_integer("duration_seconds", value, range(4, 9), ", or so")
    assert len(caught.value.value) <= SHOWN_LENGTH


@pytest.mark.parametrize("value", [True, "true", " TRUE "])
def test_a_flag_of_any_type_is_read(value: Any) -> None:
    assert read_flag("generate_audio", value) is True


@pytest.mark.parametrize("value", [1, 0, "1", "yes", "", None, []])
def test_anything_else_is_no_flag(value: Any) -> None:
    with pytest.raises(Veo3ValidationError, match="true or false"):
        read_flag("generate_audio", value)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (1800, 1800),
        (0.001, 0.001),
        (366 * 24 * 3600, 366 * 24 * 3600),
        (timedelta(minutes=30), 1800.0),
        (Decimal("1.5"), 1.5),
    ],
)
def test_a_length_of_time_of_any_type_is_read(value: Any, seconds: float) -> None:
    read = read_seconds("timeout", value)
    assert read == seconds
    assert type(read) in (int, float)


@pytest.mark.parametrize(
    "value",
    [
        0,
        -1,
        -0.0,
        float("nan"),
        float("inf"),
        True,
        False,
        None,
        "30",
        "",
        [],
        366 * 24 * 3600 + 1,  # Airflow's timeout of a deferral could not hold much more
        1e14,
        timedelta(0),
        timedelta(days=400),
        Decimal("NaN"),
        Decimal("sNaN"),
        pytest.param(10**400, id="401 digits"),
        pytest.param(10**5000, id="5001 digits"),
    ],
)
def test_any_other_value_is_no_length_of_time(value: object) -> None:
    with pytest.raises(
        Veo3ValidationError, match=r"^timeout=.*a number of seconds above 0, at most 31622400"
    ):
        read_seconds("timeout", value)


@given(st.none() | st.integers() | st.floats() | st.text() | st.booleans() | st.timedeltas() | st.decimals())
def test_any_accepted_length_of_time_can_be_slept(value: Any) -> None:
    try:
        seconds = read_seconds("timeout", value)
    except Veo3ValidationError:
        return
    assert 0 < seconds < float("inf")


def test_a_path_becomes_text() -> None:
    from airflow.sdk import ObjectStoragePath

    assert path_text(Path("/videos/a.png")) == "/videos/a.png"
    assert path_text(PurePosixPath("a/b")) == "a/b"
    assert path_text(ObjectStoragePath("file:///videos/a.png")) == "file:///videos/a.png"
    assert path_text(ObjectStoragePath("file://conn@/videos/a.png")).startswith("file://conn@")
    assert path_text(5) == 5
    assert path_text(None) is None


@pytest.mark.parametrize("value", ["b", "", "ab", None, [], {}, 1, ["a"]])
def test_a_text_that_is_not_allowed_is_refused(value: object) -> None:
    check_choice("mode", "a", ("a", "bc"))
    with pytest.raises(Veo3ValidationError, match=r"^mode=.*allowed: a or bc"):
        check_choice("mode", value, ("a", "bc"))


@pytest.mark.parametrize(
    "value",
    [
        "x" * 10**6,
        b"x" * 10**6,
        "\x00" * 81,
        ["x" * 10**6],
        {"a": "x" * 1000},
        10**5000,
        "data:image/png;base64," + "A" * 462_148,
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_value_is_shown_in_80_characters(value: Any) -> None:
    error = Veo3ValidationError.of("image", value, "a path.")
    assert len(shown(value)) <= SHOWN_LENGTH
    assert len(str(error)) < SHOWN_LENGTH + 100
    assert ".." not in str(error).replace("...", "")


def test_a_text_is_cut_with_its_own_length() -> None:
    assert shown("short") == "'short'"
    assert shown("x" * 1200).endswith("... (1200 characters)")
    assert shown_text("veo_1_a") == "veo_1_a"
    assert shown_text("a\nb") == r"a\nb"
    assert shown_text("x" * 512).endswith("... (512 characters)")
    assert [sentence(text) for text in ("a", "a.", "a.. ")] == ["a."] * 3
