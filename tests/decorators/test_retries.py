"""``@task.veo3_text_to_video``: what a function returned becomes one video, whatever happens in between."""

from __future__ import annotations

import itertools
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_veo3.decorators._remembered import RETURNED_KEY
from airflow_provider_veo3.parameters import OPTIONS
from tests.support.airflow_versions import needs_task_state
from tests.support.decorated import REFUSED, RETRIES, WAIT, Writer, clear, decorated, prompts

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from airflow_provider_veo3.emulator import Emulator
    from tests.support.task_runs import Run


@contextmanager
def edited_memory(run: Run) -> Iterator[dict[str, Any]]:
    """Change what Airflow keeps of the function's return value, as a person can in its UI."""
    import json

    from airflow.models.task_state_store import TaskStateStoreModel
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        row = session.scalars(
            select(TaskStateStoreModel).where(
                TaskStateStoreModel.dag_id == run.dag.dag_id, TaskStateStoreModel.key == RETURNED_KEY
            )
        ).one()
        is_text = isinstance(row.value, str)
        memory = json.loads(row.value) if is_text else dict(row.value)
        yield memory
        row.value = json.dumps(memory) if is_text else memory


def test_the_function_is_not_called_when_a_wait_is_over(emulator: Emulator) -> None:
    writer = Writer()
    ended = decorated(writer.write, **WAIT).attempt("make")
    assert (ended.state, ended.rounds, writer.calls) == ("success", 2, 1)
    assert prompts(emulator) == ["Text 1 on a dragon"]


@pytest.mark.usefixtures("_soon")
@pytest.mark.parametrize("durable", [True, False])
def test_let_in_late_it_asks_for_what_it_asked_for_at_first(emulator: Emulator, *, durable: bool) -> None:
    emulator.inject({**REFUSED, "times": 2})
    writer = Writer()
    ended = decorated(writer.write, durable=durable, deferrable=True).attempt("make")
    assert (ended.state, ended.rounds, writer.calls) == ("success", 3, 1)
    assert prompts(emulator) == ["Text 1 on a dragon"]


@needs_task_state
@pytest.mark.usefixtures("_soon")
@pytest.mark.parametrize("cleared", [False, True], ids=["retried", "cleared"])
def test_a_later_attempt_takes_up_the_video_although_the_function_would_say_something_else(
    emulator: Emulator, *, cleared: bool
) -> None:
    emulator.configure(processing_seconds=3600)
    writer = Writer()
    run = decorated(writer.write, **{**WAIT, "timeout": 0.05})
    assert run.attempt("make").error_name == "Veo3GenerationTimeoutError"
    (made,) = emulator.ledger()["tasks"]
    emulator.force(made["id"], "complete")
    if cleared:
        clear(run)
    ended = run.attempt("make")
    assert (ended.error, ended.value) == (None, made["id"])
    assert writer.calls == 1
    assert emulator.ledger()["totals"]["accepted"] == 1


@needs_task_state
@pytest.mark.usefixtures("_soon")
@pytest.mark.parametrize(
    "edit", [{"veo3_conn_id": "another", "max_credits": None}, {"prompt": None}], ids=str
)
def test_what_a_person_has_made_of_the_memory_sets_nothing_but_options_of_the_video(
    edit: dict[str, Any], emulator: Emulator
) -> None:
    emulator.configure(processing_seconds=3600)
    writer = Writer()
    run = decorated(writer.write, **{**WAIT, "timeout": 0.05})
    run.attempt("make")
    with edited_memory(run) as memory:
        memory["options"] = {
            name: value
            for name, value in {**memory["options"], **edit}.items()
            if value or name not in OPTIONS
        }
    ended = run.attempt("make")
    assert (ended.error_name, ended.state) == ("Veo3StateError", "up_for_retry")
    assert "nothing was submitted" in str(ended.error)
    assert (writer.calls, emulator.ledger()["totals"]["accepted"]) == (1, 1)


@needs_task_state
@pytest.mark.usefixtures("_soon")
def test_a_lost_answer_is_found_although_the_function_would_say_something_else(
    emulator: Emulator,
) -> None:
    emulator.inject({"kind": "accept_then_disconnect"})
    emulator.inject({"kind": "status", "status": 400, "endpoint": "history", "times": None})
    writer = Writer()
    run = decorated(writer.write)
    assert run.attempt("make").error_name == "Veo3NoAnswerError"
    emulator.clear_faults()
    ended = run.attempt("make")
    (made,) = emulator.ledger()["tasks"]
    assert (ended.error, ended.value, writer.calls) == (None, made["id"], 1)


@needs_task_state
def test_a_person_who_clears_a_success_gets_a_new_text_and_a_new_video(emulator: Emulator) -> None:
    writer = Writer()
    run = decorated(writer.write)
    first = run.attempt("make").value
    clear(run)
    second = run.attempt("make").value
    assert first != second
    assert prompts(emulator) == ["Text 1 on a dragon", "Text 2 on a dragon"]


@needs_task_state
@pytest.mark.parametrize("when", ["request", "generation"])
def test_text_that_was_refused_for_its_content_is_not_asked_for_again(emulator: Emulator, when: str) -> None:
    emulator.configure(policy_when=when)
    texts = iter(["prohibited content", "something nice"])
    run = decorated(lambda: next(texts), **WAIT)
    ended = run.attempt("make")
    assert ended.state == "failed"
    refused = {"request": "Veo3ContentPolicyError", "generation": "Veo3GenerationRefusedError"}
    assert ended.error_name == refused[when]
    clear(run)
    assert run.attempt("make").state == "success"
    assert prompts(emulator)[-1] == "something nice"


class Style:
    """An argument that has no words of its own, so that Python shows where it lies in memory."""


FILE = """
from airflow.sdk import DAG, task

with DAG("decorated_file") as dag:
    @task.veo3_text_to_video(
        wait_for_completion=True, deferrable=True, poll_interval=0.01, retries=1, timeout=TIMEOUT
    )
    def make(style, more):
        return f"Text {next(calls)}"
    make(Style(), {"styles": {Style()}})
"""


@needs_task_state
def test_other_settings_of_the_task_and_another_process_change_neither_function_nor_arguments(
    emulator: Emulator, tmp_path: Path
) -> None:
    from tests.support.task_runs import Run

    calls = itertools.count(1)

    def read(timeout: float) -> Any:
        file = tmp_path / f"dag_{timeout}.py"
        file.write_text(FILE.replace("TIMEOUT", str(timeout)))
        names: dict[str, Any] = {"calls": calls, "Style": Style}
        exec(compile(file.read_text(), file, "exec"), names)  # noqa: S102 - as Airflow reads a DAG file
        return names["dag"]

    emulator.configure(processing_seconds=3600)
    first = read(0.05)
    run = Run(first)
    assert run.attempt("make").error_name == "Veo3GenerationTimeoutError"
    (made,) = emulator.ledger()["tasks"]
    emulator.force(made["id"], "complete")
    run.dag = read(5)  # a person gives it more time, while the first one is still there, at another place
    clear(run)
    ended = run.attempt("make")
    assert (ended.error, ended.value) == (None, made["id"])
    assert prompts(emulator) == ["Text 1"]


LAYOUTS = {
    "def": (
        "@decorate\ndef make(style):\n    return f'{style}'",
        '@decorate(timeout=9)\n# as a table\ndef make(\n    style,\n):  # of paint\n\n    return f"{style}"',
    ),
    "lambda": (
        "make = decorate(timeout=1)(lambda style: style)",
        "make = decorate(timeout=9, pool='veo3')(lambda style: (style))  # longer",
    ),
}


@pytest.mark.parametrize("kind", LAYOUTS)
def test_comments_layout_and_what_the_decorator_is_given_are_no_part_of_a_function(
    kind: str, tmp_path: Path
) -> None:
    from airflow_provider_veo3.decorators._remembered import RememberedOptions

    def decorate(*given: Any, **_: Any) -> Any:
        return given[0] if given else decorate

    def identity(text: str) -> str:
        file = tmp_path / f"dag_{len(list(tmp_path.iterdir()))}.py"
        file.write_text(text)
        names: dict[str, Any] = {"decorate": decorate}
        exec(compile(text, file, "exec"), names)  # noqa: S102 - as Airflow reads a DAG file
        return RememberedOptions({"ti": None}, names["make"], [], {}, durable=True)._identity  # type: ignore[typeddict-item]

    before, after = LAYOUTS[kind]
    assert identity(before) == identity(after)
    assert identity(before) != identity(
        before.replace("{style}", "{style}!").replace(": style", ": style[0]")
    )


@needs_task_state
@pytest.mark.parametrize("changed", ["function", "arguments"])
def test_a_changed_task_asks_anew(emulator: Emulator, changed: str) -> None:
    from airflow.sdk import DAG, task

    emulator.configure(processing_seconds=3600)
    run = decorated(lambda about: f"About {about}", "foxes", **{**WAIT, "timeout": 0.05})
    assert run.attempt("make").error_name == "Veo3GenerationTimeoutError"
    emulator.configure(processing_seconds=0)

    def another(about: str) -> str:
        return f"All about {about}"

    with DAG(run.dag.dag_id) as run.dag:
        if changed == "function":
            task.veo3_text_to_video(task_id="make", **RETRIES, **WAIT)(another)("foxes")
        else:
            task.veo3_text_to_video(task_id="make", **RETRIES, **WAIT)(another)("hares")
    assert run.attempt("make").state == "success"
    assert prompts(emulator)[1] == ("All about foxes" if changed == "function" else "All about hares")


@needs_task_state
def test_memory_that_cannot_be_read_or_written_submits_nothing(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.sdk.execution_time.context import TaskStateStoreAccessor

    def broken(*args: Any, **kwargs: Any) -> Any:
        raise OSError("disk full")

    writer = Writer()
    run = decorated(writer.write)
    for verb, says in (("get", "cannot be read"), ("set", "cannot be written")):
        with monkeypatch.context() as patch:
            patch.setattr(TaskStateStoreAccessor, verb, broken)
            ended = run.attempt("make")
        assert (ended.error_name, ended.state) == ("Veo3StateError", "up_for_retry")
        assert says in str(ended.error)
        assert "disk full" in str(ended.error)
    assert emulator.ledger()["totals"]["requests"] == 0
    assert run.attempt("make").state == "success"
