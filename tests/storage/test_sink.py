from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk import ObjectStoragePath
from airflow.sdk.io.store import _STORE_CACHE, attach
from fsspec.implementations.memory import MemoryFileSystem  # type: ignore[import-untyped]

from airflow_provider_veo3.exceptions import Veo3StorageError, Veo3ValidationError
from airflow_provider_veo3.storage.destination import Destination
from airflow_provider_veo3.storage.sink import STALE_SECONDS
from tests.support.airflow_versions import AIRFLOW, filesystems

if TYPE_CHECKING:
    from collections.abc import Iterator


MIME = "video/mp4"


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
        monkeypatch.delattr(ObjectStoragePath, "conn_id", raising=AIRFLOW >= (3, 2))
    assert destination.uri("a/b.mp4") == uri
    path = ObjectStoragePath(uri)
    assert path.path == uri.removeprefix("file://").removeprefix("conn@")


@pytest.mark.parametrize(
    "uri",
    ["", "  ", None, 7, "nonsense://bucket/x", "http://host/x", "s3://bucket/x", "s3://conn@[bucket]x/"],
)
def test_a_destination_nothing_serves_is_refused_before_anything_is_done(uri: Any) -> None:
    with pytest.raises(Veo3ValidationError, match=r"destination=.*allowed: a local folder") as caught:
        Destination(uri)
    assert caught.value.field == "destination"


@pytest.mark.parametrize("uri", ["s3:/bucket/x", "s3:bucket", "file:/videos", "gs:"])
def test_a_mistyped_uri_is_not_taken_for_a_folder_of_the_worker(uri: str) -> None:
    with pytest.raises(Veo3ValidationError, match=r"destination=.*a scheme is followed by '://'"):
        Destination(uri)


@pytest.mark.parametrize(
    ("bucket", "why"), [("bucket", "credentials belong in the connection"), ("[bucket", "Invalid IPv6")]
)
def test_credentials_in_a_destination_are_refused_and_not_repeated(bucket: str, why: str) -> None:
    with pytest.raises(Veo3ValidationError, match=why) as caught:
        Destination(f"s3://AKIA123:s3cr3t@{bucket}/x")
    assert "s3cr3t" not in str(caught.value)
    assert "AKIA123" not in str(caught.value)


def test_a_missing_connection_is_refused_by_name(airflow_db: None) -> None:
    registry = filesystems()

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


def test_storage_that_cannot_be_reached_just_now_is_worth_a_retry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_CONN", "google-cloud-platform://")
    registry = filesystems()

    def unreachable(conn_id: str | None) -> MemoryFileSystem:
        raise ConnectionError("no route to the store")

    registry._register_filesystems()["gs"] = unreachable  # type: ignore[index]
    try:
        with pytest.raises(Veo3StorageError, match="no route to the store"):
            Destination("gs://conn@bucket/x")
    finally:
        registry._register_filesystems.cache_clear()
        _STORE_CACHE.clear()
