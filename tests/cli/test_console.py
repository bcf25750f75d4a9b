"""Output of the commands: what is replaced in it."""

from __future__ import annotations

import io
import json

import pytest

from airflow_provider_veo3.cli.console import Console

SHOWN = {"id": "veo_1_veo3_thesecretkey", "credits": 190}


def printed_with(key: str) -> str:
    results = io.StringIO()
    console = Console(results, io.StringIO())
    console.secret = key
    console.json(SHOWN)
    return results.getvalue()


def test_the_key_is_replaced() -> None:
    assert json.loads(printed_with("veo3_thesecretkey")) == {"id": "veo_1_***", "credits": 190}


@pytest.mark.parametrize("key", ["", "190", "id", "veo", '"'])
def test_a_key_that_occurs_by_chance_does_not_change_a_result(key: str) -> None:
    assert json.loads(printed_with(key)) == SHOWN
