"""Every option arrives, however it is given: mapped, templated, by default, from another task."""

from __future__ import annotations

import dataclasses
import inspect
import json
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_veo3.api.request import GenerationRequest
from tests.support.task_runs import operators
from tests.support.task_runs import run_to_success as run
from tests.support.waits import sent

if TYPE_CHECKING:
    from airflow_provider_veo3.emulator import Emulator

OPTIONS: dict[str, Any] = {
    "prompt": "A lighthouse in a storm",
    "model": "veo-3.1-generate-001",
    "sample_count": 2,
    "duration_seconds": 6,
    "aspect_ratio": "9:16",
    "generate_audio": False,
    "enhance_prompt": False,
    "negative_prompt": "people",
    "seed": 4294967295,
    "person_generation": "dont_allow",
    "extra_options": {"resolution": "720p"},
}
AS_TEXT = {name: str(value) for name, value in OPTIONS.items() if name != "extra_options"}
SENT = {
    "prompt": "A lighthouse in a storm",
    "model": "veo-3.1-generate-001",
    "sampleCount": 2,
    "durationSeconds": 6,
    "aspectRatio": "9:16",
    "generateAudio": False,
    "enhancePrompt": False,
    "negativePrompt": "people",
    "seed": 4294967295,
    "personGeneration": "dont_allow",
    "resolution": "720p",
}
SENT_AS_FORM = {
    name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in SENT.items()
}


@pytest.fixture
def images(pictures: dict[str, str]) -> dict[str, dict[str, str]]:
    return {
        "Veo3TextToVideoOperator": {},
        "Veo3ImageToVideoOperator": {"image": pictures["first"]},
        "Veo3FirstLastFrameOperator": {"first_frame": pictures["first"], "last_frame": pictures["last"]},
    }


def test_every_documented_option_is_a_template_field_and_documented() -> None:
    for operator in operators():
        taken = inspect.signature(operators()[0]).parameters.keys()
        assert set(OPTIONS) <= set(taken)
        more = {*operator.image_fields, "max_credits", "veo3_conn_id"}
        assert {*OPTIONS, *more} == set(operator.template_fields)
        assert isinstance(operator.template_fields, tuple)
        documented = (operators()[0].__doc__ or "") + (operator.__doc__ or "")
        own = set(inspect.signature(operator).parameters) - {"kwargs"}
        for name in {*taken, *own} - {"kwargs"}:
            assert f":param {name}:" in documented


def test_manifest_and_description_have_every_option_of_the_request(
    emulator: Emulator, tmp_path: Path
) -> None:
    from airflow.sdk import DAG

    from airflow_provider_veo3.operators.download import Veo3DownloadOperator

    with DAG("options_described") as dag:
        made = operators()[0](
            task_id="make", wait_for_completion=True, deferrable=True, poll_interval=0.01, **OPTIONS
        )
        Veo3DownloadOperator(
            task_id="store", generation_id=made.output, destination=str(tmp_path), sidecar=True
        )
    manifest = run(dag)["make"].manifest
    fields = {field.name for field in dataclasses.fields(GenerationRequest)} - {"type", "images"}
    expected = {name: OPTIONS[name] for name in fields}
    expected["samples_expected"] = expected.pop("sample_count")
    descriptions = [json.loads(file.read_text()) for file in tmp_path.glob("*.json")]
    assert len(descriptions) == 2
    for description in (manifest, *descriptions):
        assert {name: description.get(name) for name in expected} == expected


def test_options_given_plainly(emulator: Emulator, images: dict[str, dict[str, str]]) -> None:
    from airflow.sdk import DAG

    with DAG("options_plain") as dag:
        for operator in operators():
            operator(task_id=operator.__name__, **images[operator.__name__], **OPTIONS)
    run(dag)
    by_type = {task["type"]: task["options"] for task in emulator.ledger()["tasks"]}
    assert by_type["text-to-video"] == SENT
    assert by_type["image-to-video"] == by_type["first-last-frame"] == SENT_AS_FORM


@pytest.mark.parametrize("options", [OPTIONS, AS_TEXT], ids=["typed", "as text"])
def test_options_mapped_one_by_one(
    emulator: Emulator, images: dict[str, dict[str, str]], options: dict[str, Any]
) -> None:
    """Each option once by ``partial`` and once by ``expand``, for each operator."""
    from airflow.sdk import DAG

    names = list(options)
    with DAG(f"options_mapped_{'text' if options is AS_TEXT else 'typed'}") as dag:
        for operator in operators():
            for group, chosen in enumerate((names[0::2], names[1::2])):
                given = {**options, **images[operator.__name__]}
                expanded = {name: [given.pop(name)] for name in chosen}
                operator.partial(task_id=f"{operator.__name__}_{group}", **given).expand(**expanded)
    run(dag)
    wanted = {**SENT, "resolution": "720p"} if "extra_options" in options else {**SENT}
    for task in emulator.ledger()["tasks"]:
        expected = SENT if task["type"] == "text-to-video" else SENT_AS_FORM
        assert task["options"] == {name: expected[name] for name in wanted if name in task["options"]}
        assert len(task["options"]) == len(options)
    assert len(sent(emulator)) == 6


def test_options_mapped_by_rows_of_text(emulator: Emulator, images: dict[str, dict[str, str]]) -> None:
    """As a CSV file gives them: text, with empty cells in optional columns."""
    from airflow.sdk import DAG

    rows = [AS_TEXT, {**AS_TEXT, "prompt": "Another", "negative_prompt": "", "generate_audio": "TRUE"}]
    with DAG("options_rows") as dag:
        for operator in operators():
            operator.partial(task_id=operator.__name__, **images[operator.__name__]).expand_kwargs(rows)
    ended = run(dag)
    assert len(sent(emulator)) == 6
    for operator in operators():
        values = [ended[f"{operator.__name__}[{index}]"].value for index in range(2)]
        tasks = {task["id"]: task for task in emulator.ledger()["tasks"]}
        assert tasks[values[0]]["prompt"] == AS_TEXT["prompt"]
        assert tasks[values[1]]["prompt"] == "Another"
        assert "negativePrompt" not in tasks[values[1]]["options"]
        assert str(tasks[values[1]]["options"]["generateAudio"]).lower() == "true"


@pytest.mark.parametrize("native", [False, True])
def test_options_from_templates(
    emulator: Emulator, images: dict[str, dict[str, str]], pictures: dict[str, str], *, native: bool
) -> None:
    from airflow.sdk import DAG

    names = [name for name in OPTIONS if name != "extra_options"]
    templates = {name: f"{{{{ dag_run.conf['{name}'] }}}}" for name in names}
    with DAG(f"options_templates_{native}", render_template_as_native_obj=native) as dag:
        for operator in operators():
            templated_images = {
                name: "{{ dag_run.conf['pictures'] }}/" + Path(path).name
                for name, path in images[operator.__name__].items()
            }
            operator(
                task_id=operator.__name__,
                **templates,
                **templated_images,
                extra_options={"resolution": "{{ dag_run.conf['resolution'] }}"},
                veo3_conn_id="{{ 'veo3_' ~ 'default' }}",
            )
    folder = str(Path(pictures["first"]).parent)
    run(dag, {**OPTIONS, "resolution": "720p", "pictures": folder})
    by_type = {task["type"]: task["options"] for task in emulator.ledger()["tasks"]}
    assert by_type["text-to-video"] == SENT
    assert by_type["image-to-video"] == by_type["first-last-frame"] == SENT_AS_FORM


def test_default_args_reach_every_parameter(
    emulator: Emulator, images: dict[str, dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.sdk import DAG

    from airflow_provider_veo3.sensors.generation import Veo3GenerationSensor
    from tests.support.connections import use_connection

    use_connection(monkeypatch, emulator, "elsewhere")
    monkeypatch.delenv("AIRFLOW_CONN_VEO3_DEFAULT")
    pictures = {name: path for each in images.values() for name, path in each.items()}
    waiting = {
        "veo3_conn_id": "elsewhere",
        "wait_for_completion": True,
        "deferrable": True,
        "poll_interval": 0.01,
        "poke_interval": timedelta(seconds=0.01),
        "timeout": 77.0,
        "durable": False,
        "max_credits": 500 * 2,
        "on_ambiguous_submission": "adopt_newest",
    }
    with DAG("options_default_args", default_args={**OPTIONS, **pictures, **waiting}) as dag:
        for operator in operators():
            operator(task_id=operator.__name__)
        operators()[1].partial(task_id="mapped").expand(prompt=["A lighthouse in a storm"])
        sensor = Veo3GenerationSensor(
            task_id="sensor", generation_id=dag.get_task("Veo3TextToVideoOperator").output
        )
    for operator in operators():
        task = dag.get_task(operator.__name__)
        for name, value in {**OPTIONS, **waiting, **images[operator.__name__]}.items():
            if name != "poke_interval":
                assert getattr(task, name) == value
    assert (sensor.timeout, sensor.poke_interval, sensor.deferrable) == (77.0, 0.01, True)
    ended = run(dag)
    assert len(ended["Veo3ImageToVideoOperator"].triggers) == len(ended["mapped[0]"].triggers) == 1
    assert ended["sensor"].value == ended["Veo3TextToVideoOperator"].value
    assert all(task["options"]["model"] == OPTIONS["model"] for task in emulator.ledger()["tasks"])


def test_no_option_but_the_prompt_is_needed(emulator: Emulator) -> None:
    from airflow.sdk import DAG

    with DAG("options_least") as dag:
        operators()[0](task_id="submit", prompt="A lighthouse")
    run(dag)
    (options,) = sent(emulator)
    assert options["model"] == "veo-3.1-fast-generate-001"
    assert "seed" not in options
    assert "negativePrompt" not in options


def test_text_from_another_task_is_no_template(emulator: Emulator) -> None:
    from airflow.sdk import DAG, task, task_group

    texts = [f"{number} {{{{ conn.veo3_default.password }}}} {{% if" for number in range(3)]

    @task
    def text() -> str:
        return texts[0]

    @task
    def several() -> list[str]:
        return [texts[1]]

    @task
    def rows() -> list[dict[str, str]]:
        return [{"prompt": texts[2]}]

    make = operators()[0]

    @task_group
    def video(prompt: str) -> None:
        make(task_id="make", prompt=prompt)

    with DAG("no_templates") as dag:
        make(task_id="one", prompt=text())
        make.partial(task_id="several_mapped").expand(prompt=several())
        video.expand_kwargs(rows())
    run(dag)
    assert sorted(options["prompt"] for options in sent(emulator)) == texts
