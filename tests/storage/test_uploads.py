"""What object stores show, and how much is held in memory for them."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.io.store import _STORE_CACHE, attach
from fsspec.implementations.memory import MemoryFileSystem  # type: ignore[import-untyped]
from fsspec.spec import AbstractBufferedFile  # type: ignore[import-untyped]

from airflow_provider_veo3.exceptions import Veo3StorageError, Veo3ValidationError
from airflow_provider_veo3.storage.destination import UPLOADS, Destination
from airflow_provider_veo3.storage.sink import BLOCK

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from airflow_provider_veo3.storage.sink import Sink

MIME = "video/mp4"


class StagedFile(AbstractBufferedFile):  # type: ignore[misc]
    """Uploads in parts, as S3's writer does; ``Bucket.objects`` changes only when it is committed."""

    parts: list[bytes] | None

    def _initiate_upload(self) -> None:
        self.fs.bucket.begun += 1
        self.parts = []

    def _upload_chunk(self, final: bool = False) -> bool:
        if self.fs.bucket.full:
            raise OSError("the bucket is full")
        self.fs.bucket.largest_part = max(self.fs.bucket.largest_part, self.buffer.tell())
        assert self.parts is not None
        bucket: Bucket = self.fs.bucket
        bucket.uploading += 1
        bucket.most_uploading = max(bucket.most_uploading, bucket.uploading)
        time.sleep(0)  # let others upload, if they may
        self.parts.append(self.buffer.getvalue())
        bucket.parts.append(len(self.parts[-1]))
        bucket.uploading -= 1
        if final and self.autocommit:
            self.commit()
        return True

    def commit(self) -> None:
        parts, self.parts = self.parts, None
        assert parts is not None, "an upload is completed once"
        self.fs.bucket.objects[self.path] = (b"".join(parts), self.kwargs)

    def discard(self) -> None:
        self.fs.bucket.discarded += 1


class Bucket:
    def __init__(self) -> None:
        self.objects: dict[str, tuple[bytes, dict[str, Any]]] = {}
        self.begun = self.discarded = self.largest_part = 0
        self.full = False
        self.parts: list[int] = []
        self.uploading = self.most_uploading = 0


class BucketFileSystem(MemoryFileSystem):  # type: ignore[misc]
    """An object store, as far as writing to one goes."""

    protocol = "s3"
    cachable = False

    def __init__(self) -> None:
        super().__init__()
        self.bucket = Bucket()
        self.listed: dict[str, dict[str, tuple[bytes, Any]]] = {}

    def _open(self, path: str, mode: str = "rb", **kwargs: Any) -> StagedFile:
        return StagedFile(self, path, mode, **{k: v for k, v in kwargs.items() if v is not None})

    def info(self, path: str, **kwargs: Any) -> dict[str, Any]:
        """From a listing that is kept, as real stores' file systems do."""
        listing = self.listed.setdefault(self._parent(path), dict(self.bucket.objects))
        if path not in listing:
            raise FileNotFoundError(path)
        return {"name": path, "size": len(listing[path][0]), "type": "file"}

    def invalidate_cache(self, path: str | None = None) -> None:
        self.listed.pop(path or "", None)

    def cat_file(self, path: str, start: int | None = None, end: int | None = None, **kwargs: Any) -> bytes:
        return self.bucket.objects[path][0][start:end]


@pytest.fixture
def bucket() -> Iterator[Bucket]:
    fs = BucketFileSystem()
    attach("s3", "my_s3", fs=fs)
    yield fs.bucket
    _STORE_CACHE.clear()


def test_an_object_is_seen_only_when_committed_and_knows_its_type(bucket: Bucket) -> None:
    destination = Destination("s3://my_s3@bucket/prefix/")
    sink = destination.open("a.mp4", MIME)
    for _ in range(12):
        sink.write(b"x" * 2**20)
        assert bucket.objects == {}
    sink.publish()
    ((path, (body, options)),) = bucket.objects.items()
    assert (path.lstrip("/"), len(body)) == ("bucket/prefix/a.mp4", 12 * 2**20)
    assert options["ContentType"] == MIME
    assert bucket.largest_part <= BLOCK + 2**20
    assert b"".join(destination.read("a.mp4")) == body


def test_a_file_that_another_worker_stored_meanwhile_is_found(bucket: Bucket) -> None:
    destination = Destination("s3://my_s3@bucket/prefix/")
    assert destination.size("a.mp4") is None
    bucket.objects["/bucket/prefix/a.mp4"] = (b"x" * 77, {})
    assert destination.size("a.mp4") == 77


@pytest.mark.parametrize("written", [0, 1000, 2 * BLOCK])
def test_a_discarded_object_is_never_seen_nor_begun_again(bucket: Bucket, written: int) -> None:
    sink = Destination("s3://my_s3@bucket/prefix/").open("a.mp4", MIME)
    sink.write(b"x" * written)
    begun = bucket.begun
    sink.discard()
    del sink  # fsspec closes, and thereby publishes, what is collected open
    assert bucket.objects == {}
    assert (bucket.begun, bucket.discarded) == (begun, 1)


def test_trouble_with_a_store_is_told_with_the_file_and_what_to_do(bucket: Bucket) -> None:
    bucket.full = True
    sink = Destination("s3://my_s3@bucket/prefix/").open("a.mp4", MIME)
    with pytest.raises(Veo3StorageError, match=r"s3://my_s3@bucket/prefix/a\.mp4.*bucket is full.*24 hours"):
        sink.write(b"x" * BLOCK)
    sink.discard()
    assert bucket.objects == {}


def test_an_objects_uri_keeps_the_connection(bucket: Bucket) -> None:
    assert Destination("s3://my_s3@bucket/p").uri("a.mp4") == "s3://my_s3@bucket/p/a.mp4"


def test_a_destination_without_a_bucket_is_refused(bucket: Bucket) -> None:
    with pytest.raises(Veo3ValidationError, match="destination"):
        Destination("s3://my_s3@")


def test_leftovers_that_stay_are_logged_and_hide_no_other_error(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(self: StagedFile) -> None:
        raise OSError("the abort was refused")

    monkeypatch.setattr(StagedFile, "discard", fail)
    sink = Destination("s3://my_s3@bucket/prefix/").open("a.mp4", MIME)
    sink.write(b"half")
    sink.discard()
    assert "the abort was refused" in caplog.text
    assert bucket.objects == {}


@pytest.mark.parametrize("piece", [1000, 2**18, 3 * 2**20, 17 * 2**20])
def test_parts_of_an_upload_are_alike_however_the_bytes_come(bucket: Bucket, piece: int) -> None:
    body = bytes(range(256)) * (2**12 * 17) + b"the end"
    sink = Destination("s3://my_s3@bucket/prefix/").open("a.mp4", MIME)
    for start in range(0, len(body), piece):
        sink.write(body[start : start + piece])
    sink.publish()
    assert bucket.objects["/bucket/prefix/a.mp4"][0] == body
    assert bucket.parts == [BLOCK, BLOCK, BLOCK, len(body) - 3 * BLOCK]


def test_files_for_one_store_upload_their_parts_in_turn(bucket: Bucket) -> None:
    destination = Destination("s3://my_s3@bucket/prefix/")
    sinks = [destination.open(f"{name}.mp4", MIME) for name in "abc"]

    def write(sink: Sink) -> None:
        for _ in range(8):
            sink.write(b"x" * (BLOCK // 2))
        sink.publish()

    with ThreadPoolExecutor() as pool:
        list(pool.map(write, sinks))
    assert {len(body) for body, _ in bucket.objects.values()} == {4 * BLOCK}
    assert bucket.most_uploading == 1


def test_only_an_object_store_takes_few_files_at_once(bucket: Bucket, tmp_path: Path) -> None:
    assert Destination("s3://my_s3@bucket/prefix/").most_at_once == UPLOADS
    assert Destination(str(tmp_path)).most_at_once is None
