"""What OpenLineage's own provider writes of a download, with its file transport."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_veo3.lineage import dataset_of

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_provider_veo3.emulator import Emulator

SCRIPT = """
import sys
from airflow.sdk import DAG
from task_runs import Run
from airflow_provider_veo3.operators.download import Veo3DownloadOperator

with DAG(sys.argv[3]) as dag:
    Veo3DownloadOperator(task_id="store", generation_id=sys.argv[1].split(","), destination=sys.argv[2])
print("ended", Run(dag).finish()["store"].state)
"""


def run_events(emulator: Emulator, tmp_path: Path, ids: list[str], state: str) -> list[dict[str, Any]]:
    """Download in a process of its own, whose Airflow reports to a file; the events of the task's end."""
    pytest.importorskip("airflow.providers.openlineage", reason="needs the extra openlineage")
    log = tmp_path / "events.json"
    transport = {"type": "file", "log_file_path": str(log), "append": True}
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),  # the tests' own helpers
        "AIRFLOW__OPENLINEAGE__TRANSPORT": json.dumps(transport),
        "AIRFLOW__OPENLINEAGE__NAMESPACE": "tests",
        "AIRFLOW__OPENLINEAGE__EXECUTE_IN_THREAD": "True",
    }
    dag = f"lineage_{state}"
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, ",".join(ids), f"file://{tmp_path}/videos", dag],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert f"ended {state}" in done.stdout, done.stdout + done.stderr
    events = [json.loads(line) for line in log.read_text().splitlines()]
    ends = {"success": "COMPLETE", "failed": "FAIL"}
    return [e for e in events if e["job"]["name"] == f"{dag}.store" and e["eventType"] == ends[state]]


def submit_and_close() -> str:
    from airflow_provider_veo3.hooks.veo3 import Veo3Hook

    hook = Veo3Hook()
    generation_id = hook.text_to_video("A lighthouse", sample_count=2).id
    hook.get_conn().close()
    return generation_id


def test_generations_go_in_and_files_come_out(emulator: Emulator, tmp_path: Path) -> None:
    ids = [submit_and_close(), submit_and_close()]
    (event,) = run_events(emulator, tmp_path, ids, "success")
    host = emulator.base_url.removeprefix("http://")
    assert [(each["namespace"], each["name"]) for each in event["inputs"]] == [
        (f"veo3://{host}", each) for each in ids
    ]
    assert [(each["namespace"], each["name"]) for each in event["outputs"]] == [
        ("file", f"{tmp_path}/videos/{each}_{index}.mp4") for each in ids for index in (0, 1)
    ]
    assert {each["outputFacets"]["outputStatistics"]["size"] for each in event["outputs"]} == {4096}
    assert "Signature" not in json.dumps(event)
    assert emulator.api_key not in json.dumps(event)


def test_a_failed_task_tells_what_it_wanted(emulator: Emulator, tmp_path: Path) -> None:
    (event,) = run_events(emulator, tmp_path, ["veo_unknown"], "failed")
    assert [each["name"] for each in event["inputs"]] == ["veo_unknown"]
    assert event["outputs"] == []


@pytest.mark.parametrize(
    ("uri", "account", "dataset"),
    [
        ("file:///videos/a b_0.mp4", None, ("file", "/videos/a b_0.mp4")),
        ("file://conn@/videos/a.mp4", None, ("file", "/videos/a.mp4")),
        ("s3://conn@bucket/p/what?#.mp4", None, ("s3://bucket", "p/what?#.mp4")),
        ("s3a://bucket/p/a.mp4", None, ("s3://bucket", "p/a.mp4")),
        ("gs://conn@bucket/p/a.mp4", None, ("gs://bucket", "p/a.mp4")),
        ("abfs://conn@box/p/a.mp4", "team", ("abfss://box@team.dfs.core.windows.net", "/p/a.mp4")),
        ("abfs://conn@box/p/a.mp4", None, ("abfs://box", "p/a.mp4")),
        ("memory://x/a.mp4", None, ("memory://x", "a.mp4")),
    ],
)
def test_the_names_of_files(uri: str, account: str | None, dataset: tuple[str, str]) -> None:
    assert dataset_of(uri, account) == dataset
