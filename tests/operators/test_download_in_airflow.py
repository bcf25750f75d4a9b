"""The download operator through Airflow, against an emulator that behaves as the vendor does not document."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_veo3.emulator import Fault
from tests.support.clock import FakeClock
from tests.support.task_runs import operators

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_veo3.emulator import Emulator
    from airflow_provider_veo3.storage.transfer import StoppableClock
    from tests.support.task_runs import Ended

PROMPT = "A tide pool"


@pytest.fixture
def store(emulator: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Function that makes a download task, whose pauses take no time here but go by in the emulator."""
    from airflow_provider_veo3.hooks.veo3 import Veo3Hook
    from airflow_provider_veo3.operators.download import Veo3DownloadOperator
    from tests.support.store_rig import ImpatientClock

    class EmulatorsClock(ImpatientClock):
        def pause(self, seconds: float) -> None:
            if seconds:
                emulator.advance(seconds)
            super().pause(seconds)

    class Download(Veo3DownloadOperator):
        def _new_clock(self) -> StoppableClock:
            return EmulatorsClock()

    monkeypatch.setattr(Veo3Hook, "clock", FakeClock())

    def make(generation_id: Any, task_id: str = "store", **parameters: Any) -> Any:
        given = {"task_id": task_id, "destination": str(tmp_path / "videos"), **parameters}
        return Download(generation_id=generation_id, **given)

    make.mapped = lambda **parameters: Download.partial(task_id="store", **parameters)  # type: ignore[attr-defined]
    return make


def run(name: str, tasks: Callable[[], Any], **options: Any) -> dict[str, Ended]:
    """Run a DAG once."""
    from airflow.sdk import DAG

    from tests.support.task_runs import Run

    with DAG(f"download_{name}") as dag:
        tasks()
    return Run(dag, **options).finish()


def generate(samples: int = 1, task_id: str = "make", **parameters: Any) -> Any:
    return operators()[0](
        task_id=task_id,
        **{
            "prompt": PROMPT,
            "sample_count": samples,
            "wait_for_completion": True,
            "deferrable": False,
            "poll_interval": 0.01,
            **parameters,
        },
    ).output


def files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def file_requests(emulator: Emulator) -> list[dict[str, Any]]:
    return [each for each in emulator.ledger()["recent_requests"] if each["endpoint"] in ("download", "file")]


@pytest.fixture
def cwd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, which is empty."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("destination", "{{ dag_run.conf.get('folder') }}"),
        ("destination", "videos/{{ dag_run.conf.get('folder') }}/x"),
        ("destination", "videos/{{ dag_run.conf.get('folder', '') }}/x"),
        ("destination", "{{ ti.xcom_pull(task_ids='make', key='nothing') }}"),
        ("destination", "file:///videos/{{ params.folder }}/"),
        ("filename", "{{ dag_run.conf.get('name') }}.mp4"),
        ("filename", "{{ dag_run.conf.get('name') }}/{generation_id}.mp4"),
    ],
)
def test_a_template_that_renders_to_nothing_stores_nothing_anywhere(
    field: str, value: str, emulator: Emulator, store: Callable[..., Any], cwd: Path
) -> None:
    ended = run(
        "nothing",
        lambda: store(generate(), **{field: value}, params={"folder": None}, retries=3),
        conf={"another": 1},
    )["store"]
    assert (ended.error_name, ended.state) == ("Veo3ValidationError", "failed")
    assert f"{field}=" in str(ended.error)
    assert "a template that finds nothing renders so" in str(ended.error)
    assert files(cwd) == []
    assert file_requests(emulator) == []


@pytest.mark.parametrize(
    "case",
    [
        ("filename", "{{ run_id }}_{generation_id}.mp4", "ts_nodash"),
        ("destination", "~/videos", "'~' is not expanded"),
        ("destination", "$HOME/videos", "variable of the shell"),
        ("destination", "videos/{{ '..' }}/../x", "leads to another folder"),
        ("filename", "x" * 300 + "{generation_id}.mp4", "too long"),
        ("destination", "y" * 5000, "too long"),
    ],
)
def test_a_path_that_cannot_be_meant_is_refused_for_good_with_the_reason(
    case: tuple[str, str, str], emulator: Emulator, store: Callable[..., Any], cwd: Path
) -> None:
    field, value, reason = case
    ended = run("refused", lambda: store("veo_1_abc", **{field: value}, retries=3))["store"]
    assert (ended.error_name, ended.state) == ("Veo3ValidationError", "failed")
    assert reason in str(ended.error)
    assert len(str(ended.error)) < 1200
    assert file_requests(emulator) == []
    assert files(cwd) == []


@pytest.mark.parametrize("deferrable", [False, True], ids=["in the worker", "deferred"])
def test_a_missing_sample_is_told_and_fails_where_all_are_required(
    deferrable: bool,
    emulator: Emulator,
    store: Callable[..., Any],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    emulator.inject(Fault("drop_sample"))

    def tasks() -> None:
        made = generate(samples=2, deferrable=deferrable)
        store(made, "lenient", destination=str(tmp_path / "lenient"))
        store(made, "strict", destination=str(tmp_path / "strict"), require_all_samples=True, retries=1)

    ended = run("sample", tasks)
    made, lenient, strict = (ended[name] for name in ("make", "lenient", "strict"))
    assert (made.manifest["samples"], made.manifest["samples_expected"]) == (1, 2)
    log = capsys.readouterr().out
    assert f"Generation {made.value} is completed, and has so far 1 of the 2 videos" in log
    (video,) = lenient.value
    assert (video["samples"], video["samples_expected"]) == (1, 2)
    assert f"Generation {made.value} has 1 of the 2 videos" in log
    assert (strict.error_name, strict.state) == ("Veo3MissingVideosError", "up_for_retry")
    for part in (made.value, "1 of the 2", "all were charged", f"strict/{made.value}_0.mp4"):
        assert part in str(strict.error)
    assert files(tmp_path) == [f"{folder}/{made.value}_0.mp4" for folder in ("lenient", "strict")]


@pytest.mark.parametrize(
    "lag",
    [
        {"file_lag_seconds": 15},
        {"videos_lag_seconds": 20, "videos_lag_shows": "empty"},
        {"videos_lag_seconds": 20, "videos_lag_shows": "missing"},
        {"videos_lag_seconds": 20, "videos_lag_shows": "one-less"},
        {"videos_lag_seconds": 20, "videos_lag_shows": "no-videos"},
        {"videos_lag_seconds": 90, "file_lag_seconds": 100, "videos_lag_shows": "one-less"},
    ],
    ids=str,
)
@pytest.mark.parametrize("waits", [True, False], ids=["waited for", "of another run"])
def test_files_that_lag_behind_the_completion_cost_no_try(
    lag: dict[str, Any], waits: bool, emulator: Emulator, store: Callable[..., Any], tmp_path: Path
) -> None:
    from airflow_provider_veo3.hooks.veo3 import Veo3Hook

    emulator.configure(**lag)
    made: Any = None
    if not waits:
        made = Veo3Hook().text_to_video(PROMPT, sample_count=2).id
    ended = run("lag", lambda: store(made or generate(samples=2)))["store"]
    assert (ended.error, ended.state) == (None, "success")
    assert [video["index"] for video in ended.value] == [0, 1]
    assert {(video["samples"], video["samples_expected"]) for video in ended.value} == {(2, 2)}
    assert len(files(tmp_path)) == 2


def test_one_download_behind_a_mapped_task_stores_what_succeeded_and_names_the_rest(
    emulator: Emulator, store: Callable[..., Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from airflow_provider_veo3.airflow_names import TriggerRule

    emulator.inject({"kind": "fail_generation", "prompt_contains": "<fails>"})
    prompts = ["one", "<fails>", "three", "prohibited content"]
    ended = run(
        "mapped",
        lambda: store(
            operators()[0]
            .partial(task_id="make", wait_for_completion=True, deferrable=False, poll_interval=0.01)
            .expand(prompt=prompts)
            .output,
            trigger_rule=TriggerRule.ALL_DONE,
        ),
    )
    assert [ended[f"make[{index}]"].state for index in range(4)] == ["success", "failed", "success", "failed"]
    stored = ended["store"]
    assert (stored.error, stored.state) == (None, "success")
    described = [(video["prompt"], video["map_index"]) for video in stored.value]
    assert described == [("one", 0), ("three", 2)]
    assert [video["generation_id"] for video in stored.value] == [ended[f"make[{n}]"].value for n in (0, 2)]
    failed = ended["make[1]"].manifest["id"]
    told = capsys.readouterr().out
    assert "make_1 is failed, make_3 is failed" in told
    assert f"They may have paid for {failed}, which is not stored" in told


def test_an_unmapped_task_that_failed_upstream_is_named_too(
    emulator: Emulator, store: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    from airflow_provider_veo3.airflow_names import TriggerRule

    ended = run(
        "unmapped",
        lambda: store(
            [generate(task_id="good"), generate(task_id="bad", prompt="prohibited content")],
            trigger_rule=TriggerRule.ALL_DONE,
        ),
    )
    assert [video["generation_id"] for video in ended["store"].value] == [ended["good"].value]
    assert "bad is failed. None of them has published a generation." in capsys.readouterr().out


def test_stored_files_and_asset_events_have_prompt_and_map_index(
    emulator: Emulator, store: Callable[..., Any], tmp_path: Path
) -> None:
    from airflow.models.asset import AssetEvent
    from airflow.sdk import Asset
    from airflow.utils.session import create_session
    from sqlalchemy import select

    long = "x" * 1000

    def tasks() -> None:
        made = operators()[0].partial(task_id="make").expand(prompt=["one", long])
        store.mapped(destination=str(tmp_path), outlets=[Asset("veo3://videos/described")]).expand(  # type: ignore[attr-defined]
            generation_id=made.output
        )

    ended = run("described", tasks)
    for index, prompt in enumerate(["one", long]):
        (video,) = ended[f"store[{index}]"].value
        assert (video["prompt"], video["map_index"]) == (prompt, index)
        assert (video["samples"], video["samples_expected"]) == (1, 1)
    rows = select(AssetEvent).where(AssetEvent.source_dag_id == "download_described")
    with create_session() as session:
        events = [event.extra["files"] for event in session.scalars(rows)]
    assert sorted((file["prompt"], file["map_index"]) for (file,) in events) == [("one", 0), (long, 1)]


def test_a_generation_of_another_run_is_described_only_where_the_api_is_asked(
    emulator: Emulator, store: Callable[..., Any]
) -> None:
    from airflow.sdk import Asset

    from airflow_provider_veo3.hooks.veo3 import Veo3Hook

    made = Veo3Hook().text_to_video(PROMPT).id

    def tasks() -> None:
        store(made, "plain")
        store(made, "events", outlets=[Asset("veo3://videos/asked")])

    ended = run("asked", tasks)
    assert [(ended[name].value[0]["prompt"]) for name in ("plain", "events")] == [None, PROMPT]
    assert {ended[name].value[0]["map_index"] for name in ("plain", "events")} == {None}


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_fixed_name_does_not_cost_the_video_of_an_earlier_run(
    overwrite: bool, emulator: Emulator, store: Callable[..., Any], tmp_path: Path
) -> None:
    def stored(size: int) -> Ended:
        emulator.configure(file_size=size)
        tasks = lambda: store(generate(), filename="latest.mp4", overwrite=overwrite, retries=3)  # noqa: E731
        return run("fixed", tasks)["store"]

    first, second = stored(4096), stored(5000)
    assert first.state == "success"
    kept = hashlib.sha256((tmp_path / "videos/latest.mp4").read_bytes()).hexdigest()
    if overwrite:
        assert second.state == "success"
        assert kept == second.value[0]["sha256"] != first.value[0]["sha256"]
    else:
        assert (second.error_name, second.state) == ("Veo3ValidationError", "failed")
        assert "overwrite=True" in str(second.error)
        assert kept == first.value[0]["sha256"]
    assert files(tmp_path) == ["videos/latest.mp4"]


def test_a_second_attempt_of_a_task_with_a_fixed_name_succeeds(
    emulator: Emulator, store: Callable[..., Any], tmp_path: Path
) -> None:
    from airflow.sdk import DAG

    from tests.support.task_runs import Run

    with DAG("download_again") as dag:
        store(generate(), filename="latest.mp4")
    again = Run(dag)
    first = again.finish()["store"]
    before = (tmp_path / "videos/latest.mp4").stat()
    second = again.attempt("store")
    assert (second.state, second.value) == ("success", first.value)
    after = (tmp_path / "videos/latest.mp4").stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


@pytest.mark.parametrize(
    "settings",
    [
        {"file_content_type": "text/plain"},
        {"file_content_type": "application/xml"},
        {"file_encoding": "gzip"},
        {"file_encoding": "deflate"},
        {"file_layout": "fragments"},
        {"file_layout": "moov-last"},
    ],
    ids=str,
)
def test_a_whole_video_is_stored_however_it_is_sent(
    settings: dict[str, Any], emulator: Emulator, store: Callable[..., Any], tmp_path: Path
) -> None:
    emulator.configure(**settings)
    ended = run("sent", lambda: store(generate()))["store"]
    assert (ended.error, ended.state) == (None, "success")
    (video,) = ended.value
    assert (video["size"], video["mime_type"]) == (4096, "video/mp4")
    assert (tmp_path / "videos" / Path(video["uri"]).name).stat().st_size == 4096


def test_a_coding_that_nobody_knows_is_named(
    emulator: Emulator, store: Callable[..., Any], tmp_path: Path
) -> None:
    emulator.configure(file_encoding="unknown")
    ended = run("coded", lambda: store(generate()))["store"]
    assert ended.error_name == "Veo3CorruptVideoError"
    assert "the Content-Encoding 'x-veo3', which cannot be decoded" in str(ended.error)
    assert files(tmp_path) == []


CUTS = [  # every place in every layout: tests/storage/test_cut_files.py
    ("moov-first", {"kind": "end_early", "before_box": "mdat"}),
    ("moov-last", {"kind": "short_file", "before_box": "moov"}),
    ("fragments", {"kind": "end_early", "bytes": 4000}),
]


@pytest.mark.parametrize("cut", CUTS, ids=str)
@pytest.mark.parametrize("times", [1, None])
def test_a_cut_file_is_never_visible(
    cut: tuple[str, dict[str, Any]],
    times: int | None,
    emulator: Emulator,
    store: Callable[..., Any],
    tmp_path: Path,
) -> None:
    layout, fault = cut
    emulator.configure(file_layout=layout)
    emulator.inject({"endpoint": "file", "times": times, **fault})
    ended = run("cut", lambda: store(generate()))["store"]
    if times == 1:
        assert (ended.error, ended.state) == (None, "success")
        assert ended.value[0]["size"] == 4096
    else:
        assert ended.error_name == "Veo3CorruptVideoError"
        assert files(tmp_path) == []


@pytest.mark.parametrize("endpoint", ["file", "download"])
@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "status", "status": 503},
        {"kind": "disconnect_before"},
        {"kind": "status", "status": 502, "body": "<h1>Bad gateway</h1>", "content_type": "text/html"},
    ],
    ids=str,
)
def test_an_api_or_a_host_that_is_briefly_away_costs_no_try(
    endpoint: str, fault: dict[str, Any], emulator: Emulator, store: Callable[..., Any]
) -> None:
    emulator.inject({**fault, "endpoint": endpoint, "times": 6})
    ended = run("away", lambda: store(generate()))["store"]
    assert (ended.error, ended.state) == (None, "success")


def test_path_objects_are_taken_and_rendered(
    emulator: Emulator, store: Callable[..., Any], tmp_path: Path
) -> None:
    from airflow.sdk import ObjectStoragePath

    def tasks() -> None:
        made = generate()
        store(made, "path", destination=tmp_path / "{{ ds }}", filename=Path("a") / "{generation_id}.mp4")
        store(made, "object", destination=ObjectStoragePath(f"file://{tmp_path}/{{{{ ds }}}}") / "b")

    ended = run("paths", tasks)
    assert [ended[name].error for name in ("path", "object")] == [None, None]
    day, made = ended["path"].value[0]["uri"].split("/")[-3], ended["make"].value
    assert day.startswith("20")
    assert files(tmp_path) == [f"{day}/a/{made}.mp4", f"{day}/b/{made}_0.mp4"]


def test_path_objects_can_be_mapped_and_come_from_tasks(
    emulator: Emulator, store: Callable[..., Any], tmp_path: Path
) -> None:
    from airflow.sdk import ObjectStoragePath, task

    @task
    def folder() -> Any:
        return ObjectStoragePath(f"file://{tmp_path}/from a task")

    def tasks() -> None:
        made = generate()
        store.mapped(destination=tmp_path / "mapped").expand(generation_id=[made])  # type: ignore[attr-defined]
        store(made, "late", destination=folder())

    ended = run("mapped_paths", tasks)
    assert {name: end.error for name, end in ended.items() if end.error} == {}
    made = ended["make"].value
    assert files(tmp_path) == [f"from a task/{made}_0.mp4", f"mapped/{made}_0.mp4"]


def test_a_local_folder_whose_name_ends_in_a_question_mark(
    emulator: Emulator, store: Callable[..., Any], tmp_path: Path
) -> None:
    ended = run("question", lambda: store(generate(), destination=f"{tmp_path}/what?"))
    assert ended["store"].state == "success"
    assert files(tmp_path) == [f"what?/{ended['make'].value}_0.mp4"]


def test_a_description_is_stored_beside_each_video(
    emulator: Emulator, store: Callable[..., Any], tmp_path: Path
) -> None:
    ended = run("sidecar", lambda: store(generate(samples=2, seed=7), sidecar=True))
    made, stored = ended["make"], ended["store"]
    for video in stored.value:
        text = (tmp_path / "videos" / f"{made.value}_{video['index']}.mp4.json").read_text()
        found = json.loads(text)
        assert {name: found[name] for name in video} == video
        assert (found["prompt"], found["seed"], found["credits_used"]) == (PROMPT, 7, 380)
        assert (found["model"], found["completed_at"]) == (
            "veo-3.1-fast-generate-001",
            made.manifest["completed_at"],
        )
        stored_by = found["stored_by"]
        assert (stored_by["dag_id"], stored_by["task_id"]) == ("download_sidecar", "store")
        assert emulator.api_key not in text
        assert "http" not in text


def test_a_mapped_task_describes_the_instance_that_made_each_video(
    emulator: Emulator, store: Callable[..., Any], tmp_path: Path
) -> None:
    def tasks() -> None:
        made = operators()[0].partial(task_id="make").expand(prompt=["one", "two"])
        store.mapped(destination=str(tmp_path), sidecar=True).expand(generation_id=made.output)  # type: ignore[attr-defined]

    ended = run("sidecars", tasks)
    for index, prompt in enumerate(["one", "two"]):
        found = json.loads((tmp_path / f"{ended[f'make[{index}]'].value}_0.mp4.json").read_text())
        assert (found["prompt"], found["map_index"], found["stored_by"]["map_index"]) == (
            prompt,
            index,
            index,
        )
        assert found["stored_by"]["run_id"].startswith("test__")


def test_an_attempt_that_ended_before_the_description_is_completed_by_the_next(
    emulator: Emulator, store: Callable[..., Any], tmp_path: Path
) -> None:
    from airflow.sdk import DAG

    from tests.support.task_runs import Run

    with DAG("download_described_again") as dag:
        store(generate(), filename="latest.mp4", sidecar=True)
    again = Run(dag)
    first = again.finish()["store"]
    description = tmp_path / "videos/latest.mp4.json"
    text = description.read_text()
    description.unlink()
    second = again.attempt("store")
    assert (second.state, second.value) == ("success", first.value)
    kept, found = json.loads(text), json.loads(description.read_text())
    del kept["stored_at"], found["stored_at"]
    assert found == kept


@pytest.mark.parametrize(
    "ids",
    [
        {"task_id_template": "a/b %c+d:{id}"},
        {"task_id_template": "../{id}"},
        {"task_id_template": "~{id}"},
        {"task_id_template": "-{id}"},
        {"task_id_template": "視頻 {id}"},
        {"task_id_template": "x" * 270 + "{id}"},
        {"task_id_template": "{id}?a=1#b"},
        {"numeric_task_ids": True},
    ],
    ids=str,
)
def test_videos_of_odd_ids_are_stored_below_the_destination(
    ids: dict[str, Any], emulator: Emulator, store: Callable[..., Any], tmp_path: Path
) -> None:
    emulator.configure(**ids)

    def tasks() -> None:
        made = [generate(samples=2, task_id="one"), generate(samples=2, task_id="two")]
        store(made, filename="{generation_id}/{index}.mp4", sidecar=True)

    ended = run("odd", tasks)
    assert {name: end.error for name, end in ended.items() if end.error} == {}
    one, two = (ended[name].manifest["id"] for name in ("one", "two"))
    assert one != two
    stored = [(video["generation_id"], video["index"]) for video in ended["store"].value]
    assert stored == [(one, 0), (one, 1), (two, 0), (two, 1)]
    found = files(tmp_path)
    assert len(found) == 8
    for video in ended["store"].value:
        path = Path(video["uri"].removeprefix("file://"))
        assert path.parent.parent == tmp_path / "videos"
        assert hashlib.sha256(path.read_bytes()).hexdigest() == video["sha256"]
        assert (
            json.loads(path.with_name(path.name + ".json").read_text())["generation_id"]
            == video["generation_id"]
        )
