"""Lineage events that OpenLineage's own provider writes, with its file transport."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from openlineage.client.naming import dataset as naming

from airflow_provider_veo3.operators._lineage import dataset_of
from tests.support.connections import connection_to
from tests.support.fixtures import renew

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from airflow_provider_veo3.emulator import Emulator

SCRIPT = """
import json
import sys
from airflow.sdk import DAG
from tests.support.task_runs import Run
from airflow_provider_veo3.operators.download import Veo3DownloadOperator
from airflow_provider_veo3.operators.generate import Veo3ImageToVideoOperator, Veo3TextToVideoOperator

image, destination, results = sys.argv[1:]
waited = {"wait_for_completion": True, "deferrable": True}
with DAG("lineage") as dag:
    submit = Veo3TextToVideoOperator(task_id="submit", prompt="A lighthouse", sample_count=2)
    animate = Veo3ImageToVideoOperator(task_id="animate", image=image, prompt="It turns.", **waited)
    Veo3DownloadOperator(
        task_id="store", generation_id=[submit.output, animate.output], destination=destination
    )
    Veo3DownloadOperator(task_id="not_there", generation_id="veo_unknown", destination=destination)
    Veo3ImageToVideoOperator(task_id="refused", image=image, prompt="It turns.", model="veo-0.0")
ended = Run(dag).finish()
with open(results, "w") as file:
    json.dump({name: [str(end.state), end.value] for name, end in ended.items()}, file)
"""


@dataclass
class LineageRun:
    """Run of the DAG above: the states of its tasks, and their lineage events."""

    host: str
    api_key: str
    image: str
    folder: Path
    states: Mapping[str, str]
    values: Mapping[str, Any]
    events: list[dict[str, Any]]

    def of(self, task_id: str, end: str) -> dict[str, Any]:
        """Return the event that ends a task, after the one that starts it."""
        started, ended = [each for each in self.events if each["job"]["name"] == f"lineage.{task_id}"]
        assert (started["eventType"], ended["eventType"]) == ("START", end)
        assert started["run"]["runId"] == ended["run"]["runId"]
        return ended


@pytest.fixture(scope="module")
def run(
    _one_emulator: Emulator,
    airflow_bundles: None,
    pictures: dict[str, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> LineageRun:
    """Run of the DAG in a process whose Airflow writes lineage events to a file."""
    folder = tmp_path_factory.mktemp("lineage")
    log, results = folder / "events.json", folder / "results.json"
    renew(_one_emulator)
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),  # the tests' own helpers
        "AIRFLOW_CONN_VEO3_DEFAULT": json.dumps(connection_to(_one_emulator)),
        "AIRFLOW__OPENLINEAGE__TRANSPORT": json.dumps(
            {"type": "file", "log_file_path": str(log), "append": True}
        ),
        "AIRFLOW__OPENLINEAGE__NAMESPACE": "tests",
    }
    words = [pictures["first"], f"file://{folder}/videos", str(results)]
    command = [sys.executable, "-c", SCRIPT, *words]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    ended = json.loads(results.read_text())
    return LineageRun(
        _one_emulator.base_url.removeprefix("http://"),
        _one_emulator.api_key,
        pictures["first"],
        folder / "videos",
        {name: state for name, (state, _) in ended.items()},
        {name: value for name, (_, value) in ended.items()},
        [json.loads(line) for line in log.read_text().splitlines()],
    )


def names(datasets: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(each["namespace"], each["name"]) for each in datasets]


def test_generations_are_inputs_and_files_are_outputs(run: LineageRun) -> None:
    assert run.states["store"] == "success"
    event = run.of("store", "COMPLETE")
    ids = [run.values["submit"], run.values["animate"]]
    assert names(event["inputs"]) == [(f"veo3://{run.host}", each) for each in ids]
    files = [
        f"{run.folder}/{ids[0]}_0.mp4",
        f"{run.folder}/{ids[0]}_1.mp4",
        f"{run.folder}/{ids[1]}_0.mp4",
    ]
    assert names(event["outputs"]) == [("file", each) for each in files]
    for each in event["outputs"]:
        facet = each["outputFacets"]["outputStatistics"]
        assert (facet["size"], facet["fileCount"]) == (4096, 1)


def test_the_generation_is_the_output_of_the_task_that_submits(run: LineageRun) -> None:
    event = run.of("submit", "COMPLETE")
    assert event["inputs"] == []
    assert names(event["outputs"]) == [(f"veo3://{run.host}", run.values["submit"])]


def test_an_image_is_an_input_also_after_a_deferral(run: LineageRun) -> None:
    assert run.states["animate"] == "success"
    first, *_, event = [each for each in run.events if each["job"]["name"] == "lineage.animate"]
    assert (first["eventType"], event["eventType"]) == ("START", "COMPLETE")
    assert names(event["inputs"]) == [("file", run.image)]
    assert names(event["outputs"]) == [(f"veo3://{run.host}", run.values["animate"])]


def test_a_failed_task_reports_its_inputs(run: LineageRun) -> None:
    assert run.states["not_there"] == run.states["refused"] == "failed"
    event = run.of("not_there", "FAIL")
    assert names(event["inputs"]) == [(f"veo3://{run.host}", "veo_unknown")]
    assert event["outputs"] == []
    assert "TASK_NOT_FOUND" in event["run"]["facets"]["errorMessage"]["message"]
    event = run.of("refused", "FAIL")
    assert names(event["inputs"]) == [("file", run.image)]
    assert event["outputs"] == []


def test_no_event_contains_a_secret(run: LineageRun) -> None:
    text = json.dumps(run.events)
    assert run.values["submit"] in text
    assert "Signature" not in text
    assert run.api_key not in text


def test_without_a_transport_the_provider_reports_nothing() -> None:
    """Otherwise the installed provider would disturb the other tests."""
    from airflow.providers.openlineage import conf
    from airflow.providers.openlineage.plugins.openlineage import OpenLineageProviderPlugin

    assert conf.is_disabled()
    assert OpenLineageProviderPlugin.listeners == []


AZURE = naming.ABFSS("box", "team", "p/a.mp4")


@pytest.mark.parametrize(
    ("uri", "account", "dataset"),
    [
        ("file:///videos/a b_0.mp4", None, naming.LocalFileSystem("/videos/a b_0.mp4")),
        ("file://conn@/videos/a.mp4", None, naming.LocalFileSystem("/videos/a.mp4")),
        ("s3://conn@bucket/p/what?#.mp4", None, naming.S3("bucket", "p/what?#.mp4")),
        ("s3a://bucket/p/a.mp4", None, naming.S3("bucket", "p/a.mp4")),
        ("gs://conn@bucket/p/a.mp4", None, naming.GCS("bucket", "p/a.mp4")),
        ("gcs://bucket/p/a.mp4", None, naming.GCS("bucket", "p/a.mp4")),
        ("abfs://conn@box/p/a.mp4", "team", AZURE),
        ("abfss://conn@box/p/a.mp4", "team", AZURE),
    ],
)
def test_files_are_named_as_openlineage_names_them(uri: str, account: str | None, dataset: Any) -> None:
    assert dataset_of(uri, account) == (dataset.get_namespace(), dataset.get_name())


def test_files_without_an_openlineage_name_keep_scheme_and_authority() -> None:
    assert dataset_of("abfs://conn@box/p/a.mp4") == ("abfss://box", "p/a.mp4")
    assert dataset_of("memory://x/a.mp4") == ("memory://x", "a.mp4")
