"""What one task returns feeds the next: images, ids, videos; and a DAG survives its serialization."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.task_runs import operators
from tests.support.task_runs import run_to_success as run

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_veo3.emulator import Emulator

QUICK = {"poll_interval": 0.01, "poke_interval": 0.01}


@pytest.fixture
def memory_scheme() -> Iterator[None]:
    """Let ``ObjectStoragePath`` open ``memory://``, as a provider lets it open its own scheme."""
    import fsspec
    from airflow.sdk.io.store import attach
    from fsspec.implementations.memory import MemoryFileSystem

    attach("memory", fs=MemoryFileSystem())
    yield
    MemoryFileSystem.store.clear()
    fsspec.filesystem("memory").pseudo_dirs[:] = [""]


@pytest.mark.parametrize("place", ["path", "file", "memory"])
def test_images_from_anywhere_by_way_of_a_mapped_xcom(
    place: str, emulator: Emulator, pictures: dict[str, str], memory_scheme: None
) -> None:
    import fsspec
    from airflow.sdk import DAG, task

    first, last = Path(pictures["first"]), Path(pictures["last"])
    uris = {
        "path": (str(first), str(last)),
        "file": (f"file://{first}", f"file://{last}"),
        "memory": ("memory://bucket/first frame.png", "memory://bucket/last.jpg"),
    }[place]
    if place == "memory":
        for source, uri in zip((first, last), uris, strict=True):
            fsspec.filesystem("memory").pipe(uri, source.read_bytes())

    @task
    def listing() -> list[dict[str, str]]:
        return [{"first_frame": uris[0], "last_frame": uris[1]}]

    @task
    def names() -> list[str]:
        return list(uris)

    with DAG(f"chain_images_{place}") as dag:
        _, image_to_video, first_last_frame = operators()
        image_to_video.partial(task_id="one", prompt="On the wind").expand(image=names())
        first_last_frame.partial(task_id="two", prompt="From dusk till dawn").expand_kwargs(listing())
    run(dag)

    digests = [hashlib.sha256(path.read_bytes()).hexdigest() for path in (first, last)]
    tasks = emulator.ledger()["tasks"]
    both = [task for task in tasks if task["type"] == "first-last-frame"]
    assert [image["sha256"] for image in both[0]["images"]] == digests
    assert [image["mime_type"] for image in both[0]["images"]] == ["image/png", "image/jpeg"]
    singles = [task["images"] for task in tasks if task["type"] == "image-to-video"]
    assert sorted(image["sha256"] for (image,) in singles) == sorted(digests)
    named = {image["filename"] for task in tasks for image in task["images"]}
    assert named == {"image.png", "image.jpg", "first_frame.png", "last_frame.jpg"}


@pytest.mark.parametrize("deferrable", [False, True])
def test_submit_sense_download(deferrable: bool, emulator: Emulator, tmp_path: Path) -> None:
    from airflow.sdk import DAG

    from airflow_provider_veo3.operators.download import Veo3DownloadOperator
    from airflow_provider_veo3.sensors.generation import Veo3GenerationSensor

    # the first look has to fail for the sensor to defer
    emulator.inject({"kind": "garbage", "endpoint": "status"})
    with DAG(f"chain_{deferrable}", default_args={"deferrable": deferrable, **QUICK}) as dag:
        submit = operators()[0](task_id="submit", prompt="A lighthouse", sample_count=2)
        sense = Veo3GenerationSensor(task_id="sense", generation_id=submit.output)
        Veo3DownloadOperator(task_id="download", generation_id=sense.output, destination=f"file://{tmp_path}")
    ended = run(dag)
    generation_id = ended["submit"].value
    assert ended["sense"].value == generation_id
    stored = ended["download"].value
    assert [video["index"] for video in stored] == [0, 1]
    assert {video["generation_id"] for video in stored} == {generation_id}
    assert len(list(tmp_path.glob("*.mp4"))) == 2
    assert len(ended["sense"].triggers) == (1 if deferrable else 0)
    assert ended["sense"].rounds == (2 if deferrable else 1)


def test_a_mapped_campaign_keeps_its_order(emulator: Emulator, tmp_path: Path) -> None:
    """The n-th id, sensor and file belong to the n-th prompt."""
    from airflow.sdk import DAG

    from airflow_provider_veo3.operators.download import Veo3DownloadOperator
    from airflow_provider_veo3.sensors.generation import Veo3GenerationSensor

    prompts = ["one", "two", "three"]
    with DAG("chain_mapped", default_args={"deferrable": True, **QUICK}) as dag:
        submit = operators()[0].partial(task_id="submit", wait_for_completion=True).expand(prompt=prompts)
        sense = Veo3GenerationSensor.partial(task_id="sense").expand(generation_id=submit.output)
        Veo3DownloadOperator(task_id="all", generation_id=sense.output, destination=str(tmp_path / "all"))
        Veo3DownloadOperator.partial(task_id="each", destination=str(tmp_path / "each")).expand(
            generation_id=submit.output
        )
    ended = run(dag)
    by_id = {task["id"]: task["prompt"] for task in emulator.ledger()["tasks"]}
    ids = [ended[f"submit[{index}]"].value for index in range(3)]
    assert [by_id[each] for each in ids] == prompts
    assert [ended[f"sense[{index}]"].value for index in range(3)] == ids
    assert [ended[f"submit[{index}]"].manifest["id"] for index in range(3)] == ids
    assert [video["generation_id"] for video in ended["all"].value] == ids
    assert [ended[f"each[{index}]"].value[0]["generation_id"] for index in range(3)] == ids


def every_kind_of_task() -> Any:
    from airflow.sdk import DAG

    from airflow_provider_veo3.operators.download import Veo3DownloadOperator
    from airflow_provider_veo3.sensors.generation import Veo3GenerationSensor

    text, image, frames = operators()
    with DAG("chain_serialized") as dag:
        text(task_id="text", prompt="{{ params.p }}", params={"p": "x"}, extra_options={"a": [1, None]})
        image(task_id="image", prompt="x", image="s3://conn@bucket/key.png", deferrable=True)
        frames.partial(task_id="frames", prompt="x", last_frame="b").expand(first_frame=["a"])
        Veo3GenerationSensor(task_id="sense", generation_id=dag.get_task("text").output, mode="reschedule")
        Veo3DownloadOperator.partial(task_id="download", destination="/tmp/x").expand(  # noqa: S108
            generation_id=dag.get_task("frames").output
        )
    return dag


def test_serialization_round_trip() -> None:
    import json

    from tests.support.airflow_versions import dag_serialization

    serialization = dag_serialization()
    dag = every_kind_of_task()
    data = json.loads(json.dumps(serialization.to_dict(dag)))
    serialization.validate_schema(data)
    again = json.loads(json.dumps(serialization.to_dict(every_kind_of_task())))
    assert again == data, "the DAG would get a new version at each parse"
    back = serialization.from_dict(data)
    for task_id, links in {
        "text": {"Videos"},
        "frames": {"Videos"},
        "sense": {"Videos"},
        "download": {"Videos", "Stored video"},
    }.items():
        assert set(back.get_task(task_id).extra_links) == links
        assert tuple(back.get_task(task_id).template_fields) == tuple(dag.get_task(task_id).template_fields)
    assert back.get_task("text").extra_options == {"a": [1, None]}
    assert back.get_task("image").image == "s3://conn@bucket/key.png"
    assert back.get_task("sense").reschedule
