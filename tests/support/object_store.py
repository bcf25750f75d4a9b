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

    def __init__(self, scheme: str) -> None:
        self.scheme = scheme
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
        """True to keep a part in the writer's buffer, as if it was sent incompletely; only of Google's."""
        self.stores_bytes = True
        self.refuses_abort = False
        self.file_class = MultipartFile
        self.during_part: Callable[[], object] = lambda: None
        """Called while a part is being sent."""
        self.sees_part: Callable[[bytes], object] = lambda _: None
        """Called with the memory of a part."""

    def receive(self, part: bytes) -> bytes:
        """Receive a part; return a copy, or nothing if the bucket stores no bytes."""
        if self.full:
            raise OSError("the bucket is full")
        self.largest_part = max(self.largest_part, len(part))
        self.log.append("part started")
        self.sees_part(part)
        self.during_part()
        # a copy: the memory is reused
        copy = bytes(memoryview(part)[:]) if self.stores_bytes else b""
        self.parts.append(len(part))
        self.log.append("part sent")
        return copy

    def discard(self) -> None:
        """Abort an upload."""
        if self.refuses_abort:
            raise OSError("the abort was refused")
        self.uploads_discarded += 1
        self.log.append("discarded")


class MultipartFile(AbstractBufferedFile):  # type: ignore[misc]
    """Writer of a resumable upload, like that of Google; the object exists once it is committed."""

    parts: list[bytes] | None = None
    busy = False

    def _initiate_upload(self) -> None:
        self.fs.bucket.uploads_started += 1
        self.parts = []

    def _upload_chunk(self, final: bool = False) -> bool:
        bucket: Bucket = self.fs.bucket
        if bucket.keeps_rest and not final:
            return False
        assert self.parts is not None
        assert not self.busy, "a writer is not made for two parts at once"
        part = self.buffer.getvalue()
        if part:
            self.busy = True
            try:
                self.parts.append(bucket.receive(part))
            finally:
                self.busy = False
        if final and self.autocommit:
            self.commit()
        return True

    def commit(self) -> None:
        parts, self.parts = self.parts, None
        assert parts is not None, "an upload is completed once"
        self.fs.bucket.objects[self.path] = (b"".join(parts), self.kwargs)

    def discard(self) -> None:
        if self.parts is None:
            return
        self.fs.bucket.discard()
        self.parts = None
        self.closed = True


class BucketFileSystem(MemoryFileSystem):  # type: ignore[misc]
    """File system of an object store, as far as a download uses it.

    As S3 it has the calls of s3fs, as Google's a writer.
    """

    cachable = False

    def __init__(self, scheme: str = "s3") -> None:
        super().__init__()
        self.protocol = scheme
        self.bucket = Bucket(scheme)
        self.uploads: dict[str, tuple[dict[str, Any], dict[int, bytes]]] = {}
        """Options and parts of each running upload, by its id."""
        self.listings: dict[str, dict[str, tuple[bytes, Any]]] = {}

    def split_path(self, path: str) -> tuple[str, str, None]:
        bucket, _, key = path.lstrip("/").partition("/")
        return bucket, key, None

    def call_s3(self, method: str, *, Bucket: str, Key: str = "", **options: Any) -> dict[str, Any]:  # noqa: N803
        response: dict[str, Any] = getattr(self, f"_{method}")(f"/{Bucket}/{Key}", **options)
        return response

    def _head_object(self, path: str) -> dict[str, Any]:
        if path not in self.bucket.objects:
            raise FileNotFoundError(path)
        return {"ContentLength": len(self.bucket.objects[path][0])}

    def _list_multipart_uploads(self, path: str, Prefix: str) -> dict[str, Any]:  # noqa: N803
        return {}

    def _put_object(self, path: str, Body: bytes, **options: Any) -> dict[str, Any]:  # noqa: N803
        self.bucket.objects[path] = (self.bucket.receive(Body), options)
        return {}

    def _create_multipart_upload(self, path: str, **options: Any) -> dict[str, Any]:
        self.bucket.uploads_started += 1
        upload_id = f"{path} {self.bucket.uploads_started}"
        self.uploads[upload_id] = (options, {})
        return {"UploadId": upload_id}

    def _upload_part(self, path: str, UploadId: str, PartNumber: int, Body: bytes) -> dict[str, Any]:  # noqa: N803
        assert UploadId.startswith(f"{path} ")
        part = self.bucket.receive(Body)
        self.uploads[UploadId][1][PartNumber] = part
        return {"ETag": f"etag of {PartNumber}"}

    def _complete_multipart_upload(
        self,
        path: str,
        UploadId: str,  # noqa: N803
        MultipartUpload: dict[str, list[dict[str, Any]]],  # noqa: N803
    ) -> dict[str, Any]:
        options, parts = self.uploads.pop(UploadId)
        numbers = range(1, len(parts) + 1)
        assert MultipartUpload == {"Parts": [{"PartNumber": n, "ETag": f"etag of {n}"} for n in numbers]}
        self.bucket.objects[path] = (b"".join(parts[n] for n in numbers), options)
        return {}

    def _abort_multipart_upload(self, path: str, UploadId: str) -> dict[str, Any]:  # noqa: N803
        self.bucket.discard()
        del self.uploads[UploadId]
        return {}

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
