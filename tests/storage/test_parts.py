"""Parts of uploads, sent while the next ones are fetched: what is held, what fails, what is aborted."""

from __future__ import annotations

import gc
import threading
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from itertools import accumulate
from traceback import extract_tb
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_veo3.api.models import Video
from airflow_provider_veo3.exceptions import Veo3StorageError
from airflow_provider_veo3.storage.destination import Destination
from airflow_provider_veo3.storage.multipart import BLOCK, PARTS, SENDERS
from airflow_provider_veo3.storage.source import StoppableClock
from airflow_provider_veo3.storage.store import VideoStore
from tests.support.file_host import FileHost, fetch, mp4, running_file_host

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_veo3.storage.sink import Sink
    from tests.support.object_store import Bucket

MIME = "video/mp4"


def test_a_part_is_sent_while_the_next_one_is_written(bucket: Bucket) -> None:
    written = threading.Event()
    bucket.meanwhile = lambda: written.wait(60) or pytest.fail("what comes next waits for the part")
    sink = Destination("s3://my_s3@bucket/prefix/").open("a.mp4", MIME)
    sink.write(b"x" * BLOCK)
    sink.write(b"y" * (BLOCK - 1))
    assert bucket.parts == []
    written.set()
    sink.publish()
    assert bucket.objects["/bucket/prefix/a.mp4"][0] == b"x" * BLOCK + b"y" * (BLOCK - 1)


def test_a_writer_that_keeps_something_back_loses_nothing_unseen(bucket: Bucket) -> None:
    bucket.reluctant = True
    sink = Destination("s3://my_s3@bucket/prefix/").open("a.mp4", MIME)
    sink.write(b"x" * BLOCK + b"y")
    with pytest.raises(Veo3StorageError, match=f"sent 0 of {BLOCK} bytes"):
        sink.publish()
    sink.discard()
    assert bucket.objects == {}


def test_an_upload_is_aborted_only_after_the_part_that_is_under_way(bucket: Bucket) -> None:
    """Else the store keeps the part, for nobody."""
    sink = Destination("s3://my_s3@bucket/prefix/").open("a.mp4", MIME)
    begun = threading.Event()
    discarding = threading.Thread(target=sink.discard)

    def give_the_abort_a_chance() -> None:
        begun.set()
        while not discarding.ident:
            pass
        discarding.join(0.2)  # ends at once where the abort does not wait

    bucket.meanwhile = give_the_abort_a_chance
    sink.write(b"x" * BLOCK)
    assert begun.wait(60)
    discarding.start()
    discarding.join()
    assert bucket.log == ["begun", "sent", "discarded"]
    assert bucket.objects == {}


def test_a_part_that_waits_its_turn_is_not_begun_after_the_abort(bucket: Bucket) -> None:
    destination = Destination("s3://my_s3@bucket/prefix/")
    sinks = [destination.open(f"{number}.mp4", MIME) for number in range(SENDERS + 1)]
    aborted = threading.Event()
    bucket.meanwhile = lambda: aborted.wait(60)
    for sink in sinks:
        sink.write(b"x" * BLOCK)
    *busy, waiting = sinks
    waiting.discard()
    aborted.set()
    for sink in busy:
        sink.publish()
    assert sorted(bucket.objects) == [f"/bucket/prefix/{number}.mp4" for number in range(SENDERS)]
    assert bucket.begun == SENDERS


def test_few_parts_are_sent_at_once_and_of_each_file_one(bucket: Bucket) -> None:
    destination = Destination("s3://my_s3@bucket/prefix/")
    sinks = [destination.open(f"{name}.mp4", MIME) for name in "abcdef"]  # more than there are parts

    def write(sink: Sink) -> None:
        for _ in range(8):
            sink.write(b"x" * (BLOCK // 2))
        sink.publish()

    with ThreadPoolExecutor() as pool:
        list(pool.map(write, sinks))
    assert [len(body) for body, _ in bucket.objects.values()] == [4 * BLOCK] * 6
    under_way = list(accumulate({"begun": 1, "sent": -1}[each] for each in bucket.log))
    assert max(under_way) <= SENDERS
    assert under_way[-1] == 0


def test_a_file_that_nobody_ends_is_never_seen(bucket: Bucket) -> None:
    sink = Destination("s3://my_s3@bucket/prefix/").open("a.mp4", MIME)
    sink.write(b"half")
    del sink  # fsspec closes what is collected open
    gc.collect()
    assert bucket.objects == {}


def test_all_files_together_take_the_memory_of_a_few_parts(bucket: Bucket) -> None:
    bucket.keeps = False
    destination = Destination("s3://my_s3@bucket/prefix/")
    sinks = [destination.open(f"{number}.mp4", MIME) for number in range(8)]
    data = b"x" * 2**18

    def write(sink: Sink) -> None:
        for _ in range(3 * BLOCK // len(data)):
            sink.write(data)
        sink.publish()

    tracemalloc.start()
    try:
        for sink in sinks[:PARTS]:  # however slowly the threads begin
            sink.write(data)
        with ThreadPoolExecutor(len(sinks)) as pool:
            list(pool.map(write, sinks))
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert PARTS * BLOCK <= most < (PARTS + 1) * BLOCK


@pytest.mark.parametrize("full", [False, True])
def test_memory_is_free_again_whatever_became_of_a_file(bucket: Bucket, full: bool) -> None:
    destination = Destination("s3://my_s3@bucket/prefix/")
    bucket.full = full
    for _ in range(2 * PARTS):
        sink = destination.open("a.mp4", MIME)
        sink.write(b"x" * (BLOCK + 1000))  # a part is sent, or fails, and another is begun
        sink.discard()
    bucket.full = False
    sinks = [destination.open(f"{number}.mp4", MIME) for number in range(PARTS)]
    for sink in sinks:
        sink.write(b"half")
    for sink in sinks:
        sink.publish()
    assert len(bucket.objects) == PARTS


def test_memory_is_free_again_after_files_that_ended_with_a_part(bucket: Bucket) -> None:
    """The last part is full and fails in the background, which only the completion is told."""
    destination = Destination("s3://my_s3@bucket/prefix/")
    bucket.full = True
    for _ in range(PARTS):
        sink = destination.open("a.mp4", MIME)
        sink.write(b"x" * BLOCK)
        with pytest.raises(Veo3StorageError, match="the bucket is full"):
            sink.publish()
        sink.discard()
    bucket.full = False
    sink = destination.open("a.mp4", MIME)
    sink.write(b"half")
    sink.publish()
    assert bucket.objects["/bucket/prefix/a.mp4"][0] == b"half"


def test_what_an_error_still_shows_is_not_written_over(bucket: Bucket) -> None:
    """As gcsfs's errors do: the view of the part lies in the frames of their traceback."""
    shown: list[memoryview] = []

    def fail() -> None:
        raise OSError("the connection was reset")

    bucket.meanwhile, bucket.sees = fail, shown.append
    destination = Destination("s3://my_s3@bucket/prefix/")
    for _ in range(PARTS + 1):
        sink = destination.open("a.mp4", MIME)
        sink.write(b"x" * BLOCK)
        with pytest.raises(Veo3StorageError, match="the connection was reset"):
            sink.publish()
        sink.discard()
    assert [bytes(view[:1]) for view in shown] == [b"x"] * (PARTS + 1)
    bucket.meanwhile = lambda: None
    sink = destination.open("a.mp4", MIME)
    sink.write(b"half")
    sink.publish()
    assert bucket.objects["/bucket/prefix/a.mp4"][0] == b"half"


def test_files_that_failed_take_no_memory(bucket: Bucket) -> None:
    """Their errors are kept until the task tells of all, and the frames of each have had a part."""

    def fail() -> None:
        part = bytes(BLOCK)
        raise OSError(f"the connection was reset in {len(part)} bytes")

    bucket.meanwhile = fail
    destination = Destination("s3://my_s3@bucket/prefix/")
    errors: list[Veo3StorageError] = []
    tracemalloc.start()
    try:
        for _ in range(4 * PARTS):
            sink = destination.open("a.mp4", MIME)
            sink.write(b"x" * BLOCK)
            with pytest.raises(Veo3StorageError, match="the connection was reset") as caught:
                sink.publish()
            sink.discard()
            errors.append(caught.value)
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < (PARTS + 1) * BLOCK
    for error in errors:
        assert error.__cause__ is not None
        assert extract_tb(error.__cause__.__traceback__)[-1].name == "fail"  # which Airflow's log shows


@pytest.fixture
def host() -> Iterator[FileHost]:
    with running_file_host() as host:
        yield host


def store(host: FileHost, clock: StoppableClock, *bodies: bytes) -> list[Any]:
    links = [Video(host.add(f"{n}.mp4", body), MIME, None) for n, body in enumerate(bodies)]
    return VideoStore(
        Destination("s3://my_s3@bucket/"),
        filename="{generation_id}_{index}.mp4",
        resolve=lambda _: links,
        fetch=fetch,
        max_concurrency=4,
        clock=clock,
    ).store(["veo_1"])


def test_files_of_many_parts_arrive_whole_beside_each_other(bucket: Bucket, host: FileHost) -> None:
    bodies = [mp4(3 * BLOCK + number, seed=number) for number in range(5)]
    store(host, StoppableClock(), *bodies)
    assert {path: body for path, (body, _) in bucket.objects.items()} == {
        f"/bucket/veo_1_{index}.mp4": body for index, body in enumerate(bodies)
    }


def test_being_stopped_while_a_part_is_under_way_ends_the_upload(bucket: Bucket, host: FileHost) -> None:
    clock = StoppableClock()
    bucket.meanwhile = clock.stop
    with pytest.raises(Veo3StorageError, match="the task was ended"):
        store(host, clock, mp4(6 * BLOCK))
    assert bucket.objects == {}
    assert bucket.log[-1] == "discarded"
    assert len(bucket.parts) <= 2  # the one under way, and one that was full by then


def test_a_part_that_fails_in_the_background_fails_its_file_only(bucket: Bucket, host: FileHost) -> None:
    failures = iter([OSError("the connection was reset")])

    def fail_once() -> None:
        for failure in failures:
            raise failure

    bucket.meanwhile = fail_once
    with pytest.raises(Veo3StorageError, match=r"(?s)1 failed while 2 files were stored.*reset") as caught:
        store(host, StoppableClock(), *(mp4(2 * BLOCK + 5, seed) for seed in range(3)))
    assert len(bucket.objects) == 2
    assert all(f"s3://my_s3@{path[1:]}" in str(caught.value) for path in bucket.objects)
    assert bucket.discarded == 1
