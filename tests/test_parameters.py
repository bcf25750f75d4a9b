"""Checks of plain values in a DAG file, when it is parsed."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_veo3.exceptions import Veo3ValidationError
from airflow_provider_veo3.parameters import check_choice, check_seconds


@pytest.mark.parametrize("value", [1, 0.001, 1800, 366 * 24 * 3600])
def test_a_number_of_seconds(value: object) -> None:
    check_seconds("timeout", value)


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
        pytest.param(10**400, id="401 digits"),
        pytest.param(10**5000, id="5001 digits"),
    ],
)
def test_any_other_value_is_refused(value: object) -> None:
    with pytest.raises(Veo3ValidationError, match=r"^timeout=.*a number of seconds above 0"):
        check_seconds("timeout", value)


@given(st.none() | st.integers() | st.floats() | st.text() | st.booleans())
def test_any_accepted_number_can_be_slept(value: Any) -> None:
    try:
        check_seconds("timeout", value)
    except Veo3ValidationError:
        return
    assert 0 < float(value) < float("inf")


@pytest.mark.parametrize("value", ["b", "", "ab", None, [], {}, 1])
def test_a_text_that_is_not_allowed_is_refused(value: object) -> None:
    check_choice("mode", "a", ("a", "bc"))
    with pytest.raises(Veo3ValidationError, match=r"^mode=.*allowed: a or bc"):
        check_choice("mode", value, ("a", "bc"))
