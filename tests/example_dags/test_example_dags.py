"""Example DAGs, loaded as Airflow loads them and run with ``dag.test()`` against the emulator."""

from __future__ import annotations

import csv
import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_veo3.emulator import Emulator, Settings
from testbed.video_file import VideoFile, decode_video
from tests.support.airflow_versions import AIRFLOW, read_dags

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow.models.dagrun import DagRun
    from airflow.sdk import DAG

EXAMPLES = Path(__file__).resolve().parents[2] / "example_dags"
UNDEFINED = {"example_veo3_review"} if AIRFLOW < (3, 1) else set[str]()
"""Examples whose file defines no DAG on this Airflow."""

CREDITS = 10_000
FAST, FAST_SILENT = 190, 120
"""Credits of a video of the default model, with and without sound."""


@pytest.fixture
def emulator(monkeypatch: pytest.MonkeyPatch) -> Iterator[Emulator]:
    """Emulator behind the connection ``veo3_default``."""
    settings = Settings(
        credits=CREDITS, processing_seconds=0.5, pending_seconds=0.1, height=90, requests_per_minute=None
    )
    with Emulator(settings) as emulator:
        connection = {"conn_type": "veo3", "host": emulator.base_url, "password": emulator.api_key}
        monkeypatch.setenv("AIRFLOW_CONN_VEO3_DEFAULT", json.dumps(connection))
        yield emulator


@pytest.fixture
def dags(airflow_bundles: None) -> dict[str, DAG]:
    """Example DAGs with a short poll interval."""
    dags = read_dags(EXAMPLES)
    for dag in dags.values():
        for task in dag.tasks:
            for name in ("poll_interval", "poke_interval"):
                if hasattr(task, name):
                    setattr(task, name, 0.25)
    return dags


def run(dag: DAG, destination: Path, **conf: str) -> DagRun:
    """Run a DAG to its end, and check that it succeeds."""
    done = dag.test(run_conf={"destination": f"file://{destination}", **conf})
    states = {f"{ti.task_id}[{ti.map_index}]": ti.state for ti in done.get_task_instances()}
    assert done.state == "success", states
    assert set(states.values()) == {"success"}, states
    return done


def xcom(done: DagRun, task_id: str, key: str = "return_value", map_index: int = -1) -> Any:
    ti = done.get_task_instance(task_id, map_index=map_index)
    assert ti is not None
    return ti.xcom_pull(task_ids=task_id, key=key, map_indexes=map_index)


def check_stored(stored: dict[str, Any], generation_id: str, destination: Path) -> VideoFile:
    """Check an entry of a download's result against the file, and return the decoded video."""
    from hashlib import sha256

    known = {"samples", "samples_expected", "prompt", "map_index"}
    assert set(stored) == {"generation_id", "index", "uri", "size", "sha256", "mime_type"} | known
    assert stored["generation_id"] == generation_id
    assert stored["mime_type"] == "video/mp4"
    path = Path(stored["uri"].removeprefix("file://"))
    assert path == destination / f"{generation_id}_{stored['index']}.mp4"
    assert path.stat().st_size == stored["size"]
    assert sha256(path.read_bytes()).hexdigest() == stored["sha256"]
    video = decode_video(path)
    assert video.codec == "h264"
    return video


def check_ledger(emulator: Emulator, *charges: int) -> list[dict[str, Any]]:
    """Check that exactly these charges were made and nothing was refunded; return the generations."""
    ledger = emulator.ledger()
    assert Counter(task["charged"] for task in ledger["tasks"]) == Counter(charges)
    assert ledger["totals"]["refunded"] == 0
    assert ledger["totals"]["completed"] == ledger["totals"]["fetched_files"] == len(charges)
    assert [account["credits"] for account in ledger["accounts"]] == [CREDITS - sum(charges)]
    assert ledger["api_key_leaks"] == []
    tasks: list[dict[str, Any]] = ledger["tasks"]
    return tasks


def test_the_dag_files_load_without_warnings(airflow_db: None) -> None:
    dags = read_dags(EXAMPLES)
    assert set(dags) == {path.stem for path in EXAMPLES.glob("*.py")} - UNDEFINED
    for dag in dags.values():
        assert {"veo3", "example"} <= set(dag.tags)
        # the only DAG with a schedule spends nothing, and is paused at first
        assert dag.timetable.can_be_scheduled is (dag.dag_id == "example_veo3_recover")
        assert dag.catchup is False
        assert dag.doc_md is not None
        assert "credits" in dag.doc_md
        assert all(getattr(task, "deferrable", True) for task in dag.tasks)


def test_quickstart(dags: dict[str, DAG], emulator: Emulator, tmp_path: Path) -> None:
    done = run(dags["example_veo3_quickstart"], tmp_path, prompt="A paper boat in a gutter, after rain")
    (accepted,) = check_ledger(emulator, FAST)
    assert accepted["type"] == "text-to-video"
    assert accepted["model"] == "veo-3.1-fast-generate-001"
    assert accepted["prompt"] == "A paper boat in a gutter, after rain"

    generation_id = xcom(done, "submit")
    assert generation_id == xcom(done, "wait") == accepted["id"]
    submitted, waited = xcom(done, "submit", "generation"), xcom(done, "wait", "generation")
    assert submitted["credits_used"] == waited["credits_used"] == FAST
    assert submitted["credits_remaining"] == CREDITS - FAST
    assert waited["status"] == "completed"

    (stored,) = xcom(done, "download")
    video = check_stored(stored, generation_id, tmp_path)
    assert video.seconds == 8
    assert video.width * 9 == video.height * 16
    assert video.audio


def test_quickstart_with_another_model_and_a_destination_with_spaces(
    dags: dict[str, DAG], emulator: Emulator, tmp_path: Path
) -> None:
    folder = tmp_path / "my videos"
    done = run(dags["example_veo3_quickstart"], folder, model="veo-3.1-lite-generate-001")
    check_ledger(emulator, 65)
    (stored,) = xcom(done, "download")
    check_stored(stored, xcom(done, "submit"), folder)


def test_quickstart_submits_nothing_above_its_limit(
    dags: dict[str, DAG], emulator: Emulator, tmp_path: Path
) -> None:
    conf = {"destination": f"file://{tmp_path}", "max_credits": FAST - 1}
    done = dags["example_veo3_quickstart"].test(run_conf=conf)
    states = {ti.task_id: ti.state for ti in done.get_task_instances()}
    assert states == {"submit": "failed", "wait": "upstream_failed", "download": "upstream_failed"}
    assert emulator.ledger()["totals"]["accepted"] == 0


def test_image_to_video(dags: dict[str, DAG], emulator: Emulator, tmp_path: Path) -> None:
    done = run(dags["example_veo3_image_to_video"], tmp_path)
    (accepted,) = check_ledger(emulator, FAST)
    assert accepted["type"] == "image-to-video"
    (image,) = accepted["images"]
    assert image["size"] == (EXAMPLES / "inputs" / "balloons.jpg").stat().st_size
    assert image["mime_type"] == "image/jpeg"
    assert xcom(done, "animate", "generation")["status"] == "completed"
    (stored,) = xcom(done, "download")
    assert check_stored(stored, accepted["id"], tmp_path).seconds == 8


def test_first_last_frame(dags: dict[str, DAG], emulator: Emulator, tmp_path: Path) -> None:
    done = run(dags["example_veo3_first_last_frame"], tmp_path)
    (accepted,) = check_ledger(emulator, FAST_SILENT)
    assert accepted["type"] == "first-last-frame"
    sizes = [(EXAMPLES / "inputs" / f"lake_at_{time}.png").stat().st_size for time in ("sunrise", "night")]
    assert [image["size"] for image in accepted["images"]] == sizes
    (stored,) = xcom(done, "download")
    video = check_stored(stored, accepted["id"], tmp_path)
    assert video.seconds == 6
    assert not video.audio


def test_recover(dags: dict[str, DAG], emulator: Emulator, tmp_path: Path) -> None:
    from airflow_provider_veo3.hooks.veo3 import Veo3Hook

    dag = dags["example_veo3_recover"]
    assert (dag.max_active_runs, dag.is_paused_upon_creation) == (1, True)
    assert dag.schedule == "0 */6 * * *"
    done = run(dag, tmp_path)
    assert (xcom(done, "list"), xcom(done, "store", map_index=0)) == ([], []), (
        "an account without generations"
    )

    hook = Veo3Hook()
    emulator.configure(processing_seconds=3600)
    unstored = [hook.text_to_video(f"A boat, {count} of them", sample_count=count).id for count in (1, 2)]
    hook.text_to_video("Still running")
    for generation_id in unstored:
        emulator.force(generation_id, "complete")
    done = run(dag, tmp_path)
    assert xcom(done, "list") == unstored
    stored = xcom(done, "store", map_index=0)
    assert [(video["generation_id"], video["index"]) for video in stored] == [
        (unstored[0], 0),
        (unstored[1], 0),
        (unstored[1], 1),
    ]
    for video in stored:
        check_stored(video, video["generation_id"], tmp_path)

    written = {path: path.stat().st_mtime_ns for path in tmp_path.glob("*.mp4")}
    assert len(written) == 3
    assert xcom(run(dag, tmp_path), "store", map_index=0) == stored
    assert {path: path.stat().st_mtime_ns for path in tmp_path.glob("*.mp4")} == written, (
        "stored files must be skipped"
    )
    ledger = emulator.ledger()
    assert len(ledger["tasks"]) == 3, "the DAG must submit nothing"


def test_recover_leaves_a_video_where_a_review_has_moved_it(
    dags: dict[str, DAG], emulator: Emulator, tmp_path: Path
) -> None:
    from airflow_provider_veo3.hooks.veo3 import Veo3Hook

    hook = Veo3Hook()
    kept = {
        folder: hook.text_to_video(f"A boat, {folder}", sample_count=2).id
        for folder in ("review", "published", "rejected", "")
    }
    for generation_id in kept.values():
        emulator.force(generation_id, "complete")
    run(dags["example_veo3_recover"], tmp_path)
    for folder, generation_id in kept.items():
        (tmp_path / folder).mkdir(exist_ok=True)
        for index in range(2):
            name = f"{generation_id}_{index}.mp4"
            (tmp_path / name).rename(tmp_path / folder / name)
    (tmp_path / "review" / f"{kept['review']}_1.mp4").unlink()
    untouched = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.mp4")}
    assert len(untouched) == 7
    done = run(dags["example_veo3_recover"], tmp_path)
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.mp4")) == sorted(
        str(Path(folder, f"{generation_id}_{index}.mp4"))
        for folder, generation_id in kept.items()
        for index in range(2)
    )
    assert [len(xcom(done, "store", map_index=index)) for index in range(4)] == [2] * 4
    assert {path: path.stat().st_mtime_ns for path in untouched} == untouched


def test_recover_is_not_retried_if_a_generation_has_no_file(
    dags: dict[str, DAG], emulator: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow_provider_veo3.hooks.veo3 import Veo3Hook
    from airflow_provider_veo3.operators.download import Veo3DownloadOperator
    from tests.support.clock import FakeClock
    from tests.support.store_rig import ImpatientClock

    # the two minutes in which files may lag behind the completion
    monkeypatch.setattr(Veo3DownloadOperator, "_new_clock", lambda _: ImpatientClock())
    monkeypatch.setattr(Veo3Hook, "clock", FakeClock())
    hook = Veo3Hook()
    emulator.inject({"kind": "no_videos", "prompt_contains": "nothing"})
    generation_ids = [
        hook.text_to_video(prompt).id for prompt in ("A boat", "Like nothing before", "A bridge")
    ]
    for generation_id in generation_ids:
        emulator.force(generation_id, "complete")
    dag = dags["example_veo3_recover"]
    assert dag.get_task("store").retries == 0  # a retry would request all links again
    done = dag.test(run_conf={"destination": f"file://{tmp_path}"})
    ends = {ti.task_id: (ti.state, ti.try_number) for ti in done.get_task_instances()}
    assert ends == {"list": ("success", 1), "places": ("success", 1), "store": ("failed", 1)}
    assert len(list(tmp_path.glob("*.mp4"))) == 2
    assert emulator.ledger()["requests"]["download"]["200"] == 2


def test_campaign(dags: dict[str, DAG], emulator: Emulator, tmp_path: Path) -> None:
    with (EXAMPLES / "inputs" / "prompts.csv").open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    assert len(lines) >= 6
    done = run(dags["example_veo3_campaign"], tmp_path)
    accepted = {task["id"]: task for task in check_ledger(emulator, *[FAST] * len(lines))}

    for index, line in enumerate(lines):
        generation_id = xcom(done, "video.generate", map_index=index)
        assert accepted[generation_id]["prompt"] == line["prompt"]
        (stored,) = xcom(done, "video.download", map_index=index)
        video = check_stored(stored, generation_id, tmp_path)
        assert video.seconds == int(line["duration_seconds"])
        across, down = map(int, line["aspect_ratio"].split(":"))
        assert video.width * down == video.height * across
        sent = accepted[generation_id]["options"]
        assert sent.get("seed") == (int(line["seed"]) if line["seed"] else None)
        assert sent.get("negativePrompt") == (line["negative_prompt"] or None)
        names = [
            done.get_task_instance(f"video.{task}", map_index=index).rendered_map_index
            for task in ("generate", "download")
        ]
        assert names == [line["prompt"][:60], generation_id]
    assert len(list(tmp_path.glob("*.mp4"))) == len(lines)


def test_campaign_with_a_list_that_excel_wrote(
    dags: dict[str, DAG], emulator: Emulator, tmp_path: Path
) -> None:
    prompts = tmp_path / "mine.csv"
    prompts.write_text(
        "\ufeffprompt;duration_seconds;seed\r\nA lighthouse, in a storm;;7\r\n;;\r\n\r\n", encoding="utf-8"
    )
    model = "veo-3.1-lite-generate-001"
    done = run(dags["example_veo3_campaign"], tmp_path, prompts=str(prompts), model=model)
    (accepted,) = check_ledger(emulator, 65)
    assert accepted["prompt"] == "A lighthouse, in a storm"
    assert accepted["options"]["seed"] == 7
    (stored,) = xcom(done, "video.download", map_index=0)
    video = check_stored(stored, accepted["id"], tmp_path)
    assert (video.seconds, video.width * 9) == (8, video.height * 16)


def test_a_campaign_with_a_line_that_no_task_would_accept_costs_nothing(
    dags: dict[str, DAG], emulator: Emulator, tmp_path: Path
) -> None:
    from tests.support.task_runs import Run

    prompts = tmp_path / "mine.csv"
    prompts.write_text("prompt,seed\nA lighthouse,1\nA hare,one\n", encoding="utf-8")
    run = Run(dags["example_veo3_campaign"], {"prompts": str(prompts), "destination": str(tmp_path)})
    ended = run.finish()
    assert ended["read_prompts"].state == "failed"  # at once, without its retries
    assert f"{prompts} line 3: seed='one' is not acceptable" in str(ended["read_prompts"].error)
    assert emulator.ledger()["totals"]["requests"] == 0


def test_the_examples_list_the_models_and_prices_of_the_api(dags: dict[str, DAG], emulator: Emulator) -> None:
    from airflow_provider_veo3.hooks.veo3 import Veo3Hook

    prices = {model.id: model.credits_per_video for model in Veo3Hook().list_models()}
    with_model = [dag for dag in dags.values() if "model" in dag.params]
    assert len(with_model) == 3
    for dag in with_model:
        param = dag.params.get_param("model")
        assert set(param.schema["enum"]) == set(prices)
        for model, price in prices.items():
            assert f"{model} {price}" in (param.description or "")


def test_prompts_in_a_form_have_the_length_of_the_api(dags: dict[str, DAG]) -> None:
    prompts = [dag.params.get_param("prompt") for dag in dags.values() if "prompt" in dag.params]
    assert len(prompts) == 4 - len(UNDEFINED)
    assert {(param.schema["minLength"], param.schema["maxLength"]) for param in prompts} == {(1, 1000)}


def test_tasks_that_submit_or_wait_have_retries(dags: dict[str, DAG]) -> None:
    tasks = [task for dag in dags.values() for task in dag.tasks if hasattr(task, "deferrable")]
    assert len(tasks) > 4
    assert [task.task_id for task in tasks if task.retries < 1] == []
