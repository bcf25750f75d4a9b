"""Asset events of the download operator in Airflow's database."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_veo3.operators._asset_events import asset_uri
from tests.support.waits import status_requests

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_provider_veo3.emulator import Emulator
    from tests.support.task_runs import Ended

PROMPT = "A lighthouse in a storm"
SHARED = (
    "generation_id",
    "index",
    "uri",
    "size",
    "sha256",
    "samples",
    "samples_expected",
    "prompt",
    "map_index",
)
"""What the task returns of a file too."""
FACTS = {*SHARED, "model", "credits", "seconds", "prompt_sha256"}


def generate(samples: int = 1) -> str:
    from airflow_provider_veo3.hooks.veo3 import Veo3Hook

    hook = Veo3Hook()
    generation_id = hook.text_to_video(PROMPT, sample_count=samples).id
    hook.get_conn().close()
    return generation_id


def download(
    name: str, generation_id: Any, folder: Path, outlets: list[Any], **options: Any
) -> dict[str, Ended]:
    from airflow.sdk import DAG

    from airflow_provider_veo3.operators.download import Veo3DownloadOperator
    from tests.support.task_runs import Run

    with DAG(f"assets_{name}") as dag:
        given = {"task_id": "store", "destination": f"file://{folder}", "outlets": outlets, **options}
        if isinstance(generation_id, tuple):
            Veo3DownloadOperator.partial(**given).expand(generation_id=list(generation_id))
        else:
            Veo3DownloadOperator(generation_id=generation_id, **given)
    return Run(dag).finish()


def events(dag: str) -> list[tuple[str, dict[str, Any]]]:
    """Return URI and extra of a DAG's asset events, oldest first."""
    from airflow.models.asset import AssetEvent
    from airflow.utils.session import create_session
    from sqlalchemy import select

    rows = select(AssetEvent).where(AssetEvent.source_dag_id == f"assets_{dag}").order_by(AssetEvent.id)
    with create_session() as session:
        return [(event.asset.uri, event.extra) for event in session.scalars(rows)]


def test_a_declared_asset_has_one_event_that_lists_the_files(emulator: Emulator, tmp_path: Path) -> None:
    from airflow.sdk import Asset

    generation_id = generate(samples=2)
    ended = download("declared", generation_id, tmp_path, [Asset("veo3://videos/trailer")])["store"]
    assert ended.state == "success"
    ((uri, extra),) = events("declared")
    assert uri == "veo3://videos/trailer"
    assert [file["index"] for file in extra["files"]] == [0, 1]
    for file, stored in zip(extra["files"], ended.value, strict=True):
        assert set(file) == FACTS
        assert {name: file[name] for name in SHARED} == {name: stored[name] for name in SHARED}
        assert (file["prompt"], file["map_index"], file["samples"]) == (PROMPT, None, 2)
        assert file["model"] == "veo-3.1-fast-generate-001"
        assert file["credits"] == 380
        assert 0 <= file["seconds"] < 60
        assert file["prompt_sha256"] == hashlib.sha256(PROMPT.encode()).hexdigest()
    assert "Signature" not in str(extra)
    assert status_requests(emulator) == 1


def test_an_alias_has_one_event_per_file_with_the_file_as_asset(emulator: Emulator, tmp_path: Path) -> None:
    from airflow.sdk import AssetAlias

    ids = [generate(), generate(samples=2)]
    ended = download("alias", ids, tmp_path, [AssetAlias("veo3_videos")])["store"]
    assert ended.state == "success"
    found = events("alias")
    assert [uri for uri, _ in found] == [file["uri"] for file in ended.value]
    assert [(extra["generation_id"], extra["index"]) for _, extra in found] == [
        (ids[0], 0),
        (ids[1], 0),
        (ids[1], 1),
    ]
    assert all(set(extra) == FACTS for _, extra in found)
    assert status_requests(emulator) == 2


def test_the_asset_of_a_file_does_not_name_the_connection(
    emulator: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.sdk import AssetAlias

    monkeypatch.setenv("AIRFLOW_CONN_DISK", "generic://")
    ended = download(
        "connection", generate(), tmp_path, [AssetAlias("veo3_c")], destination=f"file://disk@{tmp_path}"
    )["store"]
    assert ended.state == "success"
    ((uri, extra),) = events("connection")
    assert extra["uri"].startswith("file://disk@/")
    assert uri == extra["uri"].replace("disk@", "")


def test_each_mapped_instance_has_events_of_its_own_files(emulator: Emulator, tmp_path: Path) -> None:
    from airflow.sdk import Asset, AssetAlias

    ids = (generate(), generate())
    outlets = [Asset("veo3://videos/mapped"), AssetAlias("veo3_mapped")]
    ended = download("mapped", ids, tmp_path, outlets)
    assert [each.state for each in ended.values()] == ["success", "success"]
    found = events("mapped")
    listed = [extra["files"] for uri, extra in found if uri == "veo3://videos/mapped"]
    assert [[file["generation_id"] for file in files] for files in listed] == [[each] for each in ids]
    assert [extra["generation_id"] for uri, extra in found if uri.startswith("file")] == list(ids)


def test_without_outlets_no_status_is_requested(emulator: Emulator, tmp_path: Path) -> None:
    assert download("none", generate(), tmp_path, [])["store"].state == "success"
    assert (status_requests(emulator), events("none")) == (0, [])


def test_no_videos_give_an_event_without_files(emulator: Emulator, tmp_path: Path) -> None:
    from airflow.sdk import Asset

    assert download("empty", [], tmp_path, [Asset("veo3://videos/empty")])["store"].state == "success"
    assert events("empty") == [("veo3://videos/empty", {"files": []})]
    assert status_requests(emulator) == 0


def test_a_stored_video_has_an_event_also_without_its_status(emulator: Emulator, tmp_path: Path) -> None:
    from airflow.sdk import Asset

    emulator.inject({"kind": "status", "status": 404, "endpoint": "status", "times": None})
    ended = download("no_status", generate(), tmp_path, [Asset("veo3://videos/no_status")])["store"]
    assert ended.state == "success"
    ((_, extra),) = events("no_status")
    (file,) = extra["files"]
    assert file["sha256"] == ended.value[0]["sha256"]
    assert {file[name] for name in ("model", "credits", "seconds", "prompt_sha256")} == {None}


def test_a_refusing_api_gets_no_request_for_each_generation(emulator: Emulator, tmp_path: Path) -> None:
    from airflow.sdk import Asset

    day = {"X-RateLimit-Retry-After": "30000"}
    refusal = {"kind": "status", "status": 429, "endpoint": "status", "headers": day, "times": None}
    emulator.inject({**refusal, "skip": 1})
    made = [generate() for _ in range(4)]
    assert download("refused", made, tmp_path, [Asset("veo3://videos/refused")])["store"].state == "success"
    ((_, extra),) = events("refused")
    assert [file["credits"] for file in extra["files"]] == [190, None, None, None]
    assert status_requests(emulator) == 2


def test_a_failed_download_has_no_event(emulator: Emulator, tmp_path: Path) -> None:
    from airflow.sdk import Asset

    ended = download("failed", "veo_unknown", tmp_path, [Asset("veo3://videos/failed")])["store"]
    assert (ended.state, events("failed")) == ("failed", [])


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("s3://conn@bucket/a/b_0.mp4", "s3://bucket/a/b_0.mp4"),
        ("gs://bucket/a b.mp4", "gs://bucket/a%20b.mp4"),
        ("s3://c@bucket/what?/no#1@x.mp4", "s3://bucket/what%3F/no%231@x.mp4"),
        ("file:///tmp/50%/v.mp4", "file:///tmp/50%25/v.mp4"),
        ("abfs://conn@container/ü.mp4", "abfs://container/%C3%BC.mp4"),
    ],
)
def test_the_asset_uri_of_a_file(uri: str, expected: str) -> None:
    from airflow.sdk import Asset

    assert asset_uri(uri) == expected
    assert Asset(expected).uri == expected
