"""Folder in object storage that videos are stored in."""

from __future__ import annotations

import contextlib
import logging
import posixpath
import re
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from airflow.providers.common.compat.sdk import AirflowNotFoundException
from fsspec.implementations.local import LocalFileSystem  # type: ignore[import-untyped]

from airflow_provider_veo3.api.redact import redact_text
from airflow_provider_veo3.exceptions import Veo3Error, Veo3StorageError, Veo3ValidationError
from airflow_provider_veo3.storage.multipart import (
    CONTENT_TYPE,
    MAX_PARTS,
    PART_SIZE,
    MultipartSink,
    PartPool,
)
from airflow_provider_veo3.storage.response import FREE_RETRY
from airflow_provider_veo3.storage.sink import CHUNK_SIZE, LocalSink, RenamedSink, Sink
from airflow_provider_veo3.storage.uri import SERVED, ObjectUri, check_holds_no_password, object_path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

log = logging.getLogger(__name__)

_DESTINATION: Final = f"a local folder, or a URI such as 's3://connection@bucket/prefix/' {SERVED}"

_SCHEME_WITHOUT_SLASHES: Final = re.compile(r"\s*[A-Za-z][A-Za-z0-9+.-]*:(?!//)")
"""Start of a URI without the slashes after its scheme."""


class NamedSink:
    """Sink that raises every storage error as ours, with the URI of the file.

    :param uri: URI of the file.
    :param open_sink: opens the sink of the storage.
    """

    def __init__(self, uri: str, open_sink: Callable[[], Sink]) -> None:
        self._uri = uri
        with _storage_errors(uri, "written"):
            self._sink = open_sink()

    def write(self, data: bytes) -> None:
        """Append bytes."""
        with _storage_errors(self._uri, "written"):
            self._sink.write(data)

    def publish(self) -> None:
        """Make the whole file visible."""
        with _storage_errors(self._uri, "written"):
            self._sink.publish()

    def discard(self) -> None:
        """Remove every trace; an error here is only logged, since another one is being raised."""
        try:
            self._sink.discard()
        except Exception as error:  # noqa: BLE001
            log.warning("Leftovers of %s could not be removed: %s", self._uri, redact_text(str(error)))


class Destination:
    """Folder in object storage.

    :param uri: local path or URI, as ``ObjectStoragePath`` takes it, connection id included.
    :raises Veo3ValidationError: nothing serves the URI, or its connection does not exist.
    :raises Veo3StorageError: the storage cannot be reached.
    """

    def __init__(self, uri: str) -> None:
        _check_uri(uri)
        parts = ObjectUri.parse(uri)
        # from the URI itself: a path knows its connection only since Airflow 3.2
        self._connection = parts.connection
        try:
            self._root = object_path(uri)
            self._fs = self._root.fs
        except (AirflowNotFoundException, ImportError, TypeError, ValueError) as error:
            raise Veo3ValidationError.of("destination", uri, f"{_DESTINATION} ({error})") from error
        except Exception as error:
            raise Veo3StorageError(
                f"The destination {uri} could not be opened: {redact_text(str(error))}. Nothing was"
                f" downloaded or stored. {FREE_RETRY}."
            ) from error
        protocols = {self._fs.protocol} if isinstance(self._fs.protocol, str) else set(self._fs.protocol)
        self._store = next((store for store in CONTENT_TYPE if store in protocols), None)
        self._pool = PartPool()
        self._is_local = isinstance(self._fs, LocalFileSystem)
        if self._store and not parts.authority:
            raise Veo3ValidationError.of("destination", uri, _DESTINATION)

    @property
    def max_concurrency(self) -> int | None:
        """Most files to write at once, limited by memory; ``None`` for no limit."""
        return MAX_PARTS if self._store else None

    @property
    def azure_account(self) -> str | None:
        """Name of the Azure account that the folder is in; ``None`` elsewhere."""
        return azure_account_of(self._fs)

    def uri(self, name: str) -> str:
        """Return the URI that ``ObjectStoragePath`` opens a file with, from any working directory."""
        if not self._is_local:
            return str(self._root / name)
        return str(ObjectUri("file", self._connection, "", self._path(name).removeprefix("/")))

    def size(self, name: str) -> int | None:
        """Return the bytes of an existing file, ``None`` if there is none."""
        path = self._path(name)
        with _storage_errors(self.uri(name), "looked up"):
            try:
                self._fs.invalidate_cache(posixpath.dirname(path))
                size: int | None = self._fs.info(path)["size"]
            except FileNotFoundError:
                return None
        return size

    def read(self, name: str) -> Iterator[bytes]:
        """Yield a stored file in chunks."""
        with (
            _storage_errors(self.uri(name), "read"),
            self._fs.open(self._path(name), "rb", block_size=PART_SIZE, cache_type="readahead") as file,
        ):
            while data := file.read(CHUNK_SIZE):
                yield data

    def open(self, name: str, mime_type: str) -> Sink:
        """Open a new file for writing; missing folders are made.

        :param mime_type: media type that an object store is to serve the file with.
        """
        return NamedSink(self.uri(name), lambda: self._open_sink(self._path(name), mime_type))

    def _path(self, name: str) -> str:
        """Return the path of a file as the file system spells it."""
        path = str((self._root / name).path)
        if self._is_local:  # of which only the URI is sure to be absolute
            return str(self._fs.unstrip_protocol(path)).removeprefix("file://")
        return path

    def _open_sink(self, path: str, mime_type: str) -> Sink:
        if self._is_local:
            return LocalSink(Path(path))
        if self._store:
            return MultipartSink(self._fs, path, self._store, mime_type, self._pool)
        return RenamedSink(self._fs, path)


def _check_uri(uri: object) -> None:
    if not isinstance(uri, str) or not uri.strip():
        raise Veo3ValidationError.of("destination", uri, _DESTINATION)
    check_holds_no_password("destination", uri, _DESTINATION)
    if _SCHEME_WITHOUT_SLASHES.match(uri):  # else a mistyped bucket would become a folder on the worker
        raise Veo3ValidationError.of("destination", uri, f"{_DESTINATION}; a scheme is followed by '://'")


@contextlib.contextmanager
def _storage_errors(uri: str, action: str) -> Iterator[None]:
    """Raise the errors of storage libraries as ``Veo3StorageError``."""
    try:
        yield
    except Veo3Error:
        raise
    except Exception as error:
        _free_frames(error)
        raise Veo3StorageError(
            f"{uri} could not be {action}: {type(error).__name__}: {redact_text(str(error))}. Check the"
            f" storage and its connection. {FREE_RETRY}."
        ) from error


def _free_frames(error: BaseException) -> None:
    """Clear the frames of an error, which would keep a part in memory."""
    seen: set[int] = set()
    each: BaseException | None = error
    while each is not None and id(each) not in seen:
        seen.add(id(each))
        traceback.clear_frames(each.__traceback__)
        each = each.__cause__ or each.__context__


def azure_account_of(filesystem: Any) -> str | None:
    """Return the name of the Azure account of a file system; ``None`` elsewhere."""
    # with a connection string, only the client knows the name
    for holder in (filesystem, getattr(filesystem, "service_client", None)):
        name = getattr(holder, "account_name", None)
        if isinstance(name, str):
            return name
    return None
