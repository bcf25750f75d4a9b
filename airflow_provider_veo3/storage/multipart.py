"""Writing to object stores: an upload in parts, each sent while the next one is being fetched."""

from __future__ import annotations

import io
import threading
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, Any, Final

from fsspec.spec import AbstractBufferedFile  # type: ignore[import-untyped]

from airflow_provider_veo3.storage.cleanup import S3Leftovers

if TYPE_CHECKING:
    from collections.abc import Callable

    from fsspec import AbstractFileSystem  # type: ignore[import-untyped]

BLOCK: Final = 5 * 2**20
"""Bytes of one part of an upload: the least that S3 takes."""

PARTS: Final = 3
"""Parts in memory at once, of all files that go to one destination: being filled, waiting or being sent."""

SENDERS: Final = 2
"""Parts sent at once, each of which the store's client copies. All together, that is 31 MB, measured."""

STAGED: Final[dict[str, Callable[[str], dict[str, Any]]]] = {
    "s3": lambda mime_type: {"ContentType": mime_type},
    "gs": lambda mime_type: {"content_type": mime_type},
    "abfs": lambda mime_type: {"content_settings": {"content_type": mime_type}},
}
"""The stores that show an upload only once it is completed, and how each is told its type for browsers."""


class Outbox:
    """Sends parts in the background, and holds no more than ``PARTS`` of them in memory.

    The memory of a part is used again: what one thread gives back and another takes anew piles up.
    """

    def __init__(self) -> None:
        self._room = threading.Semaphore(PARTS)
        self._spare: list[Part] = []
        self._senders = ThreadPoolExecutor(SENDERS, thread_name_prefix="veo3-upload")

    def take(self) -> Part:
        """Give an empty part, as soon as there is room for it."""
        self._room.acquire()
        try:
            part = self._spare.pop()
            part.empty()
        except (IndexError, BufferError):  # there is none, or gcsfs's error of it still shows what was in it
            part = Part()
            part.empty()
        return part

    def give_back(self, part: Part) -> None:
        """Let any file have it."""
        self._spare.append(part)
        self._room.release()

    def run(self, job: Callable[[], None]) -> Future[None]:
        """Let a sender do a job."""
        return self._senders.submit(job)

    def send(self, part: Part, job: Callable[[], None]) -> Future[None]:
        """Let a sender do a job with a part, which is given back whatever becomes of the job."""
        sending = self.run(job)
        sending.add_done_callback(lambda _: self.give_back(part))
        return sending


class StagedSink:
    """Uploads in parts that the object store shows only once the upload is completed.

    A part is sent while the next one is filled; never two of one file, for which writers are not made.

    :param kind: the store, a key of ``STAGED``.
    :param outbox: that of all files which share the memory.
    """

    def __init__(self, fs: AbstractFileSystem, path: str, kind: str, mime_type: str, outbox: Outbox) -> None:
        self._fs = fs
        self._path = fs._strip_protocol(path)
        self._outbox = outbox
        self._part: Part | None = None
        self._leftovers: S3Leftovers | None = None
        # not fs.open: it would enlist the file in the file system's transaction, which is not ours to end
        self._file: Any = fs._open(
            self._path, mode="wb", block_size=BLOCK, autocommit=False, **STAGED[kind](mime_type)
        )
        if type(self._file).write is not AbstractBufferedFile.write:  # what takes no parts would lose them
            self._file.closed = True
            raise NotImplementedError(
                f"{type(self._file).__name__} shows a file while it is written, as Google's zonal buckets do"
            )
        self._sending = outbox.run(self._look_for_leftovers) if kind == "s3" else None

    def write(self, data: bytes) -> None:
        """Append; parts are of ``BLOCK`` bytes each, which some stores insist on."""
        rest = memoryview(data)
        while rest:
            if self._part is None:
                self._part = self._outbox.take()
            room = BLOCK - self._part.tell()
            self._part.write(rest[:room])
            rest = rest[room:]
            if self._part.tell() == BLOCK:
                self._send(self._part, self._file.flush)

    def publish(self) -> None:
        """Complete the upload."""
        if self._part is None:
            self._part = self._outbox.take()
        self._part.truncate()  # to what was written
        self._send(self._part, self._complete)
        self._await_sent()
        if self._leftovers is not None:
            self._leftovers.remove()

    def discard(self) -> None:
        """Abort the upload."""
        if self._part is not None:
            self._outbox.give_back(self._part)
            self._part = None
        try:
            if self._sending is not None and not self._sending.cancel():
                wait([self._sending])  # a part that arrived after the abort would stay
            self._file.discard()
        finally:
            # else the garbage collector closes it, which begins a new upload (s3fs) or publishes (adlfs)
            self._file.closed = True

    def _send(self, part: Part, job: Callable[[], None]) -> None:
        self._await_sent()
        taken = self._file.offset or 0
        if taken != self._file.loc:  # a writer that has kept a rest for later would lose it with its buffer
            raise OSError(f"the store's writer has sent {taken} of {self._file.loc} bytes")
        self._part = None
        self._file.buffer = part  # in place of its own, so that nothing is copied
        self._file.loc += part.tell()
        self._sending = self._outbox.send(part, job)

    def _await_sent(self) -> None:
        """Wait until the writer is free; raise what it failed of."""
        if self._sending is not None:
            self._sending.result()

    def _complete(self) -> None:
        self._file.autocommit = True  # only now: what is closed by accident must not be seen
        self._file.close()

    def _look_for_leftovers(self) -> None:
        self._leftovers = S3Leftovers(self._fs, self._path)


class Part(io.BytesIO):
    """Memory for one part, which hands over what is in it without a copy."""

    def empty(self) -> None:
        """Begin anew, with room for a whole part: a buffer that grows lies in memory twice meanwhile."""
        self.seek(BLOCK - 1)
        self.write(b"\0")
        self.seek(0)

    def read(self, size: int | None = -1, /) -> bytes:
        """Read; the writers of object stores read a part whole, to upload it."""
        if self.tell() == 0 and (size is None or size < 0 or size >= self.getbuffer().nbytes):
            self.seek(0, io.SEEK_END)
            return self.getvalue()  # the buffer itself
        return super().read(size)
