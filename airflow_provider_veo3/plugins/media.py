"""Stored videos as HTTP serves them: which files may be opened, and which of their bytes a request gets.

The API server opens files with its own rights. They are not those of the person who asks, nor of the one who
wrote the XCom with the URI, so that only files below configured locations are opened, and only videos.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import anyio
import anyio.to_thread
from fsspec.implementations.local import LocalFileSystem  # type: ignore[import-untyped]

from airflow_provider_veo3.storage.mp4 import SIGNATURE_BYTES, starts_as_mp4
from airflow_provider_veo3.storage.uri import ObjectUri, object_path

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

T = TypeVar("T")

READ_SIZE: Final = 512 * 1024
"""Bytes read at once, and held for each viewer."""

LONGEST_RANGE: Final = 4 * 1024 * 1024
"""Bytes of a response to a range: a player asks for the next ones when it needs them."""

READERS: Final = 8
"""Files read at once; more wait, without a thread that Airflow's own routes need."""

_LOCAL: Final = frozenset({"", "file", "local"})
"""Schemes of files on the API server's disks."""


class NotAllowedError(Exception):
    """The file is outside the configured locations."""


class NotAVideoError(Exception):
    """The file is not a video."""


class UnsatisfiableRangeError(Exception):
    """The range begins after the end of the file."""


class Locations:
    """Folders below which files may be opened.

    :param configured: URIs of folders as destinations of downloads name them, separated by commas. Scheme,
        connection and bucket of a file have to be the same.
    """

    def __init__(self, configured: str) -> None:
        self._folders = [_parts(uri.strip()) for uri in configured.split(",") if uri.strip()]

    def __bool__(self) -> bool:
        """Return whether any location is configured."""
        return bool(self._folders)

    def allow(self, uri: str) -> bool:
        """Return whether a file may be opened, by its URI."""
        # fsspec reads "::" as another URI inside this one
        if "::" in uri or not uri.isprintable():
            return False
        file = _parts(uri)
        steps = file.key.split("/")
        if not steps[-1] or {".", ".."} & set(steps) or "" in steps[1:]:
            return False
        return any(_is_below(file, folder) for folder in self._folders)

    def open(self, uri: str) -> StoredFile:
        """Return a file that may be opened.

        :raises NotAllowedError: it is outside the locations, or a link on disk leads outside.
        :raises FileNotFoundError: it does not exist.
        """
        if not self.allow(uri):
            raise NotAllowedError(uri)
        file = _parts(uri)
        if file.scheme == "file":
            fs, path = LocalFileSystem(), str(self._real_path(file))
        else:
            stored = object_path(uri)
            fs, path = stored.fs, stored.path
        return StoredFile(uri, fs, path, int(fs.info(path)["size"]))

    def _real_path(self, file: ObjectUri) -> Path:
        """Return the path of a local file with all links on the disk resolved.

        :raises NotAllowedError: the path leads out of the locations.
        """
        real = Path(f"/{file.key}").resolve(strict=True)
        folders = (Path(f"/{folder.key}").resolve() for folder in self._folders if folder.scheme == "file")
        if not any(real.is_relative_to(folder) for folder in folders):
            raise NotAllowedError(str(file))
        return real


def _parts(uri: str) -> ObjectUri:
    """Split a URI; the key of a local path begins behind its first slash, as that of a bucket does."""
    parts = ObjectUri.parse(uri)
    if parts.scheme.lower() in _LOCAL:
        key = parts.key if parts.scheme else parts.key.removeprefix("/")
        return ObjectUri("file", "", parts.authority, key)
    return ObjectUri(parts.scheme.lower(), parts.connection, parts.authority, parts.key)


def _is_below(file: ObjectUri, folder: ObjectUri) -> bool:
    same_place = (file.scheme, file.connection, file.authority) == (
        folder.scheme,
        folder.connection,
        folder.authority,
    )
    prefix = folder.key.rstrip("/")
    return same_place and (not prefix or file.key.startswith(f"{prefix}/"))


@dataclass(frozen=True)
class StoredFile:
    """File in object storage.

    :param fs: fsspec's file system.
    :param size: bytes.
    """

    uri: str
    fs: Any
    path: str
    size: int

    def read(self, begin: int, end: int) -> bytes:
        """Return the bytes from ``begin``, without the one at ``end``; a request of its own."""
        data: bytes = self.fs.cat_file(self.path, start=begin, end=end)
        return data

    def check_is_video(self) -> None:
        """Refuse a file that does not start as an MP4 file does.

        :raises NotAVideoError: it does not.
        """
        if not _is_video(self):
            raise NotAVideoError(self.uri)


@lru_cache(maxsize=4096)
def _is_video(file: StoredFile) -> bool:
    return starts_as_mp4(file.read(0, SIGNATURE_BYTES))


def byte_range(header: str | None, size: int) -> tuple[int, int] | None:
    """Return the first byte of a range, and the one after its last.

    A range has at most ``LONGEST_RANGE`` bytes. ``None`` stands for the whole file: a header that is not
    understood is ignored, as RFC 9110 requires.

    :raises UnsatisfiableRangeError: the file has no such bytes.
    """
    match = re.fullmatch(r"bytes=(\d{0,18})-(\d{0,18})", (header or "").replace(" ", ""), re.ASCII)
    first, last = match.groups() if match else ("", "")
    if not first and not last:
        return None
    if first and last and int(last) < int(first):
        return None
    begin = int(first) if first else max(size - int(last), 0)
    end = min(int(last) + 1, size) if first and last else size
    if begin >= end:
        raise UnsatisfiableRangeError
    return begin, min(end, begin + LONGEST_RANGE)


class Reader:
    """Reader of files for many viewers, with few threads and little memory."""

    def __init__(self) -> None:
        self._limiter: anyio.CapacityLimiter | None = None

    async def run(self, call: Callable[[], T]) -> T:
        """Run a call that blocks, in one of the reader's threads."""
        if self._limiter is None:  # of the event loop, which there is none of at the start
            self._limiter = anyio.CapacityLimiter(READERS)
        return await anyio.to_thread.run_sync(call, limiter=self._limiter)

    async def stream(self, file: StoredFile, begin: int, end: int) -> AsyncIterator[bytes]:
        """Yield the bytes from ``begin`` until before ``end``, as fast as the viewer takes them."""
        while begin < end:
            data = await self.run(partial(file.read, begin, min(begin + READ_SIZE, end)))
            if not data:
                return
            begin += len(data)
            yield data
