"""Pipeline from the prompt to a bucket, through Airflow and over the network."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_veo3.emulator import Fault
from airflow_provider_veo3.storage.upload import PART_SIZE
from tests.support.servers import BUCKET, CONN_ID

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_provider_veo3.emulator import Emulator
    from tests.support.holding import Hold
    from tests.support.servers import ObjectStat, Store

SIZE = 2 * PART_SIZE + 2 * 2**20 + 77
"""Bytes of a file: two whole parts and a short one of an odd size."""


def pipeline(store: Store, **parameters: Any) -> Any:
    """Return a new run of a DAG that submits, waits and downloads."""
    from airflow.sdk import DAG

    from airflow_provider_veo3.operators.generate import Veo3TextToVideoOperator
    from airflow_provider_veo3.sensors.generation import Veo3GenerationSensor
    from tests.support.store_rig import ImpatientDownloadOperator
    from tests.support.task_runs import Run

    samples, prompts = parameters.pop("sample_count", 1), parameters.pop("prompts", None)
    destination = f"{store.scheme}://{CONN_ID}@{BUCKET}/made by airflow/{{{{ ds }}}}"
    with DAG("storages", default_args={"deferrable": True}) as dag:
        if prompts:
            partial = Veo3TextToVideoOperator.partial(task_id="submit", sample_count=samples)
            submit = partial.expand(prompt=prompts)
            wait = Veo3GenerationSensor.partial(task_id="wait").expand(generation_id=submit.output)
        else:
            submit = Veo3TextToVideoOperator(task_id="submit", prompt="A tide pool", sample_count=samples)
            wait = Veo3GenerationSensor(task_id="wait", generation_id=submit.output)
        ImpatientDownloadOperator(
            task_id="download",
            generation_id=wait.output,
            **{"destination": destination, **parameters},
        )
    return Run(dag)


def name_of(video: dict[str, Any]) -> str:
    return video["uri"].partition(f"@{BUCKET}/")[2]


def fetched(emulator: Emulator) -> list[dict[str, Any]]:
    return [each for task in emulator.ledger()["tasks"] for each in task["fetched"]]


def submitted(run: Any) -> str:
    """Run the tasks before the download, and return the generation id."""
    assert run.attempt("submit").state == "success"
    ended = run.attempt("wait")
    assert ended.state == "success"
    return ended.value


def downloaded(run: Any) -> list[dict[str, Any]]:
    """Run a successful attempt of the download, and return its videos."""
    ended = run.attempt("download")
    assert ended.state == "success", ended.error
    return ended.value


def check_whole(store: Store, video: dict[str, Any], size: int = SIZE) -> None:
    body = store.read(name_of(video))
    assert (len(body), video["size"]) == (size, size)
    assert hashlib.sha256(body).hexdigest() == video["sha256"]
    assert store.stat(name_of(video))[:2] == (size, "video/mp4")  # type: ignore[index]


@contextmanager
def polling(observe: Callable[[], Any]) -> Iterator[list[Any]]:
    """Observe repeatedly in another thread, and collect each observation that differs from the last."""
    seen = [observe()]
    done = threading.Event()

    def poll() -> None:
        last = False
        while not last:
            last = done.is_set()
            now = observe()
            if now != seen[-1]:
                seen.append(now)

    thread = threading.Thread(target=poll)
    thread.start()
    try:
        yield seen
    finally:
        done.set()
        thread.join()


@pytest.mark.parametrize("size", [1000, PART_SIZE, PART_SIZE + 1, SIZE])
def test_every_video_goes_from_the_prompt_to_the_bucket(
    size: int, store: Store, emulator: Emulator, files: Callable[[int], None]
) -> None:
    from airflow.sdk import ObjectStoragePath

    files(size)
    ended = pipeline(store, sample_count=2, prompts=["A tide pool", "A kelp forest"]).finish()
    assert {end.state for end in ended.values()} == {"success"}, [end.error for end in ended.values()]
    videos = ended["download"].value
    assert [video["index"] for video in videos] == [0, 1, 0, 1]
    assert sorted(store.names()) == sorted(name_of(video) for video in videos)
    for video in videos:
        assert video["uri"].startswith(f"{store.scheme}://{CONN_ID}@{BUCKET}/made by airflow/20")
        check_whole(store, video, size)
        path = ObjectStoragePath(video["uri"])
        assert path.stat().st_size == size
        assert hashlib.sha256(path.read_bytes()).hexdigest() == video["sha256"]
    assert [(each["requests"], each["bytes"]) for each in fetched(emulator)] == [(1, size)] * 4
    assert store.unfinished_uploads() == []
    assert ended["download"].xcom("stored_video_uris") == [video["uri"] for video in videos]


def test_a_description_is_an_object_beside_its_video(
    store: Store, emulator: Emulator, files: Callable[[int], None]
) -> None:
    files(1000)
    ended = pipeline(store, sidecar=True).finish()["download"]
    assert ended.state == "success", ended.error
    (video,) = ended.value
    name = f"{name_of(video)}.json"
    found = json.loads(store.read(name))
    assert {key: found[key] for key in video} == video
    assert store.stat(name)[1] == "application/json"  # type: ignore[index]


def test_a_reader_sees_nothing_or_the_whole_object(
    store: Store, emulator: Emulator, files: Callable[[int], None], hold: Hold
) -> None:
    files(SIZE)
    run = pipeline(store)
    generation_id = submitted(run)
    emulator.inject(Fault("stall", endpoint="file", bytes=SIZE - 1000))
    day = run.run_id.removeprefix("test__")[:10]
    name = f"made by airflow/{day}/{generation_id}_0.mp4"
    hidden = (None, [], True)  # the store has parts, but shows nothing

    def observe() -> tuple[ObjectStat | None, list[str], bool]:
        found = (store.stat(name), store.names(), bool(store.unfinished_uploads()))
        if found == hidden:
            hold.end()
        return found

    with polling(observe) as seen:
        (video,) = downloaded(run)
    assert name_of(video) == name
    whole = store.stat(name)
    assert {stat for stat, _, _ in seen} == {None, whole}
    assert {tuple(names) for _, names, _ in seen} == {(), (name,)}
    assert hidden in seen
    check_whole(store, video)


def test_a_reader_sees_the_earlier_object_or_the_new_one(
    store: Store, emulator: Emulator, files: Callable[[int], None]
) -> None:
    files(SIZE)
    name = "latest.mp4"
    store.put(name, b"the one before")
    before = store.stat(name)
    destination = f"{store.scheme}://{CONN_ID}@{BUCKET}/"
    run = pipeline(store, destination=destination, filename=name, overwrite=True)
    submitted(run)
    with polling(lambda: store.stat(name)) as seen:
        (video,) = downloaded(run)
    assert seen == [before, store.stat(name)]
    check_whole(store, video)


@pytest.mark.parametrize(
    ("kind", "at"),
    [
        ("truncate", 100_000),
        ("truncate", PART_SIZE),
        ("truncate", SIZE - 1),
        ("disconnect_mid_body", 2 * PART_SIZE + 12345),  # the reset loses the bytes in transit
    ],
)
def test_a_connection_that_breaks_is_resumed_where_it_broke(
    kind: str, at: int, store: Store, emulator: Emulator, files: Callable[[int], None]
) -> None:
    files(SIZE)
    run = pipeline(store)
    submitted(run)
    emulator.inject(Fault(kind, endpoint="file", bytes=at))
    (video,) = downloaded(run)
    check_whole(store, video)
    requests = [each for each in emulator.ledger()["recent_requests"] if each["endpoint"] == "file"]
    assert [each["status"] for each in requests] == ["200", "206"]
    if kind == "truncate":
        assert [(each["requests"], each["bytes"]) for each in fetched(emulator)] == [(2, SIZE)]
    assert store.unfinished_uploads() == []


def test_a_retry_after_a_failed_attempt_stores_the_rest_once(
    store: Store, emulator: Emulator, files: Callable[[int], None]
) -> None:
    files(SIZE)
    run = pipeline(store, sample_count=2, max_concurrency=1)
    submitted(run)
    # the first file arrives whole, the second in part, and then the host is down
    emulator.inject(Fault("truncate", endpoint="file", bytes=2 * PART_SIZE + 1000, skip=1))
    emulator.inject(Fault("status", endpoint="file", status=503, skip=2, times=None))
    failed = run.attempt("download")
    assert failed.error_name == "Veo3StorageError"
    (first,) = store.names()
    kept = store.stat(first)
    assert kept is not None
    assert kept[0] == SIZE
    assert store.unfinished_uploads() == [] or not store.abort_removes_parts
    emulator.clear_faults()
    videos = downloaded(run)
    assert store.stat(first) == kept
    assert sorted(store.names()) == sorted(name_of(video) for video in videos)
    for video in videos:
        check_whole(store, video)
    assert store.unfinished_uploads() == []


def test_a_file_stored_whole_is_not_stored_again(
    store: Store, emulator: Emulator, files: Callable[[int], None]
) -> None:
    files(SIZE)
    run = pipeline(store, sample_count=2)
    submitted(run)
    first = downloaded(run)
    versions: list[ObjectStat | None] = [store.stat(name_of(video)) for video in first]
    assert downloaded(run) == first
    assert [store.stat(name_of(video)) for video in first] == versions
    assert store.unfinished_uploads() == []
    store.put(name_of(first[1]), b"half")
    assert downloaded(run) == first
    assert store.stat(name_of(first[0])) == versions[0]
    check_whole(store, first[1])


def test_a_killed_worker_leaves_nothing_visible_and_its_retry_succeeds(
    store: Store, emulator: Emulator, files: Callable[[int], None], hold: Hold
) -> None:
    files(SIZE)
    run = pipeline(store)
    generation_id = submitted(run)
    emulator.inject(Fault("stall", endpoint="file", bytes=SIZE - 1000))
    destination = f"{store.scheme}://{CONN_ID}@{BUCKET}/made by airflow/{run.run_id[6:16]}"
    worker = subprocess.Popen(
        [sys.executable, "-m", "tests.support.download_worker", generation_id, destination]
    )
    while not store.unfinished_uploads():
        assert worker.poll() is None
    os.kill(worker.pid, signal.SIGKILL)
    assert worker.wait() == -signal.SIGKILL
    assert store.names() == []
    hold.end()
    emulator.clear_faults()
    (video,) = downloaded(run)
    assert store.names() == [name_of(video)]
    check_whole(store, video)
    assert store.unfinished_uploads() == [] or not store.retry_removes_leftovers


@pytest.mark.parametrize("text", ["with spaces/and ünïcödé", "100%25/a+b&c=d", "take #{index}"])
def test_a_file_may_have_any_name(text: str, store: Store, emulator: Emulator) -> None:
    ended = pipeline(store, filename=f"{text} {{generation_id}}.mp4").finish()
    (video,) = ended["download"].value
    assert store.names() == [name_of(video)]
    assert text.replace("{index}", "0") in video["uri"]
    check_whole(store, video, 4096)


def test_a_missing_bucket_is_named(store: Store, emulator: Emulator) -> None:
    run = pipeline(store, destination=f"{store.scheme}://{CONN_ID}@no-such-bucket/videos")
    submitted(run)
    ended = run.attempt("download")
    assert ended.error_name == "Veo3StorageError"
    assert f"{store.scheme}://{CONN_ID}@no-such-bucket/videos/" in str(ended.error)


def test_a_missing_connection_is_named(store: Store, emulator: Emulator) -> None:
    run = pipeline(store, destination=f"{store.scheme}://no_such_store@{BUCKET}/videos")
    submitted(run)
    ended = run.attempt("download")
    assert ended.error_name == "Veo3ValidationError"
    assert "no_such_store" in str(ended.error)
    assert fetched(emulator) == []
