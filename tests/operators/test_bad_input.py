"""What cannot be accepted fails the task before anything is asked, and says what would be accepted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.support.connections import use_connection
from tests.support.task_runs import operators

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_provider_veo3.emulator import Emulator
    from airflow_provider_veo3.exceptions import Veo3Error

# parameter, value, what the message shows of the value, what it says is allowed
REFUSED: list[tuple[str, Any, str, str]] = [
    ("prompt", "", "''", "1 to 1000 characters"),
    ("prompt", " \t", r"' \t'", "1 to 1000 characters"),
    ("prompt", "x" * 1001, "(1001 characters)", "text of 1 to 1000 characters"),
    ("prompt", 5, "5", "1 to 1000 characters"),
    ("prompt", "None", "'None'", "a template that finds nothing renders so"),
    ("model", "null", "'null'", "a template that finds nothing renders so"),
    ("negative_prompt", "nan", "'nan'", "a template that finds nothing renders so"),
    ("sample_count", 0, "0", "1 to 2"),
    ("sample_count", 3, "3", "1 to 2"),
    ("sample_count", True, "True", "1 to 2"),
    ("sample_count", "two", "'two'", "1 to 2"),
    ("duration_seconds", 3, "3", "4 to 8"),
    ("duration_seconds", 9, "9", "4 to 8"),
    ("duration_seconds", 8.5, "8.5", "4 to 8"),
    ("duration_seconds", "None", "'None'", "4 to 8"),
    ("aspect_ratio", "1:1", "'1:1'", "16:9 or 9:16"),
    ("generate_audio", "yes", "'yes'", "true or false"),
    ("generate_audio", 1, "1", "true or false"),
    ("enhance_prompt", "None", "'None'", "true or false"),
    ("negative_prompt", "x" * 501, "(501 characters)", "1 to 500 characters"),
    ("seed", -1, "-1", "0 to 4294967295"),
    ("seed", 4294967296, "4294967296", "0 to 4294967295"),
    ("seed", "1e3", "'1e3'", "0 to 4294967295"),
    ("person_generation", "allow_all", "'allow_all'", "allow_adult or dont_allow"),
    ("extra_options", ["a"], "['a']", "a mapping"),
    ("extra_options", {"model": "x"}, "'model'", "no parameter of their own"),
    ("extra_options", {"sampleCount": 5}, "'sampleCount'", "no parameter of their own"),
    ("extra_options", "{}", "'{}'", "a mapping"),
]


def requests_made(emulator: Emulator) -> int:
    total: int = emulator.ledger()["totals"]["requests"]
    return total


def run_only(dag: Any) -> list[Any]:
    from tests.support.task_runs import Run

    return list(Run(dag).finish().values())


@pytest.mark.parametrize("by_mapping", [False, True], ids=["given", "mapped"])
def test_every_refused_value(emulator: Emulator, *, by_mapping: bool) -> None:
    from airflow.sdk import DAG

    from airflow_provider_veo3.exceptions import Veo3ValidationError

    text = operators()[0]
    with DAG(f"bad_values_{by_mapping}", default_args={"retries": 3, "prompt": "fine"}) as dag:
        for number, (field, value, _, _) in enumerate(REFUSED):
            if by_mapping:
                text.partial(task_id=f"task_{number:02d}").expand_kwargs([{field: value}])
            else:
                text(task_id=f"task_{number:02d}", **{field: value})
    ended = run_only(dag)
    assert len(ended) == len(REFUSED)
    for end in ended:
        field, value, shown, allowed = REFUSED[int(end.task_id.removeprefix("task_"))]
        assert isinstance(end.error, Veo3ValidationError), (field, value, end.error)
        assert end.state == "failed", "what cannot get better is not retried"
        assert end.error.field == field
        assert str(end.error).startswith(f"{field}=")
        assert shown in str(end.error)
        assert allowed in str(end.error)
        assert "Nothing was submitted or spent" in str(end.error)
        assert end.manifest is None
    assert requests_made(emulator) == 0


def test_bad_images(emulator: Emulator, tmp_path: Path) -> None:
    from airflow.sdk import DAG

    from airflow_provider_veo3.exceptions import Veo3ValidationError

    (tmp_path / "empty.png").touch()
    (tmp_path / "web.png").write_text("<html>not found</html>")
    with (tmp_path / "big.png").open("wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n")
        file.truncate(20 * 1024 * 1024 + 1)
    paths = {
        "missing": (str(tmp_path / "missing.png"), "that exists"),
        "empty": (str(tmp_path / "empty.png"), "this one has 0"),
        "no_image": (str(tmp_path / "web.png"), "starts with 3c 68 74 6d 6c"),
        "too_big": (f"file://{tmp_path / 'big.png'}", "this one has 20971521"),
        "folder": (str(tmp_path), "JPEG or PNG"),
        "unknown_scheme": ("nosuch://bucket/a.png", "nosuch"),
        "no_provider": ("s3://aws_default@bucket/a.png", "this package's extras s3, gcs and azure"),
        "blank": (" ", "JPEG or PNG"),
    }
    _, image_to_video, frames = operators()
    with DAG("bad_images", default_args={"retries": 3, "prompt": "fine"}) as dag:
        for name, (path, _) in paths.items():
            image_to_video(task_id=name, image=path)
        frames(task_id="last", first_frame=paths["empty"][0], last_frame=paths["missing"][0])
    for end in run_only(dag):
        path, says = paths.get(end.task_id, paths["empty"])
        assert isinstance(end.error, Veo3ValidationError), (end.task_id, end.error)
        assert end.state == "failed"
        assert end.error.field == ("first_frame" if end.task_id == "last" else "image")
        assert path.strip("'") in str(end.error)
        assert says in str(end.error)
    assert requests_made(emulator) == 0


CONNECTIONS: dict[str, tuple[dict[str, Any], str]] = {
    "no_key": ({"password": None}, "password is empty"),
    "blank_key": ({"password": "  "}, "password is empty"),
    "two_lines": ({"password": "veo3_a\r\nX-Other: b"}, "malformed (not shown)"),
    "plain_http": ({"host": "http://api.veo3gen.co"}, "plain http only to this machine"),
    "plain_http_by_schema": ({"host": "api.veo3gen.co", "schema": "http"}, "plain http only to this machine"),
    "ftp": ({"host": "ftp://api.veo3gen.co"}, "a host such as"),
    "path": ({"host": "https://api.veo3gen.co/api/veo"}, "without a path"),
    "timeout": ({"extra": {"request_timeout": 0}}, "a number from 1 to 600"),
    "rate": ({"extra": {"requests_per_minute": "many"}}, "a number from 1 to 100000"),
}


def test_connections_that_cannot_be_used(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow.sdk import DAG

    from airflow_provider_veo3.sensors.generation import Veo3GenerationSensor

    with DAG("bad_connections", default_args={"retries": 3}) as dag:
        for name, (fields, _) in CONNECTIONS.items():
            use_connection(monkeypatch, emulator, name, **fields)
            operators()[0](task_id=f"submit_{name}", prompt="fine", veo3_conn_id=name)
            Veo3GenerationSensor(task_id=f"sense_{name}", generation_id="veo_1_a", veo3_conn_id=name)
    ended = run_only(dag)
    assert len(ended) == 2 * len(CONNECTIONS)
    for end in ended:
        name = end.task_id.partition("_")[2]
        assert end.error_name == "Veo3ConnectionConfigError", (name, end.error)
        assert end.state == "failed"
        assert repr(name) in str(end.error)
        assert CONNECTIONS[name][1] in str(end.error)
        assert "X-Other" not in str(end.error)
    assert requests_made(emulator) == 0


def test_a_connection_that_is_missing(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """A named one is an error even where the environment has a key; for the default one the key serves."""
    from airflow.sdk import DAG

    monkeypatch.delenv("AIRFLOW_CONN_VEO3_DEFAULT")
    with DAG("missing_connections", default_args={"retries": 3, "prompt": "fine"}) as dag:
        operators()[0](task_id="default")
        operators()[0](task_id="named", veo3_conn_id="veo3_somebody_named")
    first = {end.task_id: end for end in run_only(dag)}
    monkeypatch.setenv("VEO3_API_KEY", emulator.api_key)
    monkeypatch.setenv("VEO3_BASE_URL", emulator.base_url)
    second = {end.task_id: end for end in run_only(dag)}
    for end in (first["default"], first["named"], second["named"]):
        assert end.error_name == "AirflowNotFoundException"
        assert "is not defined" in str(end.error)
        assert "VEO3_API_KEY" in str(end.error)
    assert second["default"].state == "success"
    assert emulator.ledger()["totals"]["accepted"] == 1


@pytest.mark.parametrize("mode", ["poke", "reschedule", "deferrable"])
@pytest.mark.parametrize("value", [None, "", "None", "a\tb", "x" * 513, ["veo_1_a"], 7.5])
def test_the_sensor_refuses_what_cannot_be_an_id(emulator: Emulator, mode: str, value: Any) -> None:
    from airflow.sdk import DAG

    from airflow_provider_veo3.sensors.generation import Veo3GenerationSensor

    with DAG("bad_ids", default_args={"retries": 3}) as dag:
        Veo3GenerationSensor(
            task_id="sense",
            generation_id=value,
            deferrable=mode == "deferrable",
            mode="poke" if mode == "deferrable" else mode,
        )
    (end,) = run_only(dag)
    assert (end.error_name, end.state) == ("Veo3ValidationError", "failed")
    assert "generation_id=" in str(end.error)
    allowed = ".expand(generation_id=" if isinstance(value, list) else "veo_1703123456789_abc123def"
    assert allowed in str(end.error)
    assert requests_made(emulator) == 0


@pytest.mark.parametrize("field", ["timeout", "poll_interval"])
@pytest.mark.parametrize("value", [0, -1, "10", True, float("nan"), float("inf")])
def test_seconds_that_make_no_sense_are_refused_when_the_dag_is_read(field: str, value: Any) -> None:
    from airflow_provider_veo3.exceptions import Veo3ValidationError

    refused: pytest.ExceptionInfo[Veo3Error]
    with pytest.raises(Veo3ValidationError, match=f"^{field}=.*a number of seconds above 0") as refused:
        operators()[0](task_id="task", prompt="fine", **{field: value})
    assert refused.value.field == field


def test_a_wait_without_end_is_refused_when_the_dag_is_read() -> None:
    from airflow_provider_veo3.exceptions import Veo3ValidationError

    with pytest.raises(Veo3ValidationError, match=r"^timeout=None .*a number of seconds above 0"):
        operators()[0](task_id="task", prompt="fine", timeout=None)


@pytest.mark.parametrize("value", [None, 0, "300"])
def test_an_interval_at_which_nobody_can_watch_is_refused_when_the_dag_is_read(value: Any) -> None:
    from airflow_provider_veo3.exceptions import Veo3ValidationError
    from airflow_provider_veo3.triggers.completed import Veo3CompletedGenerationsTrigger

    with pytest.raises(Veo3ValidationError, match=r"^poll_interval=.*a number of seconds above 0"):
        Veo3CompletedGenerationsTrigger(poll_interval=value)


def test_a_template_in_foreign_text_does_not_send_the_key_away(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.sdk import DAG, task

    from airflow_provider_veo3.exceptions import Veo3ValidationError

    key = "veo3_MARKEDmarkedMARKEDmarked0123"
    emulator.add_key(key, credits=1000)
    use_connection(monkeypatch, emulator, password=key)
    with DAG("foreign_text", default_args={"retries": 3}) as dag:

        @task
        def rows() -> list[dict[str, Any]]:
            return [
                {"prompt": "A sign: {{ conn.veo3_default.password }}"},
                {"prompt": "A sign", "extra_options": {"notes": ["{{ conn.veo3_default.password }}"]}},
                # what would be refused, and shown, for another reason
                {"prompt": "{{ conn.veo3_default.password }}" * 40},
                {"prompt": "A sign", "aspect_ratio": "{{ conn.veo3_default.password }}"},
                {"prompt": "A sign", "extra_options": "{{ conn.veo3_default.password }}"},
                {"prompt": "A sign", "max_credits": "{{ conn.veo3_default.password }}"},
            ]

        operators()[0].partial(task_id="make").expand_kwargs(rows())
    before = requests_made(emulator)
    made = [end for end in run_only(dag) if end.task_id == "make"]
    fields = ("prompt", "extra_options", "prompt", "aspect_ratio", "extra_options", "max_credits")
    for end, field in zip(made, fields, strict=True):
        assert isinstance(end.error, Veo3ValidationError)
        assert (end.state, end.error.field) == ("failed", field)
        assert key not in str(end.error)
    assert requests_made(emulator) == before
