"""Writers that make a file visible only when whole, for each kind of storage.

* Local folders: a hidden file beside the target, flushed to disk and renamed. Where no other file may be
  replaced, a hard link decides between two writers of one name.
* S3, Google Cloud Storage, Azure Blob Storage: an upload in parts, which the store shows only once it is
  completed; see :mod:`~airflow_provider_veo3.storage.upload`. Parts that a killed worker leaves are
  invisible, and its retry removes them when it has stored the file.
* Everything else fsspec knows (SFTP, SMB, memory ...): a hidden file beside the target, moved over it; as
  atomic as that storage's own move. Of two writers of one name, the last wins, as in the object stores.
"""

from __future__ import annotations

import contextlib
import logging
import os
import posixpath
import time
import uuid
from typing import TYPE_CHECKING, Any, Final, Protocol

from airflow_provider_veo3.storage.upload import PART_SIZE

if TYPE_CHECKING:
    from pathlib import Path

    from fsspec import AbstractFileSystem  # type: ignore[import-untyped]

log = logging.getLogger(__name__)

CHUNK_SIZE: Final = 2**16
"""Bytes read and written at a time; by measurement, more is not faster."""

STALE_SECONDS: Final = 3600.0
"""Seconds without a write after which a hidden local file has no writer any more."""

_HIDDEN_PREFIX: Final = ".veo3-"
_HIDDEN_SUFFIX: Final = ".part"


class Sink(Protocol):
    """File being written, invisible under its name until it is published."""

    def write(self, data: bytes) -> None:
        """Append bytes."""

    def publish(self, *, replace: bool = True) -> None:
        """Make the whole file visible under its name.

        :param replace: whether it takes the place of another file of that name.
        :raises FileExistsError: there is one, which may not be replaced; not every storage can tell.
        """

    def discard(self) -> None:
        """Remove every trace of the file; may be repeated."""


class LocalSink:
    """Hidden local file that is renamed to its target.

    Each writer has a hidden file of its own, so that two writers of one name cannot mix.

    :param path: target.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_stale_files(path.parent)
        self._path = path
        self._hidden = path.with_name(_hidden_name())
        self._file = self._hidden.open("xb")

    def write(self, data: bytes) -> None:
        """Append bytes."""
        self._file.write(data)

    def publish(self, *, replace: bool = True) -> None:
        """Rename the file, once its bytes are on the disk."""
        self._file.flush()  # before the rename: a crash must not leave a short file under the name
        os.fsync(self._file.fileno())
        self._file.close()
        if replace or not self._linked():
            self._hidden.replace(self._path)
        with contextlib.suppress(OSError):  # not every file system can flush a folder
            folder = os.open(self._path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)

    def _linked(self) -> bool:
        """Rename the file unless the name is taken; return false where the disk has no hard links."""
        try:
            os.link(self._hidden, self._path)
        except FileExistsError:
            raise
        except OSError:  # what else is wrong with the disk also fails the rename
            return False
        self._hidden.unlink()
        return True

    def discard(self) -> None:
        """Remove the hidden file."""
        with contextlib.suppress(OSError):  # a full disk fails the close too
            self._file.close()
        self._hidden.unlink(missing_ok=True)


class RenamedSink:
    """Hidden file that is moved to its target, for storage with nothing better.

    :param fs: file system of the storage.
    :param path: target.
    """

    def __init__(self, fs: AbstractFileSystem, path: str) -> None:
        folder = posixpath.dirname(path)
        fs.makedirs(folder, exist_ok=True)
        self._fs = fs
        self._path = path
        self._hidden = f"{folder.rstrip('/')}/{_hidden_name()}"
        self._file: Any = fs.open(self._hidden, "wb", block_size=PART_SIZE)

    def write(self, data: bytes) -> None:
        """Append bytes."""
        self._file.write(data)

    def publish(self, *, replace: bool = True) -> None:
        """Move the hidden file to its target."""
        self._file.close()
        try:
            self._fs.mv(self._hidden, self._path)
        except FileExistsError:  # storage whose move does not replace, such as SMB
            if not replace:
                raise
            self._fs.rm_file(self._path)
            self._fs.mv(self._hidden, self._path)

    def discard(self) -> None:
        """Remove the hidden file."""
        with contextlib.suppress(Exception):  # what matters is that the file goes
            self._file.close()
        with contextlib.suppress(FileNotFoundError):
            self._fs.rm_file(self._hidden)


def _hidden_name() -> str:
    """Return a random name, which belongs to one attempt and is never too long."""
    return f"{_HIDDEN_PREFIX}{uuid.uuid4().hex}{_HIDDEN_SUFFIX}"


def _remove_stale_files(folder: Path) -> None:
    """Remove the hidden files of killed attempts, whatever they were writing."""
    for leftover in folder.glob(f"{_HIDDEN_PREFIX}*{_HIDDEN_SUFFIX}"):
        with contextlib.suppress(OSError):  # another task may remove it first
            if time.time() - leftover.stat().st_mtime > STALE_SECONDS:
                leftover.unlink()
                log.info("Removed %s, left by a killed attempt", leftover)
