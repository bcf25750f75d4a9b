"""Transfer of one file from its link to a sink: streamed, hashed, resumed and checked."""

from __future__ import annotations

import hashlib
import itertools
import logging
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from airflow_provider_veo3.api.redact import redact_text
from airflow_provider_veo3.exceptions import (
    Veo3CorruptVideoError,
    Veo3Error,
    Veo3NoAnswerError,
    Veo3StorageError,
    shown,
    shown_text,
)
from airflow_provider_veo3.storage.encoding import CannotDecodeError, decoded, is_plain, read_head
from airflow_provider_veo3.storage.mp4 import SIGNATURE_BYTES, BoxWalk, starts_as_mp4
from airflow_provider_veo3.storage.response import (
    FREE_RETRY,
    LAG_PAUSE,
    PATIENCE,
    Failure,
    Progress,
    Remedy,
    backoff_seconds,
    ends_at,
    is_expiring,
    judge,
    media_type,
    video_mime_type,
)
from airflow_provider_veo3.storage.sink import CHUNK_SIZE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from airflow_provider_veo3.api.models import Video
    from airflow_provider_veo3.api.transport import FileResponse
    from airflow_provider_veo3.storage.existing import ExistingFile
    from airflow_provider_veo3.storage.sink import Sink

log = logging.getLogger(__name__)

OpenFile = Callable[..., AbstractContextManager["FileResponse"]]
"""Request to a file host, called as :meth:`Veo3Hook.open_file` is."""

MAX_ATTEMPTS: Final = 5
"""Attempts in a row without progress after which a transfer of wrong bytes fails."""

MIN_PROGRESS: Final = 64 * 2**10
"""Bytes beyond the furthest earlier attempt that count as progress."""

MAX_FRESH_LINKS: Final = 2
"""Fresh links that a transfer requests, for one that is refused or about to expire."""


class Stopped(BaseException):
    """Signal that the task is being ended; no ``Exception``, so that nothing handles it."""


class StoppableClock:
    """Clock of transfers, and the signal that stops them from another thread."""

    def __init__(self) -> None:
        self._stopped = threading.Event()

    def now(self) -> datetime:
        """Return the time, UTC."""
        return datetime.now(UTC)

    def pause(self, seconds: float) -> None:
        """Wait; raise ``Stopped`` as soon as the task is being ended, also for 0 seconds."""
        # 0 takes no lock: the main thread calls it, and stop() may run in a signal handler of that thread
        if self._stopped.is_set() or (seconds and self._stopped.wait(seconds)):
            raise Stopped

    def stop(self) -> None:
        """End all pauses and, at their next chunk, all transfers."""
        self._stopped.set()


@dataclass(frozen=True)
class StoredFile:
    """Size, hash and type of a stored file."""

    size: int
    """Bytes."""
    sha256: str
    """SHA-256 of the bytes, in hexadecimal."""
    mime_type: str
    """Media type ``video/...``."""


class _AttemptFailedError(Exception):
    def __init__(self, failure: Failure) -> None:
        self.failure = failure


class Transfer:
    """Transfer of one file into a sink.

    :param label: name of the file in messages.
    :param open_file: requests a link from the file host.
    :param video: link to start with.
    :param renew_link: requests a fresh link to the same file from the API.
    :param open_sink: opens a sink for a file of the given media type.
    :param existing: file that exists under the name.
    :param lag_left: returns the seconds for which the API and the file host may still lag behind the
        completion of the generation; 0 if it finished long ago.
    :param clock: clock and stop signal.
    """

    def __init__(
        self,
        label: str,
        *,
        open_file: OpenFile,
        video: Video,
        renew_link: Callable[[], Video],
        open_sink: Callable[[str], Sink],
        existing: ExistingFile,
        lag_left: Callable[[], float],
        clock: StoppableClock,
    ) -> None:
        self._label = label
        self._open_file = open_file
        self._video = video
        self._renew_link = renew_link
        self._open_sink = open_sink
        self._existing = existing
        self._lag_left = lag_left
        self._clock = clock
        self._progress = Progress()
        self._hash = hashlib.sha256()
        self._boxes = BoxWalk()
        self._sink: Sink | None = None
        self._is_decoded = False
        self._furthest = 0
        self._attempts = self._lag_pauses = 0
        self._waited = 0.0
        self._fresh_links_left = MAX_FRESH_LINKS
        self._corrupt = False

    def run(self) -> StoredFile | None:
        """Download and publish the file; return ``None`` if the existing file is to stay.

        :raises Veo3ValidationError: the existing file is another video, which may not be replaced.
        :raises Veo3CorruptVideoError: the host sends something else than the video it announces.
        :raises Veo3StorageError: the host does not send the file, or the file cannot be written.
        """
        try:
            while True:
                try:
                    return self._attempt()
                except _AttemptFailedError as error:
                    failure = error.failure
                except Veo3NoAnswerError as error:
                    failure = Failure(Remedy.RESUME, str(error).rstrip("."))
                if self._keeps_existing(failure):
                    return None
                self._recover(failure)
        finally:
            self._discard()  # half a file must not stay, whatever ended this; a published one has no sink

    def _attempt(self) -> StoredFile | None:
        """Make one request and write its body; publish the file if that completes it."""
        if self._fresh_links_left and is_expiring(self._video.expires_at, self._clock.now()):
            self._use_fresh_link()
        if not self._video.url:
            raise _AttemptFailedError(
                Failure(Remedy.FRESH_LINK, "the API's link to the file may not be followed")
            )
        if not self._progress.resumable:
            self._discard()
        before = self._progress
        with self._open_file(self._video.url, offset=before.offset, if_match=before.etag) as response:
            judged = judge(response.status, response.headers, before, self._clock.now().timestamp())
            if isinstance(judged, Failure):
                raise _AttemptFailedError(judged)
            if self._existing.has_size(judged.total):
                return None
            if judged.offset < before.offset:
                self._discard()
            self._progress = judged
            mime_type = video_mime_type(media_type(response.headers), self._video.mime_type)
            sink = self._write(response, mime_type)
        self._check_whole()
        return self._publish(sink, mime_type)

    def _write(self, response: FileResponse, mime_type: str) -> Sink:
        """Write the body of a response, into a new sink if it starts a video."""
        chunks = response.iter_bytes(CHUNK_SIZE)
        try:
            if self._sink is None:
                head, chunks, self._is_decoded = _video_of(chunks, response.headers)
                self._sink = self._open_sink(mime_type)
                self._append(head, self._sink)
            total = self._progress.total
            for chunk in chunks:
                self._append(chunk, self._sink)
                self._clock.pause(0)
                if total is not None and self._progress.offset > total:
                    break
        except CannotDecodeError as error:
            remedy = Remedy.RESTART if self._sink else Remedy.FRESH_LINK
            raise _AttemptFailedError(Failure(remedy, f"the file host sent {error}", corrupt=True)) from None
        return self._sink

    def _append(self, data: bytes, sink: Sink) -> None:
        sink.write(data)
        self._hash.update(data)
        self._boxes.feed(data)
        self._progress = replace(self._progress, offset=self._progress.offset + len(data))

    def _check_whole(self) -> None:
        """Compare what is written with the announced length and with the boxes of the file."""
        offset, total = self._progress.offset, self._progress.total
        if total is not None and offset != total:
            remedy = Remedy.RESUME if offset < total else Remedy.RESTART
            reason = f"the file host announced {total} bytes and sent {offset}"
            raise _AttemptFailedError(Failure(remedy, reason, corrupt=True))
        if fault := self._boxes.fault():
            raise _AttemptFailedError(Failure(Remedy.RESTART, fault, corrupt=True))
        if self._is_decoded or (total is not None and self._boxes.proves_end):
            return  # a coded body proves its own end
        ends_here = self._ends_here()
        if ends_here is False:
            remedy = Remedy.RESUME if total is None else Remedy.RESTART
            reason = f"the file host ended the body at byte {offset}, although the file goes on"
            raise _AttemptFailedError(Failure(remedy, reason, corrupt=True))
        if ends_here is None and total is None and not self._boxes.proves_end:
            reason = f"nothing proves that the file ends at byte {offset}: the file host announces no length"
            raise _AttemptFailedError(Failure(Remedy.RESTART, reason, corrupt=True))

    def _ends_here(self) -> bool | None:
        """Request what follows the last byte; return ``None`` if the host does not tell."""
        offset = self._progress.offset
        try:
            with self._open_file(self._video.url, offset=offset, if_match=self._progress.etag) as response:
                return ends_at(response.status, response.headers, offset)
        except Veo3Error as error:
            log.debug("%s: the end of the file could not be checked: %s", self._label, error)
            return None

    def _publish(self, sink: Sink, mime_type: str) -> StoredFile | None:
        file = StoredFile(self._progress.offset, self._hash.hexdigest(), mime_type)
        if self._existing.is_same(file.size, file.sha256):
            return None
        sink.publish(replace=not self._existing.is_protected)
        self._sink = None
        return file

    def _discard(self) -> None:
        """Discard the written part, so that the next attempt starts from the first byte."""
        if self._sink is not None:
            self._sink.discard()
        self._sink, self._is_decoded = None, False
        self._progress, self._hash, self._boxes = Progress(), hashlib.sha256(), BoxWalk()

    def _keeps_existing(self, failure: Failure) -> bool:
        """Return whether all links are refused but the file exists, as for a cleared task."""
        links_refused = failure.remedy is Remedy.FRESH_LINK and not self._fresh_links_left
        if not links_refused or not self._existing.is_own:
            return False
        log.warning("%s: %s; the existing file is kept, unverified", self._label, failure.reason)
        return True

    def _recover(self, failure: Failure) -> None:
        """Prepare the next attempt, or raise the error of the transfer."""
        self._clock.pause(0)  # a stop may be the cause of the failure
        self._count_attempt(failure)
        seconds = self._pause_before_next(failure)
        if seconds is None:
            raise self._error(failure)
        if failure.remedy is Remedy.RESTART:
            self._discard()
        log.warning("%s: %s; will %s in %.0f s", self._label, failure.reason, failure.remedy.value, seconds)
        self._waited += seconds
        self._clock.pause(seconds)
        if failure.remedy is Remedy.FRESH_LINK:
            self._use_fresh_link()

    def _count_attempt(self, failure: Failure) -> None:
        """Count an attempt, from 1 again after progress."""
        if self._progress.offset >= self._furthest + MIN_PROGRESS:
            self._furthest, self._attempts, self._corrupt = self._progress.offset, 0, False
            self._waited = 0.0
        self._attempts += 1
        self._corrupt |= failure.corrupt

    def _pause_before_next(self, failure: Failure) -> float | None:
        """Return the seconds until the next attempt; ``None`` to give up."""
        if failure.remedy is Remedy.FRESH_LINK:
            if self._fresh_links_left and self._attempts < MAX_ATTEMPTS:
                return 0.0
            self._lag_pauses += 1
            left, pause = self._lag_left(), min(LAG_PAUSE, backoff_seconds(self._lag_pauses, None))
        elif failure.corrupt:
            left = PATIENCE if self._attempts < MAX_ATTEMPTS else 0.0
            pause = backoff_seconds(self._attempts, failure.retry_after)
        else:
            left = PATIENCE - self._waited
            pause = backoff_seconds(self._attempts, failure.retry_after)
        return min(pause, left) if left > 0 else None

    def _use_fresh_link(self) -> None:
        self._fresh_links_left = max(0, self._fresh_links_left - 1)
        self._video = self._renew_link()

    def _error(self, failure: Failure) -> Veo3StorageError:
        error_class = Veo3CorruptVideoError if self._corrupt else Veo3StorageError
        return error_class(
            f"{self._label} could not be downloaded: {self._attempts} attempts in a row made no progress;"
            f" the last one failed: {failure.reason}. Nothing was stored. {FREE_RETRY}; after that the video"
            " has to be generated and paid for again."
        )


def _video_of(chunks: Iterator[bytes], headers: Mapping[str, str]) -> tuple[bytes, Iterator[bytes], bool]:
    """Return the start of an MP4 file, its rest, and whether it was coded.

    The bytes decide, not the headers: hosts send videos as text, and announce codings that they do not use.

    :raises CannotDecodeError: the body is coded in a way that cannot be decoded.
    """
    head = read_head(chunks, SIGNATURE_BYTES)
    encoding = headers.get("content-encoding", "")
    is_coded = bool(head) and not starts_as_mp4(head) and not is_plain(encoding)
    if is_coded:
        chunks = decoded(itertools.chain([head], chunks), encoding, CHUNK_SIZE)
        head = read_head(chunks, SIGNATURE_BYTES)
    if starts_as_mp4(head):
        return head, chunks, is_coded
    reason = "the file host sent an empty file"
    if head:
        start = shown(redact_text(head[:200].decode("ascii", "backslashreplace")))
        body = shown_text(media_type(headers)) or "a body without a media type"
        reason = f"the file host sent {body} that is no MP4 video and starts with {start}"
    raise _AttemptFailedError(Failure(Remedy.FRESH_LINK, reason, corrupt=True))
