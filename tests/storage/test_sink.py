"""Files that become visible only when published, on disks and other storage."""

from __future__ import annotations

import errno
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.io.store import _STORE_CACHE, attach
from fsspec.implementations.memory import MemoryFileSystem  # type: ignore[import-untyped]

from airflow_provider_veo3.exceptions import Veo3StorageError
from airflow_provider_veo3.storage.destination import Destination
from airflow_provider_veo3.storage.sink import STALE_SECONDS

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


def test_a_local_file_is_visible_only_when_published_and_its_folders_are_made(tmp_path: Path) -> None:
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


def test_a_discarded_local_file_leaves_nothing_and_keeps_the_earlier_file(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"before")
    sink = Destination(str(tmp_path)).open("a.mp4", MIME)
    sink.write(b"half")
    sink.discard()
    sink.discard()
    assert visible(tmp_path) == ["a.mp4"]
    assert (tmp_path / "a.mp4").read_bytes() == b"before"


def test_of_two_writers_that_may_not_replace_the_first_wins(tmp_path: Path) -> None:
    destination = Destination(str(tmp_path))
    one, two = destination.open("a.mp4", MIME), destination.open("a.mp4", MIME)
    one.write(b"1" * 1000)
    two.write(b"2" * 1000)
    one.publish(replace=False)
    assert (tmp_path / "a.mp4").stat().st_nlink == 1
    with pytest.raises(Veo3StorageError, match=r"a\.mp4 was not written: meanwhile another task .*credits"):
        two.publish(replace=False)
    two.discard()
    assert visible(tmp_path) == ["a.mp4"]
    assert (tmp_path / "a.mp4").read_bytes() == b"1" * 1000


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


@pytest.mark.parametrize("lacking", [errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EXDEV])
def test_a_disk_without_hard_links_gets_its_files_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lacking: int
) -> None:
    def link(*_: Any) -> None:
        raise OSError(lacking, os.strerror(lacking))

    monkeypatch.setattr(os, "link", link)
    sink = Destination(str(tmp_path)).open("a.mp4", MIME)
    sink.write(b"whole")
    sink.publish(replace=False)
    assert (tmp_path / "a.mp4").read_bytes() == b"whole"
    assert visible(tmp_path) == ["a.mp4"]


def test_another_error_of_the_disk_is_raised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "link", fail)
    monkeypatch.setattr(Path, "replace", fail)
    sink = Destination(str(tmp_path)).open("a.mp4", MIME)
    with pytest.raises(Veo3StorageError, match=r"a\.mp4 could not be written: OSError"):
        sink.publish(replace=False)
    sink.discard()
    assert visible(tmp_path) == []


def test_a_file_of_a_killed_attempt_is_removed_once_it_is_stale(tmp_path: Path) -> None:
    destination = Destination(str(tmp_path))
    old, fresh = destination.open("old.mp4", MIME), destination.open("fresh.mp4", MIME)
    leftover = next(tmp_path.iterdir())
    os.utime(leftover, (time.time(), time.time() - STALE_SECONDS - 60))
    destination.open("new.mp4", MIME).publish()
    assert not leftover.exists()
    assert len(visible(tmp_path)) == 2  # the new file, and the hidden one that may still be written
    old.discard()
    fresh.discard()


def test_storage_that_shows_files_at_once_gets_a_hidden_file_first(memory: dict[str, Any]) -> None:
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


class Strict(MemoryFileSystem):  # type: ignore[misc]
    """Storage whose move does not replace."""

    protocol = "strict"
    cachable = False

    def mv(self, path1: str, path2: str, **kwargs: Any) -> None:
        if self.exists(path2):
            raise FileExistsError(path2)
        super().mv(path1, path2, **kwargs)


def test_storage_whose_move_does_not_replace_ends_with_the_new_file(memory: dict[str, Any]) -> None:
    _STORE_CACHE["memory"].fs = Strict()
    destination = Destination("memory://folder")
    for body in (b"before", b"after"):
        sink = destination.open("a.mp4", MIME)
        sink.write(body)
        sink.publish()
    assert {path: file.getvalue() for path, file in memory.items()} == {"/folder/a.mp4": b"after"}


def test_storage_whose_move_does_not_replace_keeps_a_file_that_may_not_be(memory: dict[str, Any]) -> None:
    _STORE_CACHE["memory"].fs = Strict()
    destination = Destination("memory://folder")
    sinks = [destination.open("a.mp4", MIME) for _ in range(2)]
    sinks[0].write(b"before")
    sinks[1].write(b"after")
    sinks[0].publish(replace=False)
    with pytest.raises(Veo3StorageError, match=r"a\.mp4 was not written"):
        sinks[1].publish(replace=False)
    sinks[1].discard()
    assert {path: file.getvalue() for path, file in memory.items()} == {"/folder/a.mp4": b"before"}
