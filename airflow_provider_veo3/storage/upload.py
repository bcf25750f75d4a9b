"""Uploads in parts, for each object store, through the public calls of its client."""

from __future__ import annotations

import contextlib
import threading
import uuid
from typing import TYPE_CHECKING, Any, ClassVar, Final, Protocol

from fsspec.asyn import sync  # type: ignore[import-untyped]
from fsspec.spec import AbstractBufferedFile  # type: ignore[import-untyped]

from airflow_provider_veo3.storage.cleanup import AbandonedUploads

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fsspec import AbstractFileSystem  # type: ignore[import-untyped]

PART_SIZE: Final = 5 * 2**20
"""Bytes of one part of an upload: the least that S3 accepts."""


class Upload(Protocol):
    """Upload of one object, which the store shows only once it is completed.

    :param fs: file system of the store.
    :param path: path of the object there.
    :param mime_type: media type that the store is to serve the object with.
    """

    part_size: ClassVar[int]
    """Bytes of each part but the last."""
    in_order: ClassVar[bool]
    """True if the store takes the parts only one after the other."""

    def __init__(self, fs: AbstractFileSystem, path: str, mime_type: str) -> None: ...

    @staticmethod
    def size(fs: AbstractFileSystem, path: str) -> int:
        """Return the bytes of an existing object.

        :raises FileNotFoundError: there is no such object.
        """

    def put(self, body: bytes) -> None:
        """Store an object of a single part."""

    def send(self, number: int, body: bytes) -> None:
        """Send a part.

        :param number: position of the part, from 1.
        :param body: ``part_size`` bytes; fewer only in the last part.
        """

    def complete(self) -> None:
        """Make the object visible, after all of its parts are sent."""

    def abort(self) -> None:
        """Remove what was sent; no part may be on its way."""


def size_by_info(fs: AbstractFileSystem, path: str) -> int:
    """Return the bytes of an existing file, as its file system describes it.

    :raises FileNotFoundError: there is no such file.
    """
    size: int = fs.info(path)["size"]
    return size


class S3Upload:
    """Multipart upload to S3, through ``call_s3`` of s3fs.

    An object of one part is stored with one request.
    """

    part_size: ClassVar = PART_SIZE
    in_order: ClassVar = False

    def __init__(self, fs: AbstractFileSystem, path: str, mime_type: str) -> None:
        self._fs = fs
        bucket, key, _ = fs.split_path(path)
        self._object = {"Bucket": bucket, "Key": key}
        self._path = path
        self._mime_type = mime_type
        self._starting = threading.Lock()
        self._id: str | None = None
        self._parts: dict[int, dict[str, Any]] = {}
        self._abandoned: AbandonedUploads | None = None

    @staticmethod
    def size(fs: AbstractFileSystem, path: str) -> int:
        """Return the bytes of an existing object.

        ``info`` of s3fs would list the folder too if there is none, which is slower and dearer.

        :raises FileNotFoundError: there is no such object.
        """
        bucket, key, _ = fs.split_path(path)
        size: int = fs.call_s3("head_object", Bucket=bucket, Key=key)["ContentLength"]
        return size

    def put(self, body: bytes) -> None:
        """Store an object of a single part."""
        self._call("put_object", Body=body, ContentType=self._mime_type)
        self._fs.invalidate_cache(self._path)

    def send(self, number: int, body: bytes) -> None:
        """Send a part; the first one starts the upload."""
        sent = self._call("upload_part", UploadId=self._started(), PartNumber=number, Body=body)
        fields = ("ETag", "ChecksumSHA256")  # the latter for a connection that asks for it
        self._parts[number] = {"PartNumber": number} | {name: sent[name] for name in fields if name in sent}

    def complete(self) -> None:
        """Make the object visible, and remove what killed attempts have left of it."""
        parts = [self._parts[number] for number in sorted(self._parts)]
        self._call("complete_multipart_upload", UploadId=self._id, MultipartUpload={"Parts": parts})
        self._id = None
        self._fs.invalidate_cache(self._path)
        if self._abandoned is not None:
            self._abandoned.remove()

    def abort(self) -> None:
        """Abort the upload, which removes its parts."""
        if self._id is not None:
            self._call("abort_multipart_upload", UploadId=self._id)
            self._id = None

    def _started(self) -> str:
        """Return the id of the upload; start it if necessary."""
        with self._starting:
            if self._id is None:
                self._abandoned = AbandonedUploads(self._fs, self._object)
                self._id = self._call("create_multipart_upload", ContentType=self._mime_type)["UploadId"]
            return self._id

    def _call(self, method: str, **parameters: Any) -> Mapping[str, Any]:
        response: Mapping[str, Any] = self._fs.call_s3(method, **self._object, **parameters)
        return response


class AzureUpload:
    """Block blob of Azure, through the client that adlfs has made of the connection.

    Azure itself drops blocks that no list names, a week later or when the list is committed.
    """

    part_size: ClassVar = PART_SIZE
    in_order: ClassVar = False

    def __init__(self, fs: AbstractFileSystem, path: str, mime_type: str) -> None:
        self._fs = fs
        container, blob, _ = fs.split_path(path)
        self._blob = fs.service_client.get_blob_client(container, blob)
        self._path = path
        self._mime_type = mime_type
        self._blocks: dict[int, str] = {}

    @staticmethod
    def size(fs: AbstractFileSystem, path: str) -> int:
        """Return the bytes of an existing object."""
        return size_by_info(fs, path)

    def put(self, body: bytes) -> None:
        """Store an object of a single part."""
        if body:
            self.send(1, body)
        self.complete()

    def send(self, number: int, body: bytes) -> None:
        """Send a part."""
        block = uuid.uuid4().hex  # of one length, as Azure requires, also with those of earlier attempts
        sync(self._fs.loop, self._blob.stage_block, block, body, length=len(body))
        self._blocks[number] = block

    def complete(self) -> None:
        """Make the object visible."""
        from azure.storage.blob import BlobBlock, ContentSettings

        sync(
            self._fs.loop,
            self._blob.commit_block_list,
            [BlobBlock(self._blocks[number]) for number in sorted(self._blocks)],
            content_settings=ContentSettings(content_type=self._mime_type),
            metadata={"is_directory": "false"},  # as adlfs marks its files
        )
        self._fs.invalidate_cache(self._path)

    def abort(self) -> None:
        """Leave the blocks to Azure, which has no call to remove them."""


class GoogleUpload:
    """Resumable upload to Google Cloud Storage, through a writer of gcsfs without autocommit.

    The writer copies each part, so the parts are smaller than those of the other stores.
    """

    part_size: ClassVar = 4 * 2**20
    in_order: ClassVar = True

    def __init__(self, fs: AbstractFileSystem, path: str, mime_type: str) -> None:
        self._fs = fs
        self._path = path
        self._mime_type = mime_type
        self._file: Any = None

    @staticmethod
    def size(fs: AbstractFileSystem, path: str) -> int:
        """Return the bytes of an existing object."""
        return size_by_info(fs, path)

    def put(self, body: bytes) -> None:
        """Store an object of a single part."""
        self.send(1, body)
        self.complete()

    def send(self, number: int, body: bytes) -> None:  # noqa: ARG002 - the parts come in order
        """Send a part; the writer keeps a short one until the completion."""
        if self._file is None:
            self._open()
        self._file.write(body)

    def complete(self) -> None:
        """Make the object visible."""
        self._file.close()
        self._file.commit()

    def abort(self) -> None:
        """Cancel the upload."""
        file, self._file = self._file, None  # its memory must not stay as long as an error
        if file is not None:
            file.discard()  # and thereby closed

    def _open(self) -> None:
        self._file = self._fs.open(
            self._path, "wb", block_size=self.part_size, autocommit=False, content_type=self._mime_type
        )
        with contextlib.suppress(ValueError):  # it is committed here, not at the end of a transaction
            self._fs.transaction.files.remove(self._file)
        if type(self._file).write is not AbstractBufferedFile.write:  # a writer without parts
            raise NotImplementedError(
                f"{type(self._file).__name__} shows a file while it is written, as Google's zonal buckets do"
            )


UPLOADS: Final[dict[str, type[Upload]]] = {"s3": S3Upload, "gs": GoogleUpload, "abfs": AzureUpload}
"""Upload of each store that hides an object until its completion."""
