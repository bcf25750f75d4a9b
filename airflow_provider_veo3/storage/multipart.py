"""Multipart uploads to object stores: parts are sent while the next one is downloaded."""

from __future__ import annotations

import io
import threading
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_veo3.storage.upload import Upload

MAX_PARTS: Final = 3
"""Most parts in memory, of all files of a destination: filled, queued or sent."""

UPLOAD_THREADS: Final = 2
"""Parts sent at once.

The store's client copies each of them: with ``MAX_PARTS``, 32 MB of memory for one file and up to 38 MB for
several, measured with S3 on Python 3.11.
"""


class PartPool:
    """Pool of part buffers and upload threads, shared by the files of a destination.

    At most ``MAX_PARTS`` buffers exist. A buffer is reused: memory that one thread frees and another
    allocates accumulates.

    :param part_size: bytes of a buffer.
    """

    def __init__(self, part_size: int) -> None:
        self.part_size = part_size
        self._room = threading.Semaphore(MAX_PARTS)
        self._spare: list[PartBuffer] = []
        self._threads = ThreadPoolExecutor(UPLOAD_THREADS, thread_name_prefix="veo3-upload")

    def acquire(self) -> PartBuffer:
        """Return an empty buffer, as soon as there is room for it."""
        self._room.acquire()
        try:
            part = self._spare.pop()
        except IndexError:
            part = PartBuffer()
        part.reset(self.part_size)
        return part

    def release(self, part: PartBuffer) -> None:
        """Return a buffer to the pool."""
        self._spare.append(part)
        self._room.release()

    def upload(self, part: PartBuffer, send: Callable[[bytes], None]) -> Future[None]:
        """Send a part in an upload thread, and release it however that ends."""
        upload = self._threads.submit(lambda: send(part.getvalue()))
        upload.add_done_callback(lambda _: self.release(part))
        return upload


class MultipartSink:
    """Upload in parts that the object store shows only once the upload is completed.

    Parts are sent while the next one is filled; only one at a time where the store wants them in order.

    :param upload: upload of the object.
    :param pool: pool of all files that share the memory.
    """

    def __init__(self, upload: Upload, pool: PartPool) -> None:
        self._upload = upload
        self._pool = pool
        self._part: PartBuffer | None = None
        self._started = 0
        self._sending: list[Future[None]] = []
        self._most_at_once = 1 if upload.in_order else UPLOAD_THREADS

    def write(self, data: bytes) -> None:
        """Append bytes, cut into parts of one size, which some stores insist on."""
        rest = memoryview(data)
        while rest:
            if self._part is None:
                self._part = self._pool.acquire()
            room = self._pool.part_size - self._part.tell()
            self._part.write(rest[:room])
            rest = rest[room:]
            if self._part.tell() == self._pool.part_size:
                self._send(self._part)

    def publish(self, *, replace: bool = True) -> None:  # noqa: ARG002 - not every store can tell
        """Complete the upload."""
        if self._started == 0:
            part = self._take(self._part or self._pool.acquire())
            self._sending.append(self._pool.upload(part, self._upload.put))
            self._await_parts(0)
            return
        if self._part is not None:
            self._send(self._part)
        self._await_parts(0)
        self._upload.complete()

    def discard(self) -> None:
        """Abort the upload."""
        if self._part is not None:
            self._pool.release(self._part)
            self._part = None
        # a part that arrived after the abort would stay
        wait([sending for sending in self._sending if not sending.cancel()])
        self._upload.abort()

    def _send(self, part: PartBuffer) -> None:
        self._await_parts(self._most_at_once - 1)
        self._started = number = self._started + 1
        sending = self._pool.upload(self._take(part), lambda body: self._upload.send(number, body))
        self._sending.append(sending)

    def _take(self, part: PartBuffer) -> PartBuffer:
        """Return a part that is no longer filled."""
        part.truncate()  # to what was written
        self._part = None
        return part

    def _await_parts(self, most: int) -> None:
        """Wait until at most ``most`` parts are being sent; raise the error of a failed one."""
        while len(self._sending) > most:
            self._sending[0].result()
            del self._sending[0]  # one that failed stays: what is missing stays missing


class PartBuffer(io.BytesIO):
    """Memory of one part, whose bytes ``getvalue`` returns without a copy."""

    def reset(self, size: int) -> None:
        """Empty the buffer, with room for a whole part: growing would need the memory twice."""
        self.seek(size - 1)
        self.write(b"\0")
        self.seek(0)
