"""Errors of every task in its log: each sentence, so also the remedy, on a line of its own."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_veo3 import operators, sensors
from airflow_provider_veo3.airflow_names import BaseOperator

if TYPE_CHECKING:
    from airflow_provider_veo3.emulator import Emulator

WRONG: dict[str, dict[str, Any]] = {
    "Veo3TextToVideoOperator": {"prompt": ""},
    "Veo3ImageToVideoOperator": {"prompt": "fine", "image": ""},
    "Veo3FirstLastFrameOperator": {"prompt": "fine", "first_frame": "", "last_frame": ""},
    "Veo3DownloadOperator": {"generation_id": "", "destination": "videos"},
    "Veo3ListGenerationsOperator": {"limit": 0},
    "Veo3GenerationSensor": {"generation_id": ""},
}
"""Parameters of each operator that it refuses."""


def tasks() -> dict[str, Any]:
    """Return every operator and sensor of the package by name."""
    found = {}
    for package in (operators, sensors):
        for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            if not module.name.rpartition(".")[2].startswith("_"):
                members = inspect.getmembers(importlib.import_module(module.name), inspect.isclass)
                found |= {
                    name: cls
                    for name, cls in members
                    if cls.__module__ == module.name and issubclass(cls, BaseOperator)
                }
    return found


def test_every_task_of_the_package_is_here() -> None:
    assert set(tasks()) == set(WRONG)


@pytest.mark.parametrize("name", WRONG)
def test_each_sentence_of_an_error_is_a_line_of_its_own(
    name: str, emulator: Emulator, caplog: pytest.LogCaptureFixture
) -> None:
    from airflow.sdk import DAG

    from tests.support.task_runs import Run

    with DAG(f"logged_{name}") as dag:
        tasks()[name](task_id="task", **WRONG[name])
    (ended,) = Run(dag).finish().values()
    assert ended.error_name == "Veo3ValidationError"
    lines = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert "Nothing was submitted or spent." in lines
    assert str(ended.error) == " ".join(lines[lines.index("Nothing was submitted or spent.") - 1 :][:2])
