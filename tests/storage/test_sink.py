from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk import ObjectStoragePath
from airflow.sdk.io.store import _STORE_CACHE, attach
from fsspec.implementations.memory import MemoryFileSystem  # type: ignore[import-untyped]
from fsspec.spec import AbstractBufferedFile  # type: ignore[import-untyped]

from airflow_provider_veo3.exceptions import Veo3StorageError, Veo3ValidationError
from airflow_provider_veo3.storage.destination import Destination
from airflow_provider_veo3.storage.sink import BLOCK, STALE_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator

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
        self.parts.append(self.buffer.getvalue())
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


@pytest.fixture
def memory() -> Iterator[dict[str, Any]]:
    fs = MemoryFileSystem()
    fs.store.clear()
    attach("memory", fs=fs)
    yield fs.store
    fs.store.clear()
    _STORE_CACHE.clear()


def visible(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_a_local_file_is_seen_only_when_published_and_its_folders_are_made(tmp_path: Path) -> None:
    destination = Destination(f"file://{tmp_path}/deep")
    sink = destination.open("er/a.mp4", MIME)
    sink.write(b"one")
    hidden = visible(tmp_path)
    assert len(hidden) == 1
    assert hidden[0].startswith(".")
    assert destination.size("er/a.mp4") is None
    sink.write(b"two")
    sink.publish()
    assert visible(tmp_path) == ["a.mp4"]
    assert (tmp_path / "deep/er/a.mp4").read_bytes() == b"onetwo"
    assert destination.size("er/a.mp4") == 6
    assert b"".join(destination.read("er/a.mp4")) == b"onetwo"


def test_a_published_file_has_the_permissions_of_any_new_file(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    sink = Destination(str(tmp_path)).open("a.mp4", MIME)
    sink.publish()
    assert (tmp_path / "a.mp4").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_a_discarded_local_file_leaves_nothing_and_spares_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"before")
    sink = Destination(str(tmp_path)).open("a.mp4", MIME)
    sink.write(b"half")
    sink.discard()
    sink.discard()
    assert visible(tmp_path) == ["a.mp4"]
    assert (tmp_path / "a.mp4").read_bytes() == b"before"


def test_two_writers_of_one_name_do_not_mix(tmp_path: Path) -> None:
    destination = Destination(str(tmp_path))
    one, two = destination.open("a.mp4", MIME), destination.open("a.mp4", MIME)
    for _ in range(3):
        one.write(b"1" * 1000)
        two.write(b"2" * 1000)
    one.publish()
    assert (tmp_path / "a.mp4").read_bytes() == b"1" * 3000
    two.publish()
    assert (tmp_path / "a.mp4").read_bytes() == b"2" * 3000
    assert visible(tmp_path) == ["a.mp4"]


def test_what_a_killed_attempt_left_is_swept_once_nobody_can_be_writing_it(tmp_path: Path) -> None:
    destination = Destination(str(tmp_path))
    old, fresh = destination.open("old.mp4", MIME), destination.open("fresh.mp4", MIME)
    leftover = next(tmp_path.iterdir())
    os.utime(leftover, (time.time(), time.time() - STALE_SECONDS - 60))
    destination.open("new.mp4", MIME).publish()
    assert not leftover.exists()
    assert len(visible(tmp_path)) == 2  # the new file, and the hidden one that may still be written
    old.discard()
    fresh.discard()


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


def test_storage_that_shows_files_at_once_gets_a_hidden_name_first(memory: dict[str, Any]) -> None:
    destination = Destination("memory://folder")
    before = destination.open("a.mp4", MIME)
    before.write(b"before")
    before.publish()
    sink = destination.open("a.mp4", MIME)
    sink.write(b"half")
    assert memory["/folder/a.mp4"].getvalue() == b"before"
    sink.write(b" and half")
    sink.publish()
    assert list(memory) == ["/folder/a.mp4"]
    assert memory["/folder/a.mp4"].getvalue() == b"half and half"
    gone = destination.open("b.mp4", MIME)
    gone.write(b"half")
    gone.discard()
    gone.discard()
    assert list(memory) == ["/folder/a.mp4"]


@pytest.mark.parametrize(
    ("given", "uri"),
    [
        ("file:///videos/", "file:///videos/a/b.mp4"),
        ("/videos", "file:///videos/a/b.mp4"),
        ("videos", f"file://{Path.cwd()}/videos/a/b.mp4"),
        ("file://conn@/videos", "file://conn@/videos/a/b.mp4"),
        ("/with space#and?marks%20", "file:///with space#and?marks%20/a/b.mp4"),
    ],
)
@pytest.mark.parametrize("tells", [True, False], ids=["as since Airflow 3.2", "as before"])
def test_a_uri_opens_the_file_again_and_keeps_the_connection(
    given: str, uri: str, tells: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    destination = Destination(given)
    if not tells:  # which connection it is of
        monkeypatch.delattr(ObjectStoragePath, "conn_id")
    assert destination.uri("a/b.mp4") == uri
    path = ObjectStoragePath(uri)
    assert path.path == uri.removeprefix("file://").removeprefix("conn@")


def test_an_objects_uri_keeps_the_connection(bucket: Bucket) -> None:
    assert Destination("s3://my_s3@bucket/p").uri("a.mp4") == "s3://my_s3@bucket/p/a.mp4"


@pytest.mark.parametrize("uri", ["", "  ", None, 7, "nonsense://bucket/x", "http://host/x", "s3://bucket/x"])
def test_a_destination_nothing_serves_is_refused_before_anything_is_done(uri: Any) -> None:
    with pytest.raises(Veo3ValidationError, match=r"destination=.*allowed: a local folder") as caught:
        Destination(uri)
    assert caught.value.field == "destination"


def test_a_destination_without_a_bucket_is_refused(bucket: Bucket) -> None:
    with pytest.raises(Veo3ValidationError, match="destination"):
        Destination("s3://my_s3@")


def test_credentials_in_a_destination_are_refused_and_not_repeated() -> None:
    with pytest.raises(Veo3ValidationError, match="credentials belong in the connection") as caught:
        Destination("s3://AKIA123:s3cr3t@bucket/x")
    assert "s3cr3t" not in str(caught.value)
    assert "AKIA123" not in str(caught.value)


def test_a_missing_connection_is_refused_by_name(airflow_db: None) -> None:
    from airflow.sdk.io import fs as registry

    def needs_connection(conn_id: str | None) -> MemoryFileSystem:
        from airflow.sdk import BaseHook

        return MemoryFileSystem(BaseHook.get_connection(conn_id or ""))

    registry._register_filesystems()["gs"] = needs_connection  # type: ignore[index]
    try:
        with pytest.raises(Veo3ValidationError, match=r"no_such_conn.*connection"):
            Destination("gs://no_such_conn@bucket/x")
    finally:
        registry._register_filesystems.cache_clear()
        _STORE_CACHE.clear()


def test_a_folder_that_may_not_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(Veo3StorageError, match=r"file/sub/a\.mp4 could not be written.*credits are spent"):
        Destination(str(tmp_path / "file/sub")).open("a.mp4", MIME)


def test_storage_whose_move_does_not_replace_still_ends_with_the_new_file(memory: dict[str, Any]) -> None:
    class Strict(MemoryFileSystem):  # type: ignore[misc]
        protocol = "strict"
        cachable = False

        def mv(self, path1: str, path2: str, **kwargs: Any) -> None:
            if self.exists(path2):
                raise FileExistsError(path2)
            super().mv(path1, path2, **kwargs)

    _STORE_CACHE["memory"].fs = Strict()
    destination = Destination("memory://folder")
    for body in (b"before", b"after"):
        sink = destination.open("a.mp4", MIME)
        sink.write(body)
        sink.publish()
    assert {path: file.getvalue() for path, file in memory.items()} == {"/folder/a.mp4": b"after"}


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


def test_storage_that_cannot_be_reached_just_now_is_worth_a_retry(airflow_db: None) -> None:
    from airflow.sdk.io import fs as registry

    def unreachable(conn_id: str | None) -> MemoryFileSystem:
        raise ConnectionError("no route to the store")

    registry._register_filesystems()["gs"] = unreachable  # type: ignore[index]
    try:
        with pytest.raises(Veo3StorageError, match="no route to the store"):
            Destination("gs://conn@bucket/x")
    finally:
        registry._register_filesystems.cache_clear()
        _STORE_CACHE.clear()
