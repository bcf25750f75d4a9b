"""Storage of the videos of several generations: names, concurrency, results and errors."""

from __future__ import annotations

import logging
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from airflow_provider_veo3 import metrics
from airflow_provider_veo3.airflow_names import AirflowFailException
from airflow_provider_veo3.exceptions import (
    Veo3AuthenticationError,
    Veo3ConnectionConfigError,
    Veo3EnvironmentError,
    Veo3Error,
    Veo3MissingVideosError,
    Veo3RateLimitError,
    Veo3StorageError,
    Veo3ValidationError,
    counted,
    shown,
    shown_text,
)
from airflow_provider_veo3.parameters import read_integer
from airflow_provider_veo3.storage.existing import ExistingFile
from airflow_provider_veo3.storage.filename import FILENAME, name_file
from airflow_provider_veo3.storage.provenance import StoredVideo
from airflow_provider_veo3.storage.response import FREE_RETRY, video_mime_type
from airflow_provider_veo3.storage.sidecar import Sidecar, sidecar_name
from airflow_provider_veo3.storage.transfer import OpenFile, StoppableClock, Stopped, StoredFile, Transfer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_veo3.api.models import Video, VideoList
    from airflow_provider_veo3.storage.destination import Destination
    from airflow_provider_veo3.storage.listing import VideoLister

log = logging.getLogger(__name__)

MAX_CONCURRENCY: Final = 16
"""Most files downloaded at once."""

ABOUT_ALL: Final = (
    Veo3AuthenticationError,
    Veo3ConnectionConfigError,
    Veo3EnvironmentError,
    Veo3RateLimitError,
)
"""Errors that every other generation would meet too."""


@dataclass
class _Generation:
    """The files of a generation, and what became of them."""

    id: str
    videos: VideoList
    expected: int | None
    """Number of files that were requested; ``None`` if unknown."""

    @property
    def is_incomplete(self) -> bool:
        """Return whether it has fewer files than were requested."""
        return self.expected is not None and len(self.videos) < self.expected


class VideoStore:
    """Storage of every file of several generations.

    :param destination: folder to store in.
    :param filename: template of the names below it, as ``name_file`` takes it.
    :param lister: requests the links of a generation from the API.
    :param open_file: requests a file from its host.
    :param max_concurrency: files downloaded at once, 1 to 16; the destination may lower it.
    :param overwrite: whether the file of another generation may be replaced.
    :param require_all_samples: whether a generation with fewer files than were requested is an error.
    :param sidecar: writes a description beside each video; ``None`` for none.
    :param clock: clock and stop signal.
    :raises Veo3ValidationError: ``filename`` or ``max_concurrency`` is not acceptable.
    """

    def __init__(
        self,
        destination: Destination,
        *,
        filename: object,
        lister: VideoLister,
        open_file: OpenFile,
        max_concurrency: object,
        overwrite: bool = False,
        require_all_samples: bool = False,
        sidecar: Sidecar | None = None,
        clock: StoppableClock,
    ) -> None:
        most = read_integer("max_concurrency", max_concurrency, range(1, MAX_CONCURRENCY + 1))
        self._destination = destination
        self._filename = filename
        # without the generation id in its name, an existing file may be another video, of an earlier run
        self._names_are_unique = name_file(filename, "a", 0) != name_file(filename, "b", 0)
        self._lister = lister
        self._open_file = open_file
        self._max_concurrency = min(most, destination.max_concurrency or most)
        self._overwrite = overwrite
        self._require_all_samples = require_all_samples
        self._sidecar = sidecar
        self._clock = clock

    def store(self, generation_ids: Sequence[str]) -> list[StoredVideo]:
        """Store the files, in the order of the ids; existing files are not downloaded again.

        A failure does not keep the other files from being stored: they are paid for, and their links expire.

        :raises Veo3Error: the failure itself, if there was nothing else to do; else an error that names
            everything that failed and every URI that is stored.
        """
        if len(generation_ids) > 1 and not self._names_are_unique:
            raise Veo3ValidationError.of("filename", self._filename, FILENAME)
        for generation_id in generation_ids:
            self._names(generation_id, 1, set())  # only checks the name
        failed: dict[str, Exception] = {}
        found: list[_Generation] = []
        with ThreadPoolExecutor(self._max_concurrency, thread_name_prefix="veo3-store") as pool:
            try:
                transfers = self._start_transfers(generation_ids, pool, failed, found)
                stored = _collect(transfers, failed)
            except BaseException:  # such as Airflow's timeout: stop the transfers, so that no half file stays
                self._clock.stop()
                raise
        for generation in found:
            if generation.is_incomplete:
                self._report_missing(generation, stored, failed)
        if failed:
            raise _combined_error(failed, stored)
        return stored

    def _start_transfers(
        self,
        generation_ids: Sequence[str],
        pool: ThreadPoolExecutor,
        failed: dict[str, Exception],
        found: list[_Generation],
    ) -> dict[str, Future[StoredVideo]]:
        """Request the links of one generation after the other, and start their transfers meanwhile."""
        transfers: dict[str, Future[StoredVideo]] = {}
        used_names: set[str] = set()
        for number, generation_id in enumerate(generation_ids, start=1):
            try:
                videos = self._lister.request(generation_id)
                names = self._names(generation_id, len(videos), used_names)
            except Stopped:
                failed[generation_id] = _stopped_error(generation_id)
                break
            except ABOUT_ALL as error:
                others = len(generation_ids) - number
                failed[f"{generation_id} and {others} after it" if others else generation_id] = error
                break
            except Veo3Error as error:
                failed[generation_id] = error
                continue
            generation = _Generation(generation_id, videos, self._lister.expected(generation_id, videos))
            found.append(generation)
            for index, name in enumerate(names):
                transfer = pool.submit(self._store_file, generation, index, name)
                transfers[_label(generation_id, index)] = transfer
        return transfers

    def _names(self, generation_id: str, count: int, used_names: set[str]) -> list[str]:
        """Return the name of each file, checked with the name of its sidecar."""
        names = [name_file(self._filename, generation_id, index) for index in range(count)]
        sidecars = [sidecar_name(name) for name in names] if self._sidecar else []
        for name in (*names, *sidecars):
            self._destination.check_name(name)
            if name in used_names:
                raise Veo3ValidationError.of(
                    "filename", self._filename, f"{FILENAME}; two files got {shown(name)}"
                )
            used_names.add(name)
        return names

    def _store_file(self, generation: _Generation, index: int, name: str) -> StoredVideo:
        self._clock.pause(0)  # raises Stopped if the task was ended
        started = time.monotonic()
        uri, label = self._destination.uri(name), _label(shown_text(generation.id), index)
        existing = ExistingFile(
            self._destination,
            name,
            label,
            has_own_name=self._names_are_unique,
            overwrite=self._overwrite,
            pause=self._clock.pause,
        )
        size_before = existing.size
        file = Transfer(
            label,
            open_file=self._open_file,
            video=generation.videos[index],
            renew_link=lambda: self._renew_link(generation.id, index),
            open_sink=lambda mime_type: self._destination.open(name, mime_type),
            existing=existing,
            lag_left=lambda: self._lister.lag_left(generation.id),
            clock=self._clock,
        ).run()
        if file is None:
            size, sha256 = existing.hash()
            verb, file = (
                "Already stored",
                StoredFile(size, sha256, video_mime_type(generation.videos[index].mime_type)),
            )
        else:
            verb = "Stored"
            metrics.count(metrics.BYTES_STORED, file.size)
            if size_before not in (None, file.size):
                log.warning("%s replaced a file of %s bytes", uri, size_before)
        seconds = time.monotonic() - started
        log.info("%s: %s, %d bytes, %.1f s, sha256 %.12s", verb, uri, file.size, seconds, file.sha256)
        video = StoredVideo(
            generation.id,
            index,
            uri,
            file.size,
            file.sha256,
            file.mime_type,
            samples=len(generation.videos),
            samples_expected=generation.expected,
        )
        if self._sidecar is not None:
            self._sidecar.write(video, name, is_new=verb == "Stored")
        return video

    def _renew_link(self, generation_id: str, index: int) -> Video:
        videos = self._lister.request(generation_id)
        if index >= len(videos):
            label = _label(shown_text(generation_id), index)
            raise Veo3StorageError(
                f"{label} could not be downloaded: its link was refused, and the API now lists {len(videos)}"
                " files. The generation's credits are spent. Look the generation up in the vendor's account."
            )
        return videos[index]

    def _report_missing(
        self, generation: _Generation, stored: Sequence[StoredVideo], failed: dict[str, Exception]
    ) -> None:
        """Warn of a generation with too few files, or add its error."""
        uris = ", ".join(video.uri for video in stored if video.generation_id == generation.id)
        message = (
            f"Generation {shown_text(generation.id)} has {len(generation.videos)} of the"
            f" {generation.expected} videos that were requested, and all were charged; stored:"
            f" {uris or 'nothing'}. A retry of this task requests the list again, which costs no credits. If"
            " the list stays too short, the vendor has dropped the other videos: ask the vendor to refund"
            " their credits, or generate them anew"
        )
        if self._require_all_samples:
            failed[generation.id] = Veo3MissingVideosError(f"{message}.")
        else:
            log.warning("%s. With require_all_samples=True this fails the task.", message)


def _label(generation_id: str, index: int) -> str:
    return f"{generation_id} file {index}"


def _stopped_error(label: str) -> Veo3StorageError:
    return Veo3StorageError(f"{shown_text(label)} was not stored: the task was ended. {FREE_RETRY}.")


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
    failures = "; ".join(f"{shown_text(label)}: {error}" for label, error in failed.items())
    is_missing = all(isinstance(error, Veo3MissingVideosError) for error in failed.values())
    combined = (type(first) if permanent or is_missing else Veo3StorageError)(
        f"Not everything was stored: {counted(len(failed), 'error')},"
        f" {counted(len(stored), 'stored file')}; {retry}. Stored: {uris}. Failed: {failures}"
    )
    combined.__cause__ = first
    return combined
