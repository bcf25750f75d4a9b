"""Object store in memory, with faults on demand and a record of its uploads."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING, Any

from fsspec.implementations.memory import MemoryFileSystem  # type: ignore[import-untyped]
from fsspec.spec import AbstractBufferedFile  # type: ignore[import-untyped]

if TYPE_CHECKING:
    from collections.abc import Callable


class Bucket:
    """A bucket, its faults, and the record of its uploads."""

    def __init__(self) -> None:
        self.objects: dict[str, tuple[bytes, dict[str, Any]]] = {}
        """Body and options of each completed upload, by path."""
        self.uploads_started = self.uploads_discarded = self.largest_part = 0
        self.parts: list[int] = []
        """Bytes of each part that arrived."""
        self.log: list[str] = []
        """Order of ``part started``, ``part sent`` and ``discarded``."""
        self.full = False
        """True to refuse every part."""
        self.keeps_rest = False
        """True to keep a part in the writer's buffer, as if it was sent incompletely."""
        self.stores_bytes = True
        self.refuses_abort = False
        self.file_class = MultipartFile
        self.during_part: Callable[[], object] = lambda: None
        """Called while a part is being sent."""
        self.sees_part: Callable[[memoryview], object] = lambda _: None
        """Called with the memory of a part."""


class MultipartFile(AbstractBufferedFile):  # type: ignore[misc]
    """Upload in parts, like that of S3; the object exists once it is committed."""

    parts: list[bytes] | None
    busy = False

    def _initiate_upload(self) -> None:
        self.fs.bucket.uploads_started += 1
        self.parts = []

    def _upload_chunk(self, final: bool = False) -> bool:
        bucket: Bucket = self.fs.bucket
        if bucket.full:
            raise OSError("the bucket is full")
        if bucket.keeps_rest and not final:
            return False
        bucket.largest_part = max(bucket.largest_part, self.buffer.tell())
        assert self.parts is not None
        assert not self.busy, "a writer is not made for two parts at once"
        self.busy = True
        bucket.log.append("part started")
        bucket.sees_part(self.buffer.getbuffer())
        bucket.during_part()
        # a copy: the memory is reused
        self.parts.append(bytes(memoryview(self.buffer.getvalue())) if bucket.stores_bytes else b"")
        bucket.parts.append(self.buffer.tell())
        bucket.log.append("part sent")
        self.busy = False
        if final and self.autocommit:
            self.commit()
        return True

    def commit(self) -> None:
        parts, self.parts = self.parts, None
        assert parts is not None, "an upload is completed once"
        self.fs.bucket.objects[self.path] = (b"".join(parts), self.kwargs)

    def discard(self) -> None:
        if self.fs.bucket.refuses_abort:
            raise OSError("the abort was refused")
        self.fs.bucket.uploads_discarded += 1
        self.fs.bucket.log.append("discarded")


class BucketFileSystem(MemoryFileSystem):  # type: ignore[misc]
    """File system of an object store, as far as a download uses it."""

    protocol = "s3"
    cachable = False

    def __init__(self) -> None:
        super().__init__()
        self.bucket = Bucket()
        self.listings: dict[str, dict[str, tuple[bytes, Any]]] = {}

    def _open(self, path: str, mode: str = "rb", **kwargs: Any) -> MultipartFile:
        options = {name: value for name, value in kwargs.items() if value is not None}
        return self.bucket.file_class(self, path, mode, **options)

    def info(self, path: str, **kwargs: Any) -> dict[str, Any]:
        """Read a listing that is cached, as those of real stores are."""
        path = self._strip_protocol(path)
        listing = self.listings.setdefault(posixpath.dirname(path), dict(self.bucket.objects))
        if path not in listing:
            raise FileNotFoundError(path)
        return {"name": path, "size": len(listing[path][0]), "type": "file"}

    def invalidate_cache(self, path: str | None = None) -> None:
        self.listings.pop(self._strip_protocol(path or ""), None)

    def cat_file(self, path: str, start: int | None = None, end: int | None = None, **kwargs: Any) -> bytes:
        return self.bucket.objects[path][0][start:end]
