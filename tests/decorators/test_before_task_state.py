"""``@task.veo3_text_to_video`` where nothing outlives an attempt: before Airflow 3.3."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.airflow_versions import AIRFLOW
from tests.support.decorated import WAIT, Writer, decorated, prompts

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_veo3.emulator import Emulator
    from tests.support.task_runs import Run

pytestmark = pytest.mark.usefixtures("_soon")
remembers = pytest.mark.skipif(
    AIRFLOW >= (3, 3), reason="what it returned is remembered: see test_decorator_retries"
)
DURABLE = pytest.mark.parametrize("durable", [False, pytest.param(True, marks=remembers)])


def late(emulator: Emulator, function: Callable[[], str], **options: bool) -> tuple[Run, str]:
    """A run whose first attempt gave up waiting, and the video that was paid for and is completed by now."""
    emulator.configure(processing_seconds=3600)
    run = decorated(function, **{**WAIT, "deferrable": False, "timeout": 0.05, **options})
    assert run.attempt("make").error_name == "Veo3GenerationTimeoutError"
    (made,) = emulator.ledger()["tasks"]
    emulator.force(made["id"], "complete")
    emulator.configure(processing_seconds=0)
    run.dag.task_dict["make"].timeout = 1800.0
    return run, made["id"]


@DURABLE
def test_each_attempt_calls_the_function_and_another_text_is_another_video(
    emulator: Emulator, *, durable: bool
) -> None:
    writer = Writer()
    run, made = late(emulator, writer.write, durable=durable)
    ended = run.attempt("make")
    assert ended.error is None, ended.error
    assert ended.value != made
    assert prompts(emulator) == ["Text 1 on a dragon", "Text 2 on a dragon"]
    assert writer.calls == 2


@remembers
def test_the_same_text_takes_up_the_video_that_was_paid_for(emulator: Emulator) -> None:
    calls = []

    def write() -> str:
        calls.append(1)
        return "A lighthouse"

    run, made = late(emulator, write)
    ended = run.attempt("make")
    assert (ended.error, ended.value) == (None, made)
    assert (prompts(emulator), len(calls)) == (["A lighthouse"], 2)
