"""An object store in memory, which does what a test says and remembers how it was written to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fsspec.implementations.memory import MemoryFileSystem  # type: ignore[import-untyped]
from fsspec.spec import AbstractBufferedFile  # type: ignore[import-untyped]

if TYPE_CHECKING:
    from collections.abc import Callable


class StagedFile(AbstractBufferedFile):  # type: ignore[misc]
    """Uploads in parts, as S3's writer does; ``Bucket.objects`` changes only when it is committed."""

    parts: list[bytes] | None
    busy = False

    def _initiate_upload(self) -> None:
        self.fs.bucket.begun += 1
        self.parts = []

    def _upload_chunk(self, final: bool = False) -> bool:
        if self.fs.bucket.full:
            raise OSError("the bucket is full")
        if self.fs.bucket.reluctant and not final:
            return False  # as writers do that have sent less than all, and keep the rest in the buffer
        self.fs.bucket.largest_part = max(self.fs.bucket.largest_part, self.buffer.tell())
        assert self.parts is not None
        bucket: Bucket = self.fs.bucket
        assert not self.busy, "a writer is not made for two parts at once"
        self.busy = True
        bucket.log.append("begun")
        bucket.sees(self.buffer.getbuffer())
        bucket.meanwhile()
        # a copy: what is handed over is used again
        self.parts.append(bytes(memoryview(self.buffer.getvalue())) if bucket.keeps else b"")
        bucket.parts.append(self.buffer.tell())
        bucket.log.append("sent")
        self.busy = False
        if final and self.autocommit:
            self.commit()
        return True

    def commit(self) -> None:
        parts, self.parts = self.parts, None
        assert parts is not None, "an upload is completed once"
        self.fs.bucket.objects[self.path] = (b"".join(parts), self.kwargs)

    def discard(self) -> None:
        self.fs.bucket.discarded += 1
        self.fs.bucket.log.append("discarded")


class Bucket:
    def __init__(self) -> None:
        self.objects: dict[str, tuple[bytes, dict[str, Any]]] = {}
        self.begun = self.discarded = self.largest_part = 0
        self.full = self.reluctant = False
        self.keeps = True
        self.parts: list[int] = []
        self.log: list[str] = []
        self.meanwhile: Callable[[], object] = lambda: None
        """Called while a part is under way."""
        self.sees: Callable[[memoryview], object] = lambda _: None
        """Is shown the part."""


class BucketFileSystem(MemoryFileSystem):  # type: ignore[misc]
    """An object store, as far as writing to one goes."""

    protocol = "s3"
    cachable = False

    def __init__(self) -> None:
        super().__init__()
        self.bucket = Bucket()
        self.listed: dict[str, dict[str, tuple[bytes, Any]]] = {}

    def _open(self, path: str, mode: str = "rb", **kwargs: Any) -> StagedFile:
        return StagedFile(self, path, mode, **{k: v for k, v in kwargs.items() if v is not None})

    def info(self, path: str, **kwargs: Any) -> dict[str, Any]:
        """From a listing that is kept, as real stores' file systems do."""
        listing = self.listed.setdefault(self._parent(path), dict(self.bucket.objects))
        if path not in listing:
            raise FileNotFoundError(path)
        return {"name": path, "size": len(listing[path][0]), "type": "file"}

    def invalidate_cache(self, path: str | None = None) -> None:
        self.listed.pop(path or "", None)

    def cat_file(self, path: str, start: int | None = None, end: int | None = None, **kwargs: Any) -> bytes:
        return self.bucket.objects[path][0][start:end]
