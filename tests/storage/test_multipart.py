"""Uploads in parts: what is visible, how much memory is held, and how failures end."""

from __future__ import annotations

import gc
import threading
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from itertools import accumulate
from traceback import extract_tb
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.io.store import _STORE_CACHE, attach

from airflow_provider_veo3.api.models import Video, VideoList
from airflow_provider_veo3.exceptions import Veo3StorageError
from airflow_provider_veo3.storage.destination import Destination
from airflow_provider_veo3.storage.listing import VideoLister
from airflow_provider_veo3.storage.multipart import MAX_PARTS, UPLOAD_THREADS
from airflow_provider_veo3.storage.provenance import Provenance
from airflow_provider_veo3.storage.store import VideoStore
from airflow_provider_veo3.storage.transfer import StoppableClock
from airflow_provider_veo3.storage.upload import PART_SIZE, UPLOADS
from tests.support.file_host import FileHost, mp4, open_file, running_file_host
from tests.support.object_store import BucketFileSystem, MultipartFile
from tests.support.store_rig import Api

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_veo3.storage.sink import Sink
    from tests.support.object_store import Bucket

MIME = "video/mp4"


@pytest.fixture(params=["s3", "gs"])
def bucket(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    """Bucket of a store that takes several parts of a file at once, and of one that does not."""
    monkeypatch.setenv("AIRFLOW_CONN_MY_STORE", "aws://")
    fs = BucketFileSystem(request.param)
    attach(request.param, "my_store", fs=fs)
    yield fs.bucket
    _STORE_CACHE.clear()


def destination_in(bucket: Bucket) -> Destination:
    return Destination(f"{bucket.scheme}://my_store@bucket/prefix/")


def part_size(bucket: Bucket) -> int:
    return UPLOADS[bucket.scheme].part_size


def at_once(bucket: Bucket) -> int:
    """Return the number of parts of one file that are sent at once."""
    return 1 if UPLOADS[bucket.scheme].in_order else UPLOAD_THREADS


def test_an_object_is_visible_only_when_completed_and_has_its_media_type(bucket: Bucket) -> None:
    destination = destination_in(bucket)
    sink = destination.open("a.mp4", MIME)
    for _ in range(12):
        sink.write(b"x" * 2**20)
        assert bucket.objects == {}
    sink.publish()
    ((path, (body, options)),) = bucket.objects.items()
    assert (path.lstrip("/"), len(body)) == ("bucket/prefix/a.mp4", 12 * 2**20)
    assert options[{"s3": "ContentType", "gs": "content_type"}[bucket.scheme]] == MIME
    assert bucket.largest_part <= part_size(bucket)
    assert b"".join(destination.read("a.mp4")) == body


@pytest.mark.parametrize("written", [0, 1000, 2 * PART_SIZE])
def test_a_discarded_upload_is_never_visible_nor_started_again(bucket: Bucket, written: int) -> None:
    sink = destination_in(bucket).open("a.mp4", MIME)
    sink.write(b"x" * written)
    sink.discard()
    started = bucket.uploads_started
    assert (started, bucket.uploads_discarded) in {(0, 0), (1, 1)}
    assert written or not started
    del sink  # fsspec closes what is collected open
    gc.collect()
    assert bucket.objects == {}
    assert (bucket.uploads_started, bucket.uploads_discarded) == (started, started)


def test_a_failed_part_is_reported_with_the_file_and_the_next_step(bucket: Bucket) -> None:
    bucket.full = True
    sink = destination_in(bucket).open("a.mp4", MIME)
    uri = rf"{bucket.scheme}://my_store@bucket/prefix/a\.mp4"
    message = f"{uri} could not be written: OSError: the bucket is full.*24 hours"
    for _ in range(at_once(bucket)):  # the parts are sent in the background, and so fail there
        sink.write(b"x" * part_size(bucket))
    with pytest.raises(Veo3StorageError, match=message):
        sink.write(b"x" * part_size(bucket))
    bucket.full = False
    with pytest.raises(Veo3StorageError, match=message):  # what is missing stays missing
        sink.publish()
    sink.discard()
    assert (bucket.objects, bucket.parts) == ({}, [])


def test_a_refused_abort_is_logged_and_hides_no_other_error(
    bucket: Bucket, caplog: pytest.LogCaptureFixture
) -> None:
    bucket.refuses_abort = True
    sink = destination_in(bucket).open("a.mp4", MIME)
    sink.write(b"x" * part_size(bucket))
    while bucket.parts != [part_size(bucket)]:  # the part is sent in the background
        pass
    sink.discard()
    assert "the abort was refused" in caplog.text
    assert bucket.objects == {}


@pytest.mark.parametrize("piece", [1000, 2**18, 3 * 2**20, 17 * 2**20])
def test_all_parts_but_the_last_are_of_one_size_however_bytes_arrive(bucket: Bucket, piece: int) -> None:
    body = bytes(range(256)) * (2**12 * 17) + b"the end"
    sink = destination_in(bucket).open("a.mp4", MIME)
    for start in range(0, len(body), piece):
        sink.write(body[start : start + piece])
    sink.publish()
    assert bucket.objects["/bucket/prefix/a.mp4"][0] == body
    whole, rest = divmod(len(body), part_size(bucket))
    assert sorted(bucket.parts) == sorted([part_size(bucket)] * whole + [rest])


def test_a_failure_of_the_last_part_is_reported_when_publishing(bucket: Bucket) -> None:
    sink = destination_in(bucket).open("a.mp4", MIME)
    sink.write(b"x" * (part_size(bucket) + 1000))
    bucket.full = True
    with pytest.raises(Veo3StorageError, match="the bucket is full"):
        sink.publish()
    sink.discard()
    assert bucket.objects == {}


class ImmediateFile(MultipartFile):
    """Writer that sends bytes at once, without parts."""

    def write(self, data: bytes) -> int:
        return len(data)


def test_a_writer_that_takes_no_parts_is_refused(bucket: Bucket) -> None:
    bucket.file_class = ImmediateFile
    sink = destination_in(bucket).open("a.mp4", MIME)
    sink.write(b"half")
    if bucket.scheme == "s3":  # has parts without a writer
        sink.publish()
        return
    with pytest.raises(
        Veo3StorageError, match=r"a\.mp4 could not be written.*shows a file while it is written"
    ):
        sink.publish()
    assert bucket.objects == {}


def test_a_part_is_sent_while_the_next_one_is_written(bucket: Bucket) -> None:
    written = threading.Event()
    bucket.during_part = lambda: written.wait(60) or pytest.fail("the next write waits for the part")
    sink = destination_in(bucket).open("a.mp4", MIME)
    sink.write(b"x" * part_size(bucket))
    sink.write(b"y" * (part_size(bucket) - 1))
    assert bucket.parts == []
    written.set()
    sink.publish()
    assert bucket.objects["/bucket/prefix/a.mp4"][0] == b"x" * part_size(bucket) + b"y" * (
        part_size(bucket) - 1
    )


def test_bytes_that_a_writer_keeps_back_are_sent_later(bucket: Bucket) -> None:
    bucket.keeps_rest = True
    sink = destination_in(bucket).open("a.mp4", MIME)
    sink.write(b"x" * part_size(bucket) + b"y")
    sink.publish()
    assert bucket.objects["/bucket/prefix/a.mp4"][0] == b"x" * part_size(bucket) + b"y"


def test_an_abort_waits_for_the_part_that_is_being_sent(bucket: Bucket) -> None:
    """Otherwise the store keeps that part."""
    sink = destination_in(bucket).open("a.mp4", MIME)
    started = threading.Event()
    discarding = threading.Thread(target=sink.discard)

    def let_the_abort_run() -> None:
        started.set()
        while not discarding.ident:
            pass
        discarding.join(0.2)  # ends at once where the abort does not wait

    bucket.during_part = let_the_abort_run
    sink.write(b"x" * part_size(bucket))
    assert started.wait(60)
    discarding.start()
    discarding.join()
    assert bucket.log == ["part started", "part sent", "discarded"]
    assert bucket.objects == {}


def test_a_queued_part_is_not_started_after_the_abort(bucket: Bucket) -> None:
    destination = destination_in(bucket)
    sinks = [destination.open(f"{number}.mp4", MIME) for number in range(UPLOAD_THREADS + 1)]
    aborted = threading.Event()
    bucket.during_part = lambda: aborted.wait(60)
    for sink in sinks:
        sink.write(b"x" * part_size(bucket))
    *busy, waiting = sinks
    waiting.discard()
    aborted.set()
    for sink in busy:
        sink.publish()
    assert sorted(bucket.objects) == [f"/bucket/prefix/{number}.mp4" for number in range(UPLOAD_THREADS)]
    assert bucket.uploads_started == UPLOAD_THREADS


def test_the_number_of_parts_sent_at_once_is_limited(bucket: Bucket) -> None:
    destination = destination_in(bucket)
    sinks = [destination.open(f"{name}.mp4", MIME) for name in "abcdef"]  # more than there are parts

    def write(sink: Sink) -> None:
        for _ in range(8):
            sink.write(b"x" * (part_size(bucket) // 2))
        sink.publish()

    with ThreadPoolExecutor() as pool:
        list(pool.map(write, sinks))
    assert [len(body) for body, _ in bucket.objects.values()] == [4 * part_size(bucket)] * 6
    being_sent = list(accumulate({"part started": 1, "part sent": -1}[each] for each in bucket.log))
    assert max(being_sent) <= UPLOAD_THREADS
    assert being_sent[-1] == 0


def test_a_file_that_is_garbage_collected_is_never_visible(bucket: Bucket) -> None:
    sink = destination_in(bucket).open("a.mp4", MIME)
    sink.write(b"half")
    del sink  # fsspec closes what is collected open
    gc.collect()
    assert bucket.objects == {}


def test_all_files_together_need_the_memory_of_a_few_parts(bucket: Bucket) -> None:
    bucket.stores_bytes = False
    destination = destination_in(bucket)
    sinks = [destination.open(f"{number}.mp4", MIME) for number in range(8)]
    data = b"x" * 2**18

    def write(sink: Sink) -> None:
        for _ in range(3 * part_size(bucket) // len(data)):
            sink.write(data)
        sink.publish()

    tracemalloc.start()
    try:
        for sink in sinks[:MAX_PARTS]:  # however slowly the threads begin
            sink.write(data)
        with ThreadPoolExecutor(len(sinks)) as pool:
            list(pool.map(write, sinks))
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    copies = UPLOAD_THREADS if bucket.scheme == "gs" else 0  # in the writer
    assert MAX_PARTS * part_size(bucket) <= most < (MAX_PARTS + copies + 1) * part_size(bucket)


@pytest.mark.parametrize("full", [False, True])
def test_a_discarded_file_releases_its_memory(bucket: Bucket, full: bool) -> None:
    destination = destination_in(bucket)
    bucket.full = full
    for _ in range(2 * MAX_PARTS):
        sink = destination.open("a.mp4", MIME)
        sink.write(b"x" * (part_size(bucket) + 1000))  # a part is sent, or fails, and another is begun
        sink.discard()
    bucket.full = False
    sinks = [destination.open(f"{number}.mp4", MIME) for number in range(MAX_PARTS)]
    for sink in sinks:
        sink.write(b"half")
    for sink in sinks:
        sink.publish()
    assert len(bucket.objects) == MAX_PARTS


def test_a_file_whose_last_part_failed_releases_its_memory(bucket: Bucket) -> None:
    """Failure of a full last part in the background, which only publishing reports."""
    destination = destination_in(bucket)
    bucket.full = True
    for _ in range(MAX_PARTS):
        sink = destination.open("a.mp4", MIME)
        sink.write(b"x" * part_size(bucket))
        with pytest.raises(Veo3StorageError, match="the bucket is full"):
            sink.publish()
        sink.discard()
    bucket.full = False
    sink = destination.open("a.mp4", MIME)
    sink.write(b"half")
    sink.publish()
    assert bucket.objects["/bucket/prefix/a.mp4"][0] == b"half"


def test_memory_that_an_error_still_exports_is_not_reused(bucket: Bucket) -> None:
    """Bytes of a part in the frames of a traceback."""
    shown: list[bytes] = []

    def fail() -> None:
        raise OSError("the connection was reset")

    bucket.during_part, bucket.sees_part = fail, shown.append
    destination = destination_in(bucket)
    for _ in range(MAX_PARTS + 1):
        sink = destination.open("a.mp4", MIME)
        sink.write(b"x" * part_size(bucket))
        with pytest.raises(Veo3StorageError, match="the connection was reset"):
            sink.publish()
        sink.discard()
    assert [part[:1] for part in shown] == [b"x"] * (MAX_PARTS + 1)
    bucket.during_part = lambda: None
    sink = destination.open("a.mp4", MIME)
    sink.write(b"half")
    sink.publish()
    assert bucket.objects["/bucket/prefix/a.mp4"][0] == b"half"


def test_the_errors_of_failed_files_hold_no_memory(bucket: Bucket) -> None:
    """Memory of errors that are kept until the task reports them all."""

    def fail() -> None:
        part = bytes(part_size(bucket))
        raise OSError(f"the connection was reset in {len(part)} bytes")

    bucket.during_part = fail
    destination = destination_in(bucket)
    errors: list[Veo3StorageError] = []
    tracemalloc.start()
    try:
        for _ in range(4 * MAX_PARTS):
            sink = destination.open("a.mp4", MIME)
            sink.write(b"x" * part_size(bucket))
            with pytest.raises(Veo3StorageError, match="the connection was reset") as caught:
                sink.publish()
            sink.discard()
            errors.append(caught.value)
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < (MAX_PARTS + 1) * part_size(bucket)
    for error in errors:
        assert error.__cause__ is not None
        assert extract_tb(error.__cause__.__traceback__)[-1].name == "fail"  # which Airflow's log shows


@pytest.fixture
def host() -> Iterator[FileHost]:
    with running_file_host() as host:
        yield host


def store(bucket: Bucket, host: FileHost, clock: StoppableClock, *bodies: bytes) -> list[Any]:
    links = [Video(host.add(f"{n}.mp4", body), MIME, None) for n, body in enumerate(bodies)]
    return VideoStore(
        Destination(f"{bucket.scheme}://my_store@bucket/"),
        filename="{generation_id}_{index}.mp4",
        lister=VideoLister(lambda _: VideoList(links), Provenance({}, Api().get_generation), clock),
        open_file=open_file,
        max_concurrency=4,
        clock=clock,
    ).store(["veo_1"])


def test_files_of_many_parts_are_stored_whole_at_the_same_time(bucket: Bucket, host: FileHost) -> None:
    bodies = [mp4(3 * part_size(bucket) + number, seed=number) for number in range(5)]
    store(bucket, host, StoppableClock(), *bodies)
    assert {path: body for path, (body, _) in bucket.objects.items()} == {
        f"/bucket/veo_1_{index}.mp4": body for index, body in enumerate(bodies)
    }


def test_a_stop_while_a_part_is_being_sent_aborts_the_upload(bucket: Bucket, host: FileHost) -> None:
    clock = StoppableClock()
    bucket.during_part = clock.stop
    with pytest.raises(Veo3StorageError, match="the task was ended"):
        store(bucket, host, clock, mp4(6 * part_size(bucket)))
    assert bucket.objects == {}
    assert bucket.log[-1] == "discarded"
    assert len(bucket.parts) <= 2  # the one being sent, and one that was full by then


def test_a_part_that_fails_in_the_background_fails_its_file_only(bucket: Bucket, host: FileHost) -> None:
    failures = iter([OSError("the connection was reset")])

    def fail_once() -> None:
        for failure in failures:
            raise failure

    bucket.during_part = fail_once
    with pytest.raises(Veo3StorageError, match=r"(?s)stored: 1 error, 2 stored files;.*reset") as caught:
        store(bucket, host, StoppableClock(), *(mp4(2 * part_size(bucket) + 5, seed) for seed in range(3)))
    assert len(bucket.objects) == 2
    assert all(f"{bucket.scheme}://my_store@{path[1:]}" in str(caught.value) for path in bucket.objects)
    assert bucket.uploads_discarded == 1
