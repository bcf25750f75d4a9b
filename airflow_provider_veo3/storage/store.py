"""Storage of the videos of several generations: names, concurrency, results and errors."""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_veo3 import metrics
from airflow_provider_veo3.exceptions import (
    Veo3AuthenticationError,
    Veo3ConnectionConfigError,
    Veo3Error,
    Veo3RateLimitError,
    Veo3StorageError,
    Veo3ValidationError,
)
from airflow_provider_veo3.storage.filename import FILENAME, name_file
from airflow_provider_veo3.storage.response import FREE_RETRY, video_mime_type
from airflow_provider_veo3.storage.transfer import OpenFile, StoppableClock, Stopped, StoredFile, Transfer

if TYPE_CHECKING:
    from airflow_provider_veo3.api.models import Video
    from airflow_provider_veo3.storage.destination import Destination

log = logging.getLogger(__name__)

MAX_CONCURRENCY: Final = 16
"""Most files downloaded at once."""

GetVideos = Callable[[str], Sequence["Video"]]
"""Request to the API for the files of a generation, in order."""


@dataclass(frozen=True)
class StoredVideo:
    """Video that is stored whole in object storage."""

    generation_id: str
    """Generation that the video belongs to."""
    index: int
    """Place among the files of the generation, from 0."""
    uri: str
    """URI for ``ObjectStoragePath``."""
    size: int
    """Bytes."""
    sha256: str
    """SHA-256 of the bytes, in hexadecimal."""
    mime_type: str
    """Media type ``video/...``."""

    def as_json(self) -> dict[str, Any]:
        """Return the video as XCom carries it."""
        return asdict(self)


class VideoStore:
    """Storage of every file of several generations.

    :param destination: folder to store in.
    :param filename: template of the names below it, as ``name_file`` takes it.
    :param get_videos: requests the links of a generation from the API.
    :param open_file: requests a file from its host.
    :param max_concurrency: files downloaded at once, 1 to 16; the destination may lower it.
    :param clock: clock and stop signal.
    :raises Veo3ValidationError: ``filename`` or ``max_concurrency`` is not acceptable.
    """

    def __init__(
        self,
        destination: Destination,
        *,
        filename: str,
        get_videos: GetVideos,
        open_file: OpenFile,
        max_concurrency: int,
        clock: StoppableClock,
    ) -> None:
        if type(max_concurrency) is not int or not 1 <= max_concurrency <= MAX_CONCURRENCY:
            allowed = f"a whole number from 1 to {MAX_CONCURRENCY}"
            raise Veo3ValidationError.of("max_concurrency", max_concurrency, allowed)
        self._destination = destination
        self._filename = filename
        # without the generation id in its name, an existing file may be another video, of an earlier run
        self._names_are_unique = name_file(filename, "a", 0) != name_file(filename, "b", 0)
        self._get_videos = get_videos
        self._api_lock = threading.Lock()
        self._open_file = open_file
        self._max_concurrency = min(max_concurrency, destination.max_concurrency or max_concurrency)
        self._clock = clock

    def store(self, generation_ids: Sequence[str]) -> list[StoredVideo]:
        """Store the files, in the order of the ids; existing files are not downloaded again.

        A failure does not keep the other files from being stored: they are paid for, and their links expire.

        :raises Veo3Error: the failure itself, if there was nothing else to do; else an error that names
            everything that failed and every URI that is stored.
        """
        if len(generation_ids) > 1 and not self._names_are_unique:
            raise Veo3ValidationError.of("filename", self._filename, FILENAME)
        failed: dict[str, Exception] = {}
        with ThreadPoolExecutor(self._max_concurrency, thread_name_prefix="veo3-store") as pool:
            try:
                transfers = self._start_transfers(generation_ids, pool, failed)
                stored = _collect(transfers, failed)
            except BaseException:  # such as Airflow's timeout: stop the transfers, so that no half file stays
                self._clock.stop()
                raise
        if failed:
            raise _combined_error(failed, stored)
        return stored

    def _start_transfers(
        self, generation_ids: Sequence[str], pool: ThreadPoolExecutor, failed: dict[str, Exception]
    ) -> dict[str, Future[StoredVideo]]:
        """Request the links of one generation after the other, and start their transfers meanwhile."""
        transfers: dict[str, Future[StoredVideo]] = {}
        used_names: set[str] = set()
        for number, generation_id in enumerate(generation_ids, start=1):
            try:
                videos = self._request_videos(generation_id)
                names = self._names(generation_id, len(videos), used_names)
            except Stopped:
                failed[generation_id] = _stopped_error(generation_id)
                break
            except (Veo3AuthenticationError, Veo3ConnectionConfigError, Veo3RateLimitError) as error:
                others = len(generation_ids) - number
                failed[f"{generation_id} and {others} after it" if others else generation_id] = error
                break  # the API would refuse the others for the same reason
            except Veo3Error as error:
                failed[generation_id] = error
                continue
            for index, (video, name) in enumerate(zip(videos, names, strict=True)):
                transfer = pool.submit(self._store_file, generation_id, index, name, video)
                transfers[_label(generation_id, index)] = transfer
        return transfers

    def _request_videos(self, generation_id: str) -> Sequence[Video]:
        self._clock.pause(0)
        with self._api_lock:  # a hook need not be made for threads
            return self._get_videos(generation_id)

    def _names(self, generation_id: str, count: int, used_names: set[str]) -> list[str]:
        names = [name_file(self._filename, generation_id, index) for index in range(count)]
        for name in names:
            if name in used_names:
                raise Veo3ValidationError.of(
                    "filename", self._filename, f"{FILENAME}; two files got {name!r}"
                )
            used_names.add(name)
        return names

    def _store_file(self, generation_id: str, index: int, name: str, video: Video) -> StoredVideo:
        self._clock.pause(0)
        started = time.monotonic()
        uri = self._destination.uri(name)
        existing_size = self._destination.size(name)
        file = Transfer(
            _label(generation_id, index),
            open_file=self._open_file,
            video=video,
            renew_link=lambda: self._renew_link(generation_id, index),
            open_sink=lambda mime_type: self._destination.open(name, mime_type),
            existing_size=existing_size if self._names_are_unique else None,
            clock=self._clock,
        ).run()
        if file is None:
            verb, file = "Already stored", self._hash_existing(name, video)
        else:
            verb = "Stored"
            metrics.count(metrics.BYTES_STORED, file.size)
            if existing_size not in (None, file.size):
                log.warning("%s replaced a file of %s bytes", uri, existing_size)
        seconds = time.monotonic() - started
        log.info("%s: %s, %d bytes, %.1f s, sha256 %.12s", verb, uri, file.size, seconds, file.sha256)
        return StoredVideo(generation_id, index, uri, file.size, file.sha256, file.mime_type)

    def _renew_link(self, generation_id: str, index: int) -> Video:
        videos = self._request_videos(generation_id)
        if index >= len(videos):
            raise Veo3StorageError(
                f"{_label(generation_id, index)} could not be downloaded: its link was refused, and the API"
                f" now lists {len(videos)} files. The generation's credits are spent. Look the generation up"
                " in the vendor's account."
            )
        return videos[index]

    def _hash_existing(self, name: str, video: Video) -> StoredFile:
        size, digest = 0, hashlib.sha256()
        for chunk in self._destination.read(name):
            self._clock.pause(0)
            size += len(chunk)
            digest.update(chunk)
        return StoredFile(size, digest.hexdigest(), video_mime_type(video.mime_type))


def _label(generation_id: str, index: int) -> str:
    return f"{generation_id} file {index}"


def _stopped_error(label: str) -> Veo3StorageError:
    return Veo3StorageError(f"{label} was not stored: the task was ended. {FREE_RETRY}.")


def _collect(transfers: dict[str, Future[StoredVideo]], failed: dict[str, Exception]) -> list[StoredVideo]:
    stored = []
    for label, transfer in transfers.items():
        try:
            stored.append(transfer.result())
        except Stopped:
            failed[label] = _stopped_error(label)
        except Exception as error:  # noqa: BLE001 - raised by _combined_error
            failed[label] = error
    return stored


def _combined_error(failed: dict[str, Exception], stored: Sequence[StoredVideo]) -> Exception:
    """Return one error for all failures; it is permanent if all of them are."""
    first = next(iter(failed.values()))
    if len(failed) == 1 and not stored:
        return first
    permanent = isinstance(first, Veo3Error) and all(
        isinstance(error, AirflowFailException) for error in failed.values()
    )
    retry = (
        "a retry would fail for the same reasons"
        if permanent
        else "a retry downloads only what is missing, at no cost"
    )
    uris = ", ".join(video.uri for video in stored) or "nothing"
    failures = "; ".join(f"{label}: {error}" for label, error in failed.items())
    combined = (type(first) if permanent else Veo3StorageError)(
        f"{len(failed)} failed while {len(stored)} files were stored; {retry}. Stored: {uris}."
        f" Failed: {failures}"
    )
    combined.__cause__ = first
    return combined
