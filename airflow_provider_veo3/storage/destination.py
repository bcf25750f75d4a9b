"""The folder in object storage where videos go."""

from __future__ import annotations

import contextlib
import logging
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from airflow.providers.common.compat.sdk import AirflowNotFoundException
from fsspec.implementations.local import LocalFileSystem  # type: ignore[import-untyped]

from airflow_provider_veo3.api.redact import redact_text
from airflow_provider_veo3.exceptions import Veo3Error, Veo3StorageError, Veo3ValidationError
from airflow_provider_veo3.storage.multipart import BLOCK, PARTS, STAGED, Outbox, StagedSink
from airflow_provider_veo3.storage.sink import LocalSink, RenamedSink, Sink
from airflow_provider_veo3.storage.uri import SERVED, check_holds_no_password, path_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

log = logging.getLogger(__name__)

CHUNK: Final = 2**16
"""Bytes moved at a time; measured: more is not faster, and each file holds two of them in memory."""

_DESTINATION: Final = f"a local folder, or a URI such as 's3://connection@bucket/prefix/' {SERVED}"


class NamedSink:
    """A sink whose every trouble is told as ours, with the file's name."""

    def __init__(self, uri: str, open_sink: Callable[[], Sink]) -> None:
        self._uri = uri
        with _telling(uri, "written"):
            self._sink = open_sink()

    def write(self, data: bytes) -> None:
        """Append."""
        with _telling(self._uri, "written"):
            self._sink.write(data)

    def publish(self) -> None:
        """Show the file, whole."""
        with _telling(self._uri, "written"):
            self._sink.publish()

    def discard(self) -> None:
        """Leave no trace; trouble with that is logged only, since there is another error on its way."""
        try:
            self._sink.discard()
        except Exception as error:  # noqa: BLE001
            log.warning("Leftovers of %s could not be removed: %s", self._uri, redact_text(str(error)))


class Destination:
    """A folder in object storage.

    :param uri: local path or URI, as ``ObjectStoragePath`` takes it, connection id included.
    :raises Veo3ValidationError: it is no such URI, nothing serves its scheme, or its connection is missing.
    :raises Veo3StorageError: the storage could not be reached.
    """

    def __init__(self, uri: str) -> None:
        _check_uri(uri)
        # from the URI itself: paths tell their connection only since Airflow 3.2
        connection, at, _ = urlsplit(uri).netloc.rpartition("@")
        self._connection = f"{connection}{at}"
        try:
            self._root = path_of(uri)
            self._fs = self._root.fs
        except (AirflowNotFoundException, ImportError, TypeError, ValueError) as error:
            raise Veo3ValidationError.of("destination", uri, f"{_DESTINATION} ({error})") from error
        except Exception as error:
            raise Veo3StorageError(f"{uri} could not be opened: {redact_text(str(error))}.") from error
        protocols = {self._fs.protocol} if isinstance(self._fs.protocol, str) else set(self._fs.protocol)
        self._kind = next((kind for kind in STAGED if kind in protocols), "")
        self._outbox = Outbox()
        self._local = isinstance(self._fs, LocalFileSystem)
        if self._kind and not urlsplit(uri).netloc.rpartition("@")[2]:
            raise Veo3ValidationError.of("destination", uri, _DESTINATION)

    @property
    def most_at_once(self) -> int | None:
        """Files that may be written at once: each takes a part in memory; ``None`` if next to nothing."""
        return PARTS if self._kind else None

    @property
    def azure_account(self) -> str | None:
        """Name of the Azure account that the folder lies in; ``None`` elsewhere."""
        return account_of(self._fs)

    def uri(self, name: str) -> str:
        """Return what ``ObjectStoragePath`` opens this file with again, from any working directory."""
        if not self._local:
            return str(self._root / name)
        return f"file://{self._connection}{self._path(name)}"

    def size(self, name: str) -> int | None:
        """Return the bytes of a file that is there, ``None`` if there is none."""
        path = self._path(name)
        with _telling(self.uri(name), "looked up"):
            try:
                self._fs.invalidate_cache(self._fs._parent(path))
                found: int | None = self._fs.info(path)["size"]
            except FileNotFoundError:
                return None
        return found

    def read(self, name: str) -> Iterator[bytes]:
        """Yield a stored file in chunks."""
        with (
            _telling(self.uri(name), "read"),
            self._fs.open(self._path(name), "rb", block_size=BLOCK, cache_type="readahead") as file,
        ):
            while data := file.read(CHUNK):
                yield data

    def open(self, name: str, mime_type: str) -> Sink:
        """Begin a file; parent folders are made where the storage has folders."""
        return NamedSink(self.uri(name), lambda: self._sink(self._path(name), mime_type))

    def _path(self, name: str) -> str:
        return str(self._fs._strip_protocol((self._root / name).path))

    def _sink(self, path: str, mime_type: str) -> Sink:
        if self._local:
            return LocalSink(Path(path))
        if self._kind:
            return StagedSink(self._fs, path, self._kind, mime_type, self._outbox)
        return RenamedSink(self._fs, path)


def _check_uri(uri: object) -> None:
    if not isinstance(uri, str) or not uri.strip():
        raise Veo3ValidationError.of("destination", uri, _DESTINATION)
    check_holds_no_password("destination", uri, _DESTINATION)
    if urlsplit(uri).scheme and "://" not in uri:  # else a mistyped bucket would be a folder of the worker's
        raise Veo3ValidationError.of("destination", uri, f"{_DESTINATION}; a scheme is followed by '://'")


@contextlib.contextmanager
def _telling(uri: str, done: str) -> Iterator[None]:
    """Turn whatever a storage library raises into our error, with the file's name and what to do."""
    try:
        yield
    except Veo3Error:
        raise
    except Exception as error:
        _let_go(error)
        raise Veo3StorageError(
            f"{uri} could not be {done}: {type(error).__name__}: {redact_text(str(error))}. The video's"
            " credits are spent, but it is not lost: put the storage right and let the task run again, which"
            " fetches it at no cost until its link expires, about 24 hours after it was finished."
        ) from error


def _let_go(error: BaseException) -> None:
    """Free what the frames of an error hold: a part of the file, for as long as the task runs."""
    seen: set[int] = set()
    each: BaseException | None = error
    while each is not None and id(each) not in seen:
        seen.add(id(each))
        traceback.clear_frames(each.__traceback__)
        each = each.__cause__ or each.__context__


def account_of(filesystem: Any) -> str | None:
    """Return the name of the Azure account that a filesystem leads to; ``None`` elsewhere."""
    # a connection string names it to the client only
    for holder in (filesystem, getattr(filesystem, "service_client", None)):
        name = getattr(holder, "account_name", None)
        if isinstance(name, str):
            return name
    return None
