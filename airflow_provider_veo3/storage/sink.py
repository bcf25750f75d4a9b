"""How a file is written so that it is seen whole or not at all, for each kind of storage.

* Local folders: a hidden file beside the target, flushed to disk and renamed over it.
* S3, Google Cloud Storage, Azure Blob Storage: an upload in parts, which the store shows only once it is
  completed. What a killed worker leaves is invisible, and goes when its retry has stored the file.
* Everything else fsspec knows (SFTP, SMB, memory ...): a hidden file beside the target, moved over it; as
  atomic as that storage's own move.
"""

from __future__ import annotations

import contextlib
import logging
import os
import time
import uuid
from typing import TYPE_CHECKING, Any, Final, Protocol

from airflow_provider_veo3.storage.multipart import BLOCK

if TYPE_CHECKING:
    from pathlib import Path

    from fsspec import AbstractFileSystem  # type: ignore[import-untyped]

log = logging.getLogger(__name__)

STALE_SECONDS: Final = 3600.0
"""A hidden local file that got no byte for this long has lost its writer: no read waits nearly as long."""

_HIDDEN: Final = ".veo3-"
_PART: Final = ".part"


class Sink(Protocol):
    """A file being written, which nobody sees under its name before ``publish``."""

    def write(self, data: bytes) -> None:
        """Append."""

    def publish(self) -> None:
        """Show the file, whole, under its name, in place of what was there."""

    def discard(self) -> None:
        """Leave no trace of it; harmless when repeated."""


class LocalSink:
    """Writes a hidden file beside the target and renames it; two writers of one name cannot mix."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        _sweep(path.parent)
        self._path = path
        self._hidden = path.with_name(_hidden_name())
        self._file = self._hidden.open("xb")

    def write(self, data: bytes) -> None:
        """Append."""
        self._file.write(data)

    def publish(self) -> None:
        """Rename, after the bytes are on the disk: a crash must not leave a short file under the name."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        self._hidden.replace(self._path)
        with contextlib.suppress(OSError):  # not every file system can flush a folder
            folder = os.open(self._path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)

    def discard(self) -> None:
        """Remove the hidden file."""
        with contextlib.suppress(OSError):  # a full disk fails the close too
            self._file.close()
        self._hidden.unlink(missing_ok=True)


class RenamedSink:
    """Writes a hidden file beside the target and moves it there, for storage with nothing better."""

    def __init__(self, fs: AbstractFileSystem, path: str) -> None:
        folder = fs._parent(path)
        fs.makedirs(folder, exist_ok=True)
        self._fs = fs
        self._path = path
        self._hidden = f"{folder.rstrip('/')}/{_hidden_name()}"
        self._file: Any = fs.open(self._hidden, "wb", block_size=BLOCK)

    def write(self, data: bytes) -> None:
        """Append."""
        self._file.write(data)

    def publish(self) -> None:
        """Move, in place of what was there."""
        self._file.close()
        try:
            self._fs.mv(self._hidden, self._path)
        except FileExistsError:  # storage whose move does not replace, such as SMB
            self._fs.rm_file(self._path)
            self._fs.mv(self._hidden, self._path)

    def discard(self) -> None:
        """Remove the hidden file."""
        with contextlib.suppress(Exception):  # what matters is that the file goes
            self._file.close()
        with contextlib.suppress(FileNotFoundError):
            self._fs.rm_file(self._hidden)


def _hidden_name() -> str:
    """Name a file after nothing but chance, so that it is one attempt's own and never too long."""
    return f"{_HIDDEN}{uuid.uuid4().hex}{_PART}"


def _sweep(folder: Path) -> None:
    """Remove what killed attempts left behind, whatever they were writing."""
    for leftover in folder.glob(f"{_HIDDEN}*{_PART}"):
        with contextlib.suppress(OSError):  # another task sweeps too
            if time.time() - leftover.stat().st_mtime > STALE_SECONDS:
                leftover.unlink()
                log.info("Removed %s, left by an attempt that was killed", leftover)
