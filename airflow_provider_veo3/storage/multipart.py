"""Multipart uploads to object stores: each part is sent while the next one is downloaded."""

from __future__ import annotations

import io
import threading
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, Any, Final

from fsspec.spec import AbstractBufferedFile  # type: ignore[import-untyped]

from airflow_provider_veo3.storage.cleanup import AbandonedUploads

if TYPE_CHECKING:
    from collections.abc import Callable

    from fsspec import AbstractFileSystem  # type: ignore[import-untyped]

PART_SIZE: Final = 5 * 2**20
"""Bytes of one part of an upload: the least that S3 accepts."""

MAX_PARTS: Final = 3
"""Most parts in memory, of all files of a destination: filled, queued or sent."""

UPLOAD_THREADS: Final = 2
"""Parts sent at once.

The store's client copies each of them: with ``MAX_PARTS``, that is 31 MB of memory, measured.
"""

CONTENT_TYPE: Final[dict[str, Callable[[str], dict[str, Any]]]] = {
    "s3": lambda mime_type: {"ContentType": mime_type},
    "gs": lambda mime_type: {"content_type": mime_type},
    "abfs": lambda mime_type: {"content_settings": {"content_type": mime_type}},
}
"""Option for the media type, for each store that hides an upload until its completion."""


class PartPool:
    """Pool of part buffers and upload threads, shared by the files of a destination.

    At most ``MAX_PARTS`` buffers exist. A buffer is reused: memory that one thread frees and another
    allocates accumulates.
    """

    def __init__(self) -> None:
        self._room = threading.Semaphore(MAX_PARTS)
        self._spare: list[PartBuffer] = []
        self._threads = ThreadPoolExecutor(UPLOAD_THREADS, thread_name_prefix="veo3-upload")

    def acquire(self) -> PartBuffer:
        """Return an empty buffer, as soon as there is room for it."""
        self._room.acquire()
        try:
            part = self._spare.pop()
            part.reset()
        except (IndexError, BufferError):  # none is spare, or a gcsfs error still exports its memory
            part = PartBuffer()
            part.reset()
        return part

    def release(self, part: PartBuffer) -> None:
        """Return a buffer to the pool."""
        self._spare.append(part)
        self._room.release()

    def run(self, job: Callable[[], None]) -> Future[None]:
        """Run a job in an upload thread."""
        return self._threads.submit(job)

    def upload(self, part: PartBuffer, job: Callable[[], None]) -> Future[None]:
        """Run a job that uploads a part, and release the part however the job ends."""
        upload = self.run(job)
        upload.add_done_callback(lambda _: self.release(part))
        return upload


class MultipartSink:
    """Upload in parts that the object store shows only once the upload is completed.

    A part is sent while the next one is filled; never two of one file, since a writer of fsspec is not made
    for that.

    :param fs: file system of the store.
    :param path: path of the file there.
    :param store: kind of store, a key of ``CONTENT_TYPE``.
    :param mime_type: media type that the store is to serve the file with.
    :param pool: pool of all files that share the memory.
    """

    def __init__(self, fs: AbstractFileSystem, path: str, store: str, mime_type: str, pool: PartPool) -> None:
        self._fs = fs
        self._pool = pool
        self._part: PartBuffer | None = None
        self._abandoned: AbandonedUploads | None = None
        # opened with autocommit, else fsspec would add the file to a transaction that is not ours to end
        self._file: Any = fs.open(
            path, "wb", block_size=PART_SIZE, autocommit=True, **CONTENT_TYPE[store](mime_type)
        )
        self._file.autocommit = False
        if type(self._file).write is not AbstractBufferedFile.write:  # a writer without parts would lose them
            self._file.closed = True
            raise NotImplementedError(
                f"{type(self._file).__name__} shows a file while it is written, as Google's zonal buckets do"
            )
        self._upload = pool.run(self._list_abandoned) if store == "s3" else None

    def write(self, data: bytes) -> None:
        """Append bytes, cut into parts of ``PART_SIZE`` each, which some stores insist on."""
        rest = memoryview(data)
        while rest:
            if self._part is None:
                self._part = self._pool.acquire()
            room = PART_SIZE - self._part.tell()
            self._part.write(rest[:room])
            rest = rest[room:]
            if self._part.tell() == PART_SIZE:
                self._send(self._part, self._file.flush)

    def publish(self) -> None:
        """Complete the upload."""
        if self._part is None:
            self._part = self._pool.acquire()
        self._part.truncate()  # to what was written
        self._send(self._part, self._complete)
        self._await_upload()
        if self._abandoned is not None:
            self._abandoned.remove()

    def discard(self) -> None:
        """Abort the upload."""
        if self._part is not None:
            self._pool.release(self._part)
            self._part = None
        try:
            if self._upload is not None and not self._upload.cancel():
                wait([self._upload])  # a part that arrived after the abort would stay
            self._file.discard()
        finally:
            # else the garbage collector closes it, which starts a new upload (s3fs) or publishes (adlfs)
            self._file.closed = True

    def _send(self, part: PartBuffer, job: Callable[[], None]) -> None:
        self._await_upload()
        sent = self._file.offset or 0
        if sent != self._file.loc:  # a writer that kept some bytes for later would lose them with its buffer
            raise OSError(f"the store's writer has sent {sent} of {self._file.loc} bytes")
        self._part = None
        self._file.buffer = part  # in place of the writer's own buffer, so that nothing is copied
        self._file.loc += part.tell()
        self._upload = self._pool.upload(part, job)

    def _await_upload(self) -> None:
        """Wait until the writer is free, and raise the error of the previous part."""
        if self._upload is not None:
            self._upload.result()

    def _complete(self) -> None:
        self._file.autocommit = True  # only now: a file that is closed by accident must not become visible
        self._file.close()

    def _list_abandoned(self) -> None:
        self._abandoned = AbandonedUploads(self._fs, self._file.path)


class PartBuffer(io.BytesIO):
    """Memory of one part, which hands over its bytes without a copy."""

    def reset(self) -> None:
        """Empty the buffer, with room for a whole part: growing would need the memory twice."""
        self.seek(PART_SIZE - 1)
        self.write(b"\0")
        self.seek(0)

    def read(self, size: int | None = -1, /) -> bytes:
        """Read bytes; the writers of object stores read a part whole, to upload it."""
        if self.tell() == 0 and (size is None or size < 0 or size >= self.getbuffer().nbytes):
            self.seek(0, io.SEEK_END)
            return self.getvalue()  # the buffer itself
        return super().read(size)
