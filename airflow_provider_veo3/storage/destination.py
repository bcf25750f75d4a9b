"""Folder in object storage that videos are stored in."""

from __future__ import annotations

import contextlib
import errno
import logging
import posixpath
import re
import traceback
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from fsspec.implementations.local import LocalFileSystem  # type: ignore[import-untyped]

from airflow_provider_veo3.airflow_names import AirflowNotFoundException, ObjectStoragePath
from airflow_provider_veo3.api.redact import redact_text
from airflow_provider_veo3.exceptions import (
    REASON_LENGTH,
    Veo3Error,
    Veo3StorageError,
    Veo3ValidationError,
    shown_text,
)
from airflow_provider_veo3.parameters import check_rendered, path_text
from airflow_provider_veo3.storage.multipart import MAX_PARTS, MultipartSink, PartPool
from airflow_provider_veo3.storage.response import FREE_RETRY
from airflow_provider_veo3.storage.sink import CHUNK_SIZE, LocalSink, RenamedSink, Sink
from airflow_provider_veo3.storage.upload import PART_SIZE, UPLOADS, size_by_info
from airflow_provider_veo3.storage.uri import (
    SERVED,
    ObjectUri,
    check_holds_no_password,
    check_parts,
    how_to_write,
    object_path,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

log = logging.getLogger(__name__)

_DESTINATION: Final = f"a local folder, or a URI such as 's3://connection@bucket/prefix/' {SERVED}"

_FIELD: Final = re.compile(r"\{(generation_id|index)\b")

_LONGEST_PART: Final = 255
"""Bytes of the longest name of a file or folder, on all usual file systems."""

_LONGEST_KEY: Final = 1024
"""Bytes of the longest key of an object, on each of the object stores."""

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

    def publish(self, *, replace: bool = True) -> None:
        """Make the whole file visible."""
        with _storage_errors(self._uri, "written"):
            try:
                self._sink.publish(replace=replace)
            except FileExistsError as error:
                raise Veo3StorageError(
                    f"{shown_text(self._uri, REASON_LENGTH)} was not written: meanwhile another task stored a"
                    f" file there, which was not replaced. {FREE_RETRY}. If `filename` is without"
                    " {generation_id}, each generation has the same name, and only the first is stored."
                ) from error

    def discard(self) -> None:
        """Remove every trace; an error here is only logged, since another one is being raised."""
        try:
            self._sink.discard()
        except Exception as error:  # noqa: BLE001
            log.warning("Leftovers of %s could not be removed: %s", self._uri, redact_text(str(error)))


class Destination:
    """Folder in object storage.

    :param uri: local path or URI, as ``ObjectStoragePath`` takes it, connection id included, or a path
        object.
    :raises Veo3ValidationError: nothing serves the URI, its connection does not exist, or the storage would
        read it otherwise than it is written.
    :raises Veo3StorageError: the storage cannot be reached.
    """

    def __init__(self, uri: object) -> None:
        text = _checked(uri)
        given = ObjectUri.parse(text)
        try:
            # of the root alone: Airflow's path drops a '?' or '#' at the end of a key
            root = object_path(str(replace(given, key="")) if given.scheme else "/")
            self._fs = root.fs
        except (AirflowNotFoundException, ImportError, TypeError, ValueError) as error:
            allowed = f"{_DESTINATION} ({_reason(error)}){how_to_write(given)}"
            raise Veo3ValidationError.of("destination", uri, allowed) from error
        except Exception as error:
            raise Veo3StorageError(
                f"The destination {shown_text(text, REASON_LENGTH)} could not be opened: {_reason(error)}."
                f" Nothing was downloaded or stored. {FREE_RETRY}."
            ) from error
        protocols = {self._fs.protocol} if isinstance(self._fs.protocol, str) else set(self._fs.protocol)
        self._upload = next((UPLOADS[store] for store in UPLOADS if store in protocols), None)
        self._size_of = size_by_info if self._upload is None else self._upload.size
        self._pool = PartPool(PART_SIZE if self._upload is None else self._upload.part_size)
        self._is_local = isinstance(self._fs, LocalFileSystem)
        if self._upload and not given.authority:
            raise Veo3ValidationError.of("destination", uri, _DESTINATION)
        self._folder = given if given.scheme else ObjectUri("file", "", "", str(Path(text).absolute())[1:])
        self._root = str(root.path).rstrip("/")
        if fault := self._fault_of("file"):
            raise Veo3ValidationError.of("destination", uri, f"{_DESTINATION}; {fault}")

    @property
    def max_concurrency(self) -> int | None:
        """Most files to write at once, limited by memory; ``None`` for no limit."""
        return MAX_PARTS if self._upload else None

    @property
    def azure_account(self) -> str | None:
        """Name of the Azure account that the folder is in; ``None`` elsewhere."""
        return azure_account_of(self._fs)

    def check_name(self, name: str) -> None:
        """Refuse a name that the storage would change or cannot take.

        :param name: path of a file below this folder.
        :raises Veo3ValidationError: the storage cannot have a file of exactly this name.
        """
        if fault := self._fault_of(name):
            raise Veo3ValidationError.of(
                "filename",
                name,
                f"a name that {shown_text(str(self._folder), REASON_LENGTH)} can have; {fault}",
            )

    def uri(self, name: str) -> str:
        """Return the URI that ``ObjectStoragePath`` opens a file with, from any working directory."""
        return str(replace(self._folder, key=self._key(name)))

    def size(self, name: str) -> int | None:
        """Return the bytes of an existing file, ``None`` if there is none."""
        path = self._path(name)
        with _storage_errors(self.uri(name), "looked up"):
            try:
                self._fs.invalidate_cache(posixpath.dirname(path))
                return self._size_of(self._fs, path)
            except FileNotFoundError:
                return None

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

    def _key(self, name: str) -> str:
        folder = self._folder.key.rstrip("/")
        return f"{folder}/{name}" if folder else name

    def _path(self, name: str) -> str:
        """Return the path of a file as the file system spells it; every access goes through here."""
        self.check_name(name)
        return f"{self._root}/{self._key(name)}"

    def _fault_of(self, name: str) -> str | None:
        """Return why the storage cannot have a file of exactly this name; ``None`` if it can.

        The clients of storages take ``?`` for the start of a version or a query, which they cut off, and most
        of them ``#`` too.
        """
        key = self._key(name)
        for character in "" if self._is_local else "?" if self._upload else "?#":
            if character in key:
                return (
                    f"it has a {character!r}, which the client of this storage takes for the end of the name"
                )
        if str(ObjectStoragePath(self.uri(name)).path) != f"{self._root}/{key}":
            return "Airflow's ObjectStoragePath reads it otherwise"
        limit, texts = (_LONGEST_KEY, [key]) if self._upload else (_LONGEST_PART, key.split("/"))
        if max(len(text.encode()) for text in texts) > limit:
            return f"it is too long: at most {limit} bytes {'below the bucket' if self._upload else 'a part'}"
        return None

    def _open_sink(self, path: str, mime_type: str) -> Sink:
        if self._is_local:
            return LocalSink(Path(path))
        if self._upload is not None:
            return MultipartSink(self._upload(self._fs, path, mime_type), self._pool)
        return RenamedSink(self._fs, path)


def _checked(value: object) -> str:
    """Return a destination as text.

    :raises Veo3ValidationError: it is no path, or has a part that is certainly not meant.
    """
    uri = path_text(value)
    check_rendered("destination", uri, _DESTINATION)
    if not isinstance(uri, str):
        raise Veo3ValidationError.of("destination", uri, _DESTINATION)
    check_holds_no_password("destination", uri, _DESTINATION)
    if _SCHEME_WITHOUT_SLASHES.match(uri):  # else a mistyped bucket would become a folder on the worker
        raise Veo3ValidationError.of("destination", uri, f"{_DESTINATION}; a scheme is followed by '://'")
    check_parts("destination", uri, _parts_of(uri), _DESTINATION)
    parts = ObjectUri.parse(uri)
    fault = ""
    if parts.scheme in LocalFileSystem.protocol and parts.authority:
        fault = "; the path of a local file begins after three slashes, as in 'file:///videos/'"
    elif "." in parts.authority:  # which no container has
        fault = how_to_write(parts)
    elif _FIELD.search(uri):
        fault = "; a field such as {generation_id} belongs in `filename`"
    if fault:
        raise Veo3ValidationError.of("destination", uri, f"{_DESTINATION}{fault}")
    return uri


def _parts_of(uri: str) -> list[str]:
    """Return every name in a destination: of the connection, the bucket and the folders."""
    scheme, separator, rest = uri.partition("://")
    if not (scheme and separator):
        if uri.startswith("~"):
            return ["~"]
        names = uri.removeprefix("/").removesuffix("/").split("/") if uri.strip("/") else [uri.strip("/")]
        return [name for name in names if name != "."]
    authority, _, key = rest.partition("/")
    connection, at, bucket = authority.rpartition("@")
    folders = key.removesuffix("/").split("/") if key else []
    return [*([connection] if at else []), *([bucket] if bucket else []), *folders]


@contextlib.contextmanager
def _storage_errors(uri: str, action: str) -> Iterator[None]:
    """Raise the errors of storage libraries as ``Veo3StorageError``."""
    try:
        yield
    except Veo3Error:
        raise
    except Exception as error:
        _free_frames(error)
        if isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG:
            raise Veo3ValidationError.of(
                "filename", uri, "a shorter name than the storage refuses"
            ) from error
        raise Veo3StorageError(
            f"{shown_text(uri, REASON_LENGTH)} could not be {action}: {type(error).__name__}:"
            f" {_reason(error)}. Check the storage and its connection. {FREE_RETRY}."
        ) from error


def _reason(error: Exception) -> str:
    return shown_text(redact_text(str(error)), REASON_LENGTH)


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
