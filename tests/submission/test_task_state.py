"""A task state store that fails: nothing unnoted is paid for, and nothing paid for is lost."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_veo3.operators._generating import GeneratingOperator
from tests.support.airflow_versions import AIRFLOW
from tests.support.fixtures import set_timings
from tests.support.runs import TASK, accepted, clear, paid_once, start, submissions, succeed

if AIRFLOW < (3, 3):
    pytest.skip("task state store: Airflow 3.3; else see test_before_task_state", allow_module_level=True)
from airflow.sdk.execution_time.context import TaskStateStoreAccessor

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_veo3.emulator import Emulator


class Outage:
    """Airflow's API fails for some accesses of one kind; what it did before stays done."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, name: str, fails: Callable[[int], bool]) -> None:
        self.count = 0
        real = getattr(TaskStateStoreAccessor, name)

        def access(store: TaskStateStoreAccessor, *args: Any, **kwargs: Any) -> Any:
            self.count += 1
            if fails(self.count):
                raise OSError("the API server is gone")
            return real(store, *args, **kwargs)

        monkeypatch.setattr(TaskStateStoreAccessor, name, access)


@pytest.mark.parametrize(("name", "says"), [("get", "cannot be read"), ("set", "cannot be written")])
def test_nothing_is_submitted_without_it(
    name: str, says: str, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = start()
    with monkeypatch.context() as patch:
        Outage(patch, name, lambda _: True)
        ended = run.attempt(TASK)
    assert (ended.error_name, ended.state) == ("Veo3StateError", "up_for_retry")
    assert says in str(ended.error)
    assert "Nothing was submitted" in str(ended.error)
    assert emulator.ledger()["totals"]["requests"] == 0
    paid_once(emulator, succeed(run.attempt(TASK)))


def test_an_outage_of_airflows_api_burns_no_try(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    set_timings(monkeypatch, airflow_patience=60.0)
    slept: list[float] = []
    monkeypatch.setattr(GeneratingOperator, "clock", SimpleNamespace(time=time.time, sleep=slept.append))
    outages = [Outage(monkeypatch, name, lambda count: count in (1, 2)) for name in ("get", "set")]
    paid_once(emulator, succeed(start().attempt(TASK)))
    assert slept == [1.0, 2.0] * 2
    assert [outage.count > 2 for outage in outages] == [True, True]


def test_an_acceptance_that_cannot_be_noted_is_logged_and_found_by_a_retry(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "airflow_provider_veo3")
    emulator.configure(processing_seconds=3600)
    run = start(wait_for_completion=True, deferrable=False, timeout=0.05)
    with monkeypatch.context() as patch:
        outage = Outage(patch, "set", lambda count: count > 1)
        assert run.attempt(TASK).error_name == "Veo3GenerationTimeoutError", "it went on and waited"
    assert outage.count == 2
    said, noted = (
        next(number for number, text in enumerate(caplog.messages) if part in text)
        for part in (f"accepted generation {accepted(emulator)[0]}", "cannot be written")
    )
    assert said < noted
    emulator.force(accepted(emulator)[0], "complete")
    paid_once(emulator, succeed(run.attempt(TASK)))
    assert submissions(emulator) == 1


def test_an_acceptance_that_could_not_be_noted_is_noted_with_the_success(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = start()
    with monkeypatch.context() as patch:
        Outage(patch, "set", lambda count: count == 2)
        first = succeed(run.attempt(TASK))
    clear(run)
    second = succeed(run.attempt(TASK))
    assert accepted(emulator) == [first, second], "a cleared success is a new video"


def test_a_success_that_cannot_be_noted_is_a_success_and_taken_up_when_cleared(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = start()
    with monkeypatch.context() as patch:
        Outage(patch, "set", lambda count: count == 3)
        first = succeed(run.attempt(TASK))
    clear(run)
    assert succeed(run.attempt(TASK)) == first
    paid_once(emulator, first)


def test_a_record_that_makes_no_sense_is_not_ignored(emulator: Emulator) -> None:
    run = start()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TaskStateStoreAccessor, "get", lambda *_: {"version": 99})
        ended = run.attempt(TASK)
    assert (ended.error_name, ended.state) == ("Veo3StateError", "up_for_retry")
    assert emulator.ledger()["totals"]["requests"] == 0


def test_what_was_paid_for_is_named_where_the_task_fails_before_it_looks(
    emulator: Emulator, pictures: dict[str, str], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    emulator.configure(processing_seconds=3600)
    image = Path(shutil.copy(pictures["first"], tmp_path))
    options: dict[str, Any] = {"wait_for_completion": True, "deferrable": False, "timeout": 0.05}
    run = start(operator="Veo3ImageToVideoOperator", image=str(image), **options)
    assert run.attempt(TASK).error_name == "Veo3GenerationTimeoutError"
    (generation_id,) = accepted(emulator)
    moved = image.rename(tmp_path / "moved.png")
    capfd.readouterr()
    assert run.attempt(TASK).error_name == "Veo3ValidationError"
    assert f"An earlier attempt of this task paid for generation {generation_id}" in capfd.readouterr().out
    moved.rename(image)
    emulator.force(generation_id, "complete")
    clear(run)
    paid_once(emulator, succeed(run.attempt(TASK)))
