"""NumPy values as parameters: pandas and CSV readers give them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_veo3.exceptions import Veo3ValidationError
from airflow_provider_veo3.parameters import (
    check_choice,
    check_rendered,
    path_text,
    read_flag,
    read_integer,
    read_seconds,
)

if TYPE_CHECKING:
    from airflow_provider_veo3.emulator import Emulator

np = pytest.importorskip("numpy")


@pytest.mark.parametrize("value", [np.float64("nan"), np.str_("None"), np.float32("nan")])
def test_a_missing_value_is_refused(value: Any) -> None:
    with pytest.raises(Veo3ValidationError, match="give it a default"):
        check_rendered("prompt", value)


@pytest.mark.parametrize(
    "value", [np.int64(8), np.uint8(8), np.float32(8), np.float64(8), np.str_("8.0"), np.array(8)]
)
def test_a_whole_number_is_read(value: Any) -> None:
    number = read_integer("duration_seconds", value, range(4, 9))
    assert (number, type(number)) == (8, int)


@pytest.mark.parametrize("value", [np.bool_(True), np.array([8]), np.array([8, 8]), np.float64(8.5)])
def test_anything_else_is_no_whole_number(value: Any) -> None:
    with pytest.raises(Veo3ValidationError, match="a whole number from 4 to 8"):
        read_integer("duration_seconds", value, range(4, 9))


def test_a_flag_is_read() -> None:
    assert read_flag("generate_audio", np.bool_(True)) is True
    assert read_flag("generate_audio", np.str_("False")) is False
    for value in (np.int64(1), np.array([True, False])):
        with pytest.raises(Veo3ValidationError, match="true or false"):
            read_flag("generate_audio", value)


@pytest.mark.parametrize(
    ("value", "seconds"), [(np.int64(30), 30), (np.float32(0.5), 0.5), (np.timedelta64(30, "s"), 30.0)]
)
def test_a_length_of_time_is_read(value: Any, seconds: float) -> None:
    read = read_seconds("timeout", value)
    assert read == seconds
    assert type(read) in (int, float)


def test_texts_are_plain() -> None:
    assert type(path_text(np.str_("s3://b/k"))) is str
    check_choice("ratio", np.str_("16:9"), ("16:9",))
    with pytest.raises(Veo3ValidationError):
        check_choice("ratio", np.array(["16:9", "9:16"]), ("16:9",))


def test_numpy_options_go_through_a_dag_into_a_request(emulator: Emulator) -> None:
    from tests.support.runs import TASK, start, succeed

    options = {
        "sample_count": np.int64(1),
        "duration_seconds": np.float64(8),
        "generate_audio": np.bool_(False),
        "seed": np.uint32(7),
        "max_credits": np.int64(500),
        "timeout": np.int64(600),
        "poll_interval": np.float32(5),
        "wait_for_completion": np.bool_(False),
    }
    generation_id = succeed(start("a dragon", **options).attempt(TASK))
    (task,) = emulator.ledger()["tasks"]
    assert (task["id"], task["charged"]) == (generation_id, 120)


def test_a_sensor_with_numpy_values_is_serialized() -> None:
    from datetime import timedelta
    from decimal import Decimal

    from airflow.sdk import DAG

    from airflow_provider_veo3.sensors.generation import Veo3GenerationSensor
    from tests.support.airflow_versions import dag_serialization

    values: dict[str, Any] = {
        "poke_interval": np.int64(5),
        "timeout": Decimal(60),
        "deferrable": np.bool_(True),
    }
    with DAG("numpy_sensor") as dag:
        sensor = Veo3GenerationSensor(task_id="wait", generation_id="veo_1", **values)
        lasting: Any = timedelta(minutes=1)
        other = Veo3GenerationSensor(task_id="other", generation_id="veo_1", timeout=lasting)
    assert (sensor.poke_interval, sensor.timeout, sensor.deferrable) == (5, 60, True)
    assert (other.timeout, type(sensor.timeout), type(sensor.deferrable)) == (60, float, bool)
    assert dag_serialization().serialize_dag(dag)
