"""``@task.veo3_text_to_video``: what a function may return and be given, and what is refused."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.airflow_versions import dag_serialization
from tests.support.decorated import REFUSED, WAIT, decorated, prompts
from tests.support.waits import sent

if TYPE_CHECKING:
    from airflow_provider_veo3.emulator import Emulator


def test_airflow_knows_it_by_its_name() -> None:
    from airflow.sdk import task

    from airflow_provider_veo3.decorators.generate import veo3_text_to_video_task

    assert task.veo3_text_to_video is veo3_text_to_video_task


@pytest.mark.parametrize("options", [{}, {"deferrable": True}, {"wait_for_completion": True}, WAIT], ids=str)
def test_a_function_that_returns_text(emulator: Emulator, options: dict[str, Any]) -> None:
    run = decorated(lambda: "A lighthouse in a storm", model="veo-3.1-lite-generate-001", **options)
    (ended,) = run.finish().values()
    assert ended.state == "success", ended.error
    (made,) = emulator.ledger()["tasks"]
    assert ended.value == ended.manifest["id"] == made["id"]
    assert (made["prompt"], made["model"]) == ("A lighthouse in a storm", "veo-3.1-lite-generate-001")
    waits = options.get("wait_for_completion", False)
    assert ended.manifest["status"] == ("completed" if waits else "pending")
    assert ended.rounds == (2 if options is WAIT else 1)


def test_a_function_that_returns_options_from_arguments_and_context(emulator: Emulator) -> None:
    def describe(animal: str, *, seconds: int, params: dict[str, str], **context: Any) -> dict[str, object]:
        assert context["ti"].task_id == "describe"
        return {
            "prompt": f"{animal}, {params['weather']}",
            "duration_seconds": seconds,
            "seed": "7",
            "negative_prompt": None,
            "extra_options": {"resolution": "720p"},
        }

    from airflow.sdk import DAG, task

    from airflow_provider_veo3.operators.download import Veo3DownloadOperator
    from tests.support.task_runs import Run

    with DAG("decorated_options", params={"weather": "rain", "animal": "A hare"}) as dag:
        made = task.veo3_text_to_video(sample_count=2, seed=5)(describe)(
            "{{ params.animal }}", seconds="{{ 3 + 3 }}"
        )
        Veo3DownloadOperator(task_id="store", generation_id=made, destination="/nowhere")
    run = Run(dag)
    ended = run.attempt("describe")
    assert ended.error is None, ended.error
    (options,) = sent(emulator)
    assert options["prompt"] == "A hare, rain"
    assert (options["durationSeconds"], options["seed"], options["sampleCount"]) == (6, 7, 2)
    assert options["resolution"] == "720p"
    assert "negativePrompt" not in options
    assert ended.value == emulator.ledger()["tasks"][0]["id"], "an id, although the function returns a dict"


def test_options_of_any_kind_of_mapping_and_sequence(emulator: Emulator) -> None:
    extra = MappingProxyType({"styles": ("ink", "oil"), "weights": {"ink": 1}})
    run = decorated(lambda: MappingProxyType({"prompt": "A fox", "extra_options": extra}))
    assert run.attempt("make").error is None
    (options,) = sent(emulator)
    assert (options["styles"], options["weights"]) == (["ink", "oil"], {"ink": 1})


def test_arguments_of_any_kind(emulator: Emulator) -> None:
    endless: list[Any] = ["A fox"]
    endless.append(endless)

    def first(*given: Any) -> str:
        return str(given[0][0])

    run = decorated(first, ["A hare", {1: {"b", "a"}, "x": object(), (1, 2): b"3"}])
    assert run.attempt("make").state == "success"

    from airflow_provider_veo3.decorators._remembered import RememberedOptions

    def identity(*given: Any) -> str:
        return RememberedOptions({"ti": None}, first, given, {}, durable=True)._identity  # type: ignore[typeddict-item]

    assert identity(endless) != identity(endless, 1)
    assert identity({"a": 1, "b": 2}) == identity({"b": 2, "a": 1}) != identity({"a": 2, "b": 1})
    assert identity({1: 1, "b": 2}) != identity({1: 2, "b": 2})
    assert identity({"b", "a"}) == identity({"a", "b"}) != identity({"a"})
    assert prompts(emulator) == ["A hare"]


def test_braces_that_the_function_returns_stay(emulator: Emulator) -> None:
    text = "A sign says {{ ti.task_id }} {% raise %} {{ nonsense("

    def sign(rendered: str) -> dict[str, str]:
        assert rendered == "make"
        return {"prompt": text, "negative_prompt": "{{ ds }}"}

    # refused for now, it comes back, which renders the fields of the task once more
    emulator.inject(REFUSED)
    run = decorated(sign, "{{ ti.task_id }}", **WAIT)
    assert run.start("make").state == "deferred"
    assert run.resume("make", run.trigger("make").event).state == "deferred"
    (options,) = sent(emulator)
    assert (options["prompt"], options["negativePrompt"]) == (text, "{{ ds }}")


def test_arguments_from_another_task_are_no_templates(emulator: Emulator) -> None:
    from airflow.sdk import DAG, task

    from tests.support.task_runs import Run

    texts = ["0 {{ conn.veo3_default.password }}", "1 {{ ds }} {% if"]

    @task
    def text() -> str:
        return texts[0]

    @task
    def several() -> list[str]:
        return [texts[1]]

    def write(about: str) -> str:
        return about

    with DAG("decorated_arguments") as dag:
        task.veo3_text_to_video(task_id="one")(write)(text())
        task.veo3_text_to_video(task_id="several_mapped")(write).expand(about=several())
    Run(dag).finish()
    assert sorted(prompts(emulator)) == texts


def test_mapped_over_its_arguments(emulator: Emulator) -> None:
    from airflow.sdk import DAG, task

    from tests.support.task_runs import Run

    def write(about: str, style: str) -> str:
        return f"{about} {style}"

    @task
    def subjects() -> list[str]:
        return ["a fox", "a hare"]

    with DAG("decorated_mapped") as dag:
        make = task.veo3_text_to_video(**WAIT)(write).partial(style="{{ 'in ' ~ 'ink' }}")
        make.expand(about=subjects())
        task.veo3_text_to_video(task_id="rows")(write).expand_kwargs([{"about": "an owl", "style": "in oil"}])
    ended = Run(dag).finish()
    told = {made["id"]: made["prompt"] for made in emulator.ledger()["tasks"]}
    assert [told[ended[f"write[{index}]"].value] for index in range(2)] == ["a fox in ink", "a hare in ink"]
    assert told[ended["rows[0]"].value] == "an owl in oil"
    assert [ended[f"write[{index}]"].rounds for index in range(2)] == [2, 2]


@pytest.mark.parametrize(
    ("returned", "field", "shown", "allowed"),
    [
        (None, "write()", "None", "a prompt (text), or a mapping with 'prompt' and any of: model, sample_"),
        (5, "write()", "5", "a prompt (text)"),
        (["a", "b"], "write()", "['a', 'b']", "a prompt (text)"),
        ({}, "write()", "{}", "a mapping with 'prompt'"),
        (b"bytes", "write()", "b'bytes'", "a prompt (text)"),
        ("", "prompt", "''", "text of 1 to 1000 characters"),
        (" \n", "prompt", r"' \n'", "text of 1 to 1000 characters"),
        ("x" * 1001, "prompt", "(1001 characters)", "text of 1 to 1000 characters"),
        ({"model": "m"}, "write()['prompt']", "None", "a mapping with 'prompt'"),
        ({"prompt": None}, "prompt", "None", "text of 1 to 1000 characters"),
        ({"prompt": "x", "modle": "m"}, "write()['modle']", "'m'", "any of: model, sample_count"),
        ({"prompt": "x", "max_credits": 9}, "write()['max_credits']", "9", "any of: model, sample_count"),
        ({"prompt": "x", "veo3_conn_id": "c"}, "write()['veo3_conn_id']", "'c'", "any of: model"),
        ({"prompt": "x", 3: "c"}, "write()[3]", "'c'", "any of: model"),
        ({"prompt": "x", "duration_seconds": 30}, "duration_seconds", "30", "4 to 8"),
        ({"prompt": "x", "extra_options": {"a": {1, 2}}}, "extra_options['a']", "{1, 2}", "a JSON value"),
    ],
)
def test_a_return_that_makes_no_video_is_refused(
    emulator: Emulator, returned: Any, field: str, shown: str, allowed: str
) -> None:
    def write() -> Any:
        return returned

    ended = decorated(write).attempt("make")
    assert (ended.error_name, ended.state) == ("Veo3ValidationError", "failed")
    assert ended.error.field == field  # type: ignore[union-attr]
    assert str(ended.error).startswith(f"{field}=")
    assert shown in str(ended.error)
    assert allowed in str(ended.error)
    assert "Nothing was submitted or spent" in str(ended.error)
    assert emulator.ledger()["totals"]["requests"] == 0


def test_an_error_in_the_function_is_its_own(emulator: Emulator) -> None:
    def write() -> str:
        raise LookupError("no idea")

    ended = decorated(write).attempt("make")
    assert (ended.error_name, ended.state) == ("LookupError", "up_for_retry")
    assert emulator.ledger()["totals"]["requests"] == 0


def test_what_makes_no_sense_is_refused_when_the_dag_is_read() -> None:
    from airflow.sdk import task

    from airflow_provider_veo3.exceptions import Veo3ValidationError

    async def write() -> str:
        return "x"

    with pytest.raises(Veo3ValidationError, match=r"^prompt='x'.*the function returns it"):
        task.veo3_text_to_video(prompt="x")
    with pytest.raises(Veo3ValidationError, match=r"^multiple_outputs=True.*one generation id"):
        task.veo3_text_to_video(multiple_outputs=True)
    with pytest.raises(Veo3ValidationError, match=r"^function=.*a plain function"):
        task.veo3_text_to_video(write)()
    with pytest.raises(Veo3ValidationError, match=r"^timeout=0"):
        task.veo3_text_to_video(timeout=0, task_id="make")(lambda: "x")()


def test_it_survives_serialization_and_has_the_link() -> None:
    import json

    from airflow.sdk import DAG, task

    def write(about: str) -> str:
        return about

    with DAG("decorated_serialized") as dag:
        task.veo3_text_to_video(model="m")(write)("a fox")
        task.veo3_text_to_video(task_id="mapped", **WAIT)(write).expand(about=["a"])
    data = json.loads(json.dumps(dag_serialization().to_dict(dag)))
    dag_serialization().validate_schema(data)
    dag_serialization().from_dict(data)
    tasks = [each["__var"] for each in data["dag"]["tasks"]]
    assert {each["task_id"] for each in tasks} == {"write", "mapped"}
    for each in tasks:
        assert each["_operator_extra_links"] == {"Videos": "_link_Veo3VideosLink"}
        assert set(each["template_fields"]) >= {"op_args", "op_kwargs", "model"}
        assert "prompt" not in each["template_fields"]
