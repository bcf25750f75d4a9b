"""Finished videos into object storage: which files, under which names, how many at once, and what to tell."""

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
from airflow_provider_veo3.storage.response import clean_mime_type
from airflow_provider_veo3.storage.source import Fetch, Link, StoppableClock, Stopped
from airflow_provider_veo3.storage.transfer import Fetched, Transfer

if TYPE_CHECKING:
    from airflow_provider_veo3.storage.destination import Destination

log = logging.getLogger(__name__)

MAX_CONCURRENCY: Final = 16
"""Most files fetched at once."""

Resolve = Callable[[str], Sequence[Link]]
"""Asks the API for the links of a generation's files, in order."""


@dataclass(frozen=True)
class StoredVideo:
    """A video that lies whole in object storage."""

    generation_id: str
    """The generation it is of."""
    index: int
    """Its place among the generation's files, from 0."""
    uri: str
    """What ``ObjectStoragePath`` opens it with."""
    size: int
    """Bytes."""
    sha256: str
    """Of its bytes, in hexadecimal."""
    mime_type: str
    """A ``video/...`` type."""

    def as_json(self) -> dict[str, Any]:
        """Return it as XCom carries it."""
        return asdict(self)


class VideoStore:
    """Stores every file of some generations.

    :param destination: the folder.
    :param filename: names a file below it, as ``name_file`` takes it.
    :param resolve: asks the API for links.
    :param fetch: asks the file host for a file.
    :param max_concurrency: files fetched at once, 1 to 16; no more than the destination takes at once.
    :param clock: clock and stop.
    :raises Veo3ValidationError: ``filename`` or ``max_concurrency`` is not acceptable.
    """

    def __init__(
        self,
        destination: Destination,
        *,
        filename: str,
        resolve: Resolve,
        fetch: Fetch,
        max_concurrency: int,
        clock: StoppableClock,
    ) -> None:
        if type(max_concurrency) is not int or not 1 <= max_concurrency <= MAX_CONCURRENCY:
            allowed = f"a whole number from 1 to {MAX_CONCURRENCY}"
            raise Veo3ValidationError.of("max_concurrency", max_concurrency, allowed)
        self._destination = destination
        self._filename = filename
        # a name that does not say of which generation the file is may be another's, from an earlier run
        self._telling_name = name_file(filename, "a", 0) != name_file(filename, "b", 0)
        self._resolve = resolve
        self._resolving = threading.Lock()
        self._fetch = fetch
        self._max_concurrency = min(max_concurrency, destination.most_at_once or max_concurrency)
        self._clock = clock

    def store(self, generation_ids: Sequence[str]) -> list[StoredVideo]:
        """Store the files, in the order of the ids; what is there already is not fetched again.

        One that fails does not keep the others from being stored: they are paid for, and their links expire.

        :raises Veo3Error: the one thing that failed, if it was all there was to do; else one error that names
            everything that failed and every URI that is stored.
        """
        if len(generation_ids) > 1 and not self._telling_name:
            raise Veo3ValidationError.of("filename", self._filename, FILENAME)
        failed: dict[str, Exception] = {}
        with ThreadPoolExecutor(self._max_concurrency, thread_name_prefix="veo3-store") as pool:
            try:
                running = self._begin(generation_ids, pool, failed)
                stored = _collect(running, failed)
            except BaseException:  # such as Airflow's timeout: end what runs, so that no half file stays
                self._clock.stop()
                raise
        if failed:
            raise _told(failed, stored)
        return stored

    def _begin(
        self, generation_ids: Sequence[str], pool: ThreadPoolExecutor, failed: dict[str, Exception]
    ) -> dict[str, Future[StoredVideo]]:
        """Ask for links, one generation after the other, and fetch what they lead to meanwhile."""
        running: dict[str, Future[StoredVideo]] = {}
        taken: set[str] = set()
        for number, generation_id in enumerate(generation_ids, start=1):
            try:
                links = self._links(generation_id)
                names = self._names(generation_id, len(links), taken)
            except Stopped:
                failed[generation_id] = _ended(generation_id)
                break
            except (Veo3AuthenticationError, Veo3ConnectionConfigError, Veo3RateLimitError) as error:
                others = len(generation_ids) - number
                failed[f"{generation_id} and {others} behind it" if others else generation_id] = error
                break  # the API would refuse the others alike
            except Veo3Error as error:
                failed[generation_id] = error
                continue
            for index, (link, name) in enumerate(zip(links, names, strict=True)):
                job = pool.submit(self._store_one, generation_id, index, name, link)
                running[_label(generation_id, index)] = job
        return running

    def _links(self, generation_id: str) -> Sequence[Link]:
        self._clock.pause(0)
        with self._resolving:  # what speaks to the API need not be made for threads
            return self._resolve(generation_id)

    def _relink(self, generation_id: str, index: int) -> Link:
        links = self._links(generation_id)
        if index >= len(links):
            raise Veo3StorageError(
                f"{_label(generation_id, index)} could not be fetched: its link was refused, and the API now"
                f" lists {len(links)} files. Its credits are spent; look the generation up at the vendor."
            )
        return links[index]

    def _names(self, generation_id: str, count: int, taken: set[str]) -> list[str]:
        names = [name_file(self._filename, generation_id, index) for index in range(count)]
        for name in names:
            if name in taken:
                raise Veo3ValidationError.of(
                    "filename", self._filename, f"{FILENAME}; two files got {name!r}"
                )
            taken.add(name)
        return names

    def _store_one(self, generation_id: str, index: int, name: str, link: Link) -> StoredVideo:
        self._clock.pause(0)
        begun = time.monotonic()
        uri = self._destination.uri(name)
        there = self._destination.size(name)
        fetched = Transfer(
            _label(generation_id, index),
            fetch=self._fetch,
            link=link,
            relink=lambda: self._relink(generation_id, index),
            open_sink=lambda mime_type: self._destination.open(name, mime_type),
            stored=there if self._telling_name else None,
            clock=self._clock,
        ).run()
        if fetched is None:
            verb, fetched = "Already stored", self._describe(name, link)
        else:
            verb = "Stored"
            metrics.count(metrics.BYTES_STORED, fetched.size)
            if there not in (None, fetched.size):
                log.warning("%s replaced a file of %s bytes", uri, there)
        seconds = time.monotonic() - begun
        log.info("%s: %s, %d bytes, %.1f s, sha256 %.12s", verb, uri, fetched.size, seconds, fetched.sha256)
        return StoredVideo(generation_id, index, uri, fetched.size, fetched.sha256, fetched.mime_type)

    def _describe(self, name: str, link: Link) -> Fetched:
        size, digest = 0, hashlib.sha256()
        for chunk in self._destination.read(name):
            self._clock.pause(0)
            size += len(chunk)
            digest.update(chunk)
        return Fetched(size, digest.hexdigest(), clean_mime_type(link.mime_type))


def _label(generation_id: str, index: int) -> str:
    return f"{generation_id} file {index}"


def _ended(label: str) -> Veo3StorageError:
    return Veo3StorageError(
        f"{label} was not stored: the task was ended. A retry fetches it at no cost while its link lives."
    )


def _collect(running: dict[str, Future[StoredVideo]], failed: dict[str, Exception]) -> list[StoredVideo]:
    stored = []
    for label, job in running.items():
        try:
            stored.append(job.result())
        except Stopped:
            failed[label] = _ended(label)
        except Exception as error:  # noqa: BLE001 - told, all together, by _told
            failed[label] = error
    return stored


def _told(failed: dict[str, Exception], stored: Sequence[StoredVideo]) -> Exception:
    """Make one error of all, which fails the task at once if no retry can mend any of them."""
    first = next(iter(failed.values()))
    if len(failed) == 1 and not stored:
        return first
    lasting = isinstance(first, Veo3Error) and all(
        isinstance(e, AirflowFailException) for e in failed.values()
    )
    what = "; ".join(f"{label}: {error}" for label, error in failed.items())
    uris = ", ".join(video.uri for video in stored) or "nothing"
    retry = "a retry would fail alike" if lasting else "a retry fetches only what is missing, at no cost"
    told = (type(first) if lasting else Veo3StorageError)(
        f"{len(failed)} failed while {len(stored)} files were stored; {retry}. Stored: {uris}. Failed: {what}"
    )
    told.__cause__ = first
    return told
