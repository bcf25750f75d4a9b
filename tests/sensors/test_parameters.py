"""Parameters of waits as people write them, and the lines in the task's log."""

from __future__ import annotations

import logging
import re
import warnings
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.clock import FakeClock
from tests.support.waits import submit

if TYPE_CHECKING:
    from airflow_provider_veo3.emulator import Emulator

HOUR = timedelta(hours=1)
SHORT, LONG = timedelta(minutes=10), timedelta(hours=2)


def sensor(generation_id: Any = "job-1", **options: Any) -> Any:
    from airflow_provider_veo3.sensors.generation import Veo3GenerationSensor

    return Veo3GenerationSensor(task_id="wait", generation_id=generation_id, **options)


def generating(**options: Any) -> Any:
    from airflow_provider_veo3.operators.generate import Veo3TextToVideoOperator

    return Veo3TextToVideoOperator(task_id="generate", prompt="A lighthouse", **options)


@pytest.mark.parametrize("mapped", [False, True], ids=["list", "mapped"])
def test_a_sensor_that_is_given_many_ids_says_to_expand(emulator: Emulator, *, mapped: bool) -> None:
    from airflow.sdk import DAG

    from airflow_provider_veo3.operators.generate import Veo3TextToVideoOperator
    from tests.support.task_runs import Run

    with DAG(f"many_ids_{mapped}") as dag:
        if mapped:
            submitted = Veo3TextToVideoOperator.partial(task_id="submit").expand(prompt=["A", "B"])
            sensor(submitted.output)
        else:
            sensor(["job-1", "job-2"])
    ended = Run(dag).finish()["wait"]
    assert (ended.state, ended.error_name) == ("failed", "Veo3ValidationError")
    assert ".expand(generation_id=" in str(ended.error)
    assert "LazyXComSequence(<" not in str(ended.error).partition("allowed")[2]
    assert "Nothing was submitted or spent." in str(ended.error)


def deferred_warnings(make: Any) -> list[str]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        make()
    return [str(each.message) for each in caught if "execution_timeout" in str(each.message)]


@pytest.mark.parametrize(
    ("options", "warned"),
    [
        ({"deferrable": True, "execution_timeout": SHORT}, True),
        ({"deferrable": True, "execution_timeout": HOUR, "timeout": HOUR}, True),
        ({"deferrable": True, "execution_timeout": LONG}, False),
        ({"deferrable": True}, False),
        ({"deferrable": False, "execution_timeout": SHORT}, False),
    ],
)
def test_an_execution_timeout_that_a_deferred_wait_ignores_is_warned_of(
    options: dict[str, Any], *, warned: bool
) -> None:
    timeout = options.get("timeout", 1800)
    for make in (sensor, lambda **more: generating(wait_for_completion=True, **more)):
        found = deferred_warnings(lambda make=make: make(**options))
        assert len(found) == warned
        if warned:
            seconds = timeout.total_seconds() if isinstance(timeout, timedelta) else timeout
            assert f"timeout={seconds:g} s" in found[0]
    assert deferred_warnings(lambda: generating(wait_for_completion=False, **options)) == []


def test_a_sensor_that_starts_in_the_triggerer_keeps_its_execution_timeout() -> None:
    """Airflow shortens that deferral to it."""
    from airflow.triggers.base import BaseTrigger

    if not hasattr(BaseTrigger, "render_template_fields"):
        pytest.skip("Airflow 3.3")
    assert deferred_warnings(lambda: sensor(start_from_trigger=True, execution_timeout=SHORT)) == []


def test_times_may_be_spans_of_time() -> None:
    one = sensor(timeout=HOUR, poke_interval=timedelta(seconds=20))
    assert (one.timeout, one.poke_interval) == (3600, 20)
    two = generating(timeout=HOUR, poll_interval=timedelta(seconds=20))
    assert (two.timeout, two.poll_interval) == (3600, 20)


def test_times_may_be_numbers_of_numpy() -> None:
    np = pytest.importorskip("numpy")
    one = sensor(timeout=np.int64(50), poke_interval=np.float64(2.5))
    assert (one.timeout, one.poke_interval) == (50, 2.5)


@pytest.mark.parametrize("field", ["timeout", "poke_interval"])
@pytest.mark.parametrize("value", [0, -1, "soon", float("nan"), timedelta(0), True])
def test_other_times_are_refused_when_the_dag_is_read(field: str, value: Any) -> None:
    from airflow_provider_veo3.exceptions import Veo3ValidationError

    with pytest.raises(Veo3ValidationError, match=field):
        sensor(**{field: value})


def lines_of(caplog: pytest.LogCaptureFixture, part: str) -> list[str]:
    return [line for record in caplog.records if part in (line := record.getMessage())]


@pytest.mark.parametrize("mode", ["poke", "reschedule", "deferrable"])
def test_the_log_says_that_a_sensor_waits_and_until_when(
    emulator: Emulator, caplog: pytest.LogCaptureFixture, mode: str
) -> None:
    from airflow.sdk import DAG

    from tests.support.task_runs import Run

    caplog.set_level(logging.INFO)
    generation_id = submit()
    running = {
        "taskId": generation_id,
        "status": "processing",
        "model": "veo-3.1-fast-generate-001",
        "createdAt": datetime.now(UTC).isoformat(),
    }
    emulator.inject({"kind": "status", "status": 200, "body": running, "endpoint": "status"})
    deferrable = mode == "deferrable"
    with DAG(f"progress_{mode}") as dag:
        sensor(
            generation_id,
            mode="poke" if deferrable else mode,
            deferrable=deferrable,
            poke_interval=0.1,
            timeout=HOUR,
        )
    assert Run(dag).attempt("wait").state == "success"
    first, *others = lines_of(caplog, "given up in")
    assert generation_id in first
    assert re.search(
        r": accepted \d+ s ago, usually completed after about \d+ s, given up in 60 min \(", first
    )
    assert others == []


def test_the_log_of_a_worker_that_waits_has_a_line_at_each_quarter(
    emulator: Emulator, caplog: pytest.LogCaptureFixture
) -> None:
    from airflow.sdk import DAG

    from tests.support.task_runs import Run

    caplog.set_level(logging.INFO)
    emulator.configure(processing_seconds=10**6)
    with DAG("quarters") as dag:
        operator = generating(wait_for_completion=True, poll_interval=10, timeout=1000)
    operator.clock = FakeClock()
    ended = Run(dag).attempt("generate")
    assert ended.error_name == "Veo3GenerationTimeoutError"
    lines = lines_of(caplog, "given up in")
    assert len(lines) == 4, "the beginning, and three quarters"
    assert "Waiting for generation" in lines[0]
    assert all("is still pro" in line for line in lines[1:])


@pytest.mark.parametrize("deferrable", [False, True])
def test_each_sentence_of_an_error_has_a_line_of_its_own(
    emulator: Emulator, caplog: pytest.LogCaptureFixture, *, deferrable: bool
) -> None:
    from airflow.sdk import DAG

    from tests.support.task_runs import Run

    emulator.configure(processing_seconds=10**6)
    generation_id = submit()
    with DAG(f"sentences_{deferrable}") as dag:
        sensor(generation_id, deferrable=deferrable, timeout=0.2, poke_interval=0.1)
    ended = Run(dag).attempt("wait")
    assert ended.error_name == "Veo3SensorTimeoutError"
    sentences = str(ended.error).split(". ")
    lines = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert len(sentences) == 3
    for sentence in sentences:
        (own,) = [line for line in lines if sentence in line]
        assert not any(other in own for other in sentences if other != sentence)
