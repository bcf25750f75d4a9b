"""Huge values of every public parameter: no error, log line or traceback repeats them."""

from __future__ import annotations

import inspect
import traceback
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_veo3 import exceptions
from airflow_provider_veo3.airflow_names import AirflowException
from airflow_provider_veo3.hooks.veo3 import Veo3Hook
from airflow_provider_veo3.operators.download import Veo3DownloadOperator
from airflow_provider_veo3.operators.generate import Veo3FirstLastFrameOperator, Veo3ImageToVideoOperator
from airflow_provider_veo3.operators.history import Veo3ListGenerationsOperator
from airflow_provider_veo3.sensors.generation import Veo3GenerationSensor
from tests.support.airflow_versions import AIRFLOW

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_provider_veo3.emulator import Emulator

LENGTH = 70_000  # more than a URL of Airflow's client can have
HUGE: dict[str, Any] = {
    "text": "x" * LENGTH,
    "path": "/" + "folder/" * (LENGTH // 7),
    "uri": f"s3://{'b' * LENGTH}/{'k' * LENGTH}",
    "data": f"data:image/png;base64,{'A' * LENGTH}",
    "number": 10**4000,
    "list": ["y" * LENGTH],
    "mapping": {"k" * LENGTH: "v" * LENGTH},
}
NEEDED: dict[Any, dict[str, Any]] = {
    Veo3ImageToVideoOperator: {"prompt": "fine", "image": "picture"},
    Veo3FirstLastFrameOperator: {"prompt": "fine", "first_frame": "picture", "last_frame": "picture"},
    Veo3GenerationSensor: {"generation_id": "veo_1_unknown", "timeout": 0.1},
    Veo3DownloadOperator: {"generation_id": "veo_1_unknown", "destination": "folder"},
    Veo3ListGenerationsOperator: {},
}
LONGEST = 1000
"""Characters of the longest message of an error about one value."""


def parameters(cls: Any) -> list[str]:
    """Return the parameters of a class, without Airflow's, and without those of an operator like it."""
    classes = cls.__mro__[:1] if cls is Veo3FirstLastFrameOperator else cls.__mro__
    return sorted(
        {
            name
            for each in classes
            if each.__module__.startswith("airflow_provider_veo3") and "__init__" in vars(each)
            for name, parameter in inspect.signature(each.__init__).parameters.items()
            if parameter.kind is parameter.KEYWORD_ONLY
        }
    )


def check(error: BaseException, origin: object) -> None:
    assert isinstance(error, AirflowException), (origin, repr(error)[:LONGEST])
    assert len(str(error)) <= LONGEST, origin
    text = "".join(traceback.format_exception(error))
    assert max(map(len, text.splitlines())) <= exceptions.MESSAGE_LENGTH + 100, origin


@pytest.mark.parametrize("cls", NEEDED, ids=lambda cls: cls.__name__)
def test_a_huge_parameter_is_cut_in_whatever_a_task_says(
    cls: Any,
    emulator: Emulator,
    pictures: dict[str, str],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    from airflow.sdk import DAG

    from tests.support.task_runs import Run

    places = {"picture": pictures["first"], "folder": str(tmp_path)}
    needed = {
        name: places.get(value, value) if isinstance(value, str) else value
        for name, value in NEEDED[cls].items()
    }
    cases, refused = {}, 0
    for name in parameters(cls):
        for kind, value in HUGE.items():
            try:
                cls(task_id="alone", **{**needed, name: value})
            except exceptions.Veo3Error as error:
                check(error, (name, kind))
                refused += 1
            else:
                cases[f"{name}_{kind}"] = {**needed, name: value}
    with DAG(f"huge_{cls.__name__}", default_args={"retries": 3}) as dag:
        for task_id, values in cases.items():
            cls(task_id=task_id, **values)
    ended = Run(dag).finish()
    assert ended.keys() == cases.keys()
    for task_id, end in ended.items():
        if task_id.startswith("veo3_conn_id") and AIRFLOW < (3, 1):
            continue  # the error of Airflow's own client, which cannot ask for such an id
        if end.error is not None:
            check(end.error, task_id)
            refused += 1
    assert refused > len(cases) / 2
    for record in caplog.records:
        if record.name.startswith(("airflow_provider_veo3", "airflow.task")):
            assert len(record.getMessage()) <= exceptions.MESSAGE_LENGTH, record.name


VERBS: dict[str, dict[str, Any]] = {
    "text_to_video": {"prompt": "fine"},
    "image_to_video": {"prompt": "fine", "image": "picture"},
    "first_last_frame": {"prompt": "fine", "first_frame": "picture", "last_frame": "picture"},
    "get_generation": {"generation_id": "veo_1"},
    "get_videos": {"generation_id": "veo_1"},
    "estimate_credits": {"model": "veo-3.1-fast-generate-001"},
}


@pytest.mark.parametrize("verb", VERBS)
def test_a_huge_argument_of_the_hook_is_cut_in_its_error(
    verb: str, emulator: Emulator, pictures: dict[str, str]
) -> None:
    hook = Veo3Hook()
    call = getattr(hook, verb)
    needed = {name: pictures["first"] if value == "picture" else value for name, value in VERBS[verb].items()}
    names = [
        name
        for name, parameter in inspect.signature(call).parameters.items()
        if parameter.kind is not parameter.VAR_KEYWORD
    ]
    refused = 0
    for name in names:
        for kind, value in HUGE.items():
            try:
                call(**{**needed, name: value})
            except exceptions.Veo3Error as error:
                check(error, (name, kind))
                refused += 1
    assert refused >= len(HUGE)
    hook.get_conn().close()
