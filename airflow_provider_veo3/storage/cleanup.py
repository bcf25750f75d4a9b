"""Removal of unfinished S3 uploads, whose invisible parts are billed every month."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_veo3.api.redact import redact_text
from airflow_provider_veo3.exceptions import counted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fsspec import AbstractFileSystem  # type: ignore[import-untyped]

PAGE_SIZE: Final = 1000
"""Most parts that S3 lists at once; a larger upload, over 5 GB, stays."""

log = logging.getLogger(__name__)


class AbandonedUploads:
    """Unfinished uploads of one S3 object that were started before ours.

    Google drops such uploads after a week, and Azure when another upload of the same name is committed; S3
    never does. Listing them needs permissions of its own; without these the parts stay until a lifecycle
    rule removes them.

    :param fs: file system of ``s3fs``.
    :param key: bucket and key of the object, ``Bucket`` and ``Key``.
    """

    def __init__(self, fs: AbstractFileSystem, key: Mapping[str, str]) -> None:
        self._fs = fs
        self._object = key
        self._parts_before: dict[str, int] = {}
        try:
            found = self._call("list_multipart_uploads", Bucket=key["Bucket"], Prefix=key["Key"])
            for each in found.get("Uploads", []):
                if each["Key"] == key["Key"]:
                    self._parts_before[each["UploadId"]] = self._count_parts(each["UploadId"])
        except Exception as error:  # noqa: BLE001 - the file can be stored all the same
            log.debug("Unfinished uploads of %s could not be listed: %s", key["Key"], redact_text(str(error)))

    def remove(self) -> None:
        """Abort the uploads that received no part during our whole upload: their writers are gone."""
        for upload_id, parts in self._parts_before.items():
            try:
                if self._count_parts(upload_id) == parts < PAGE_SIZE:
                    self._call("abort_multipart_upload", **self._object, UploadId=upload_id)
                    log.info(
                        "Removed %s of %s, left by a killed attempt",
                        counted(parts, "part"),
                        self._object["Key"],
                    )
            except Exception as error:  # noqa: BLE001 - the file is stored
                log.debug("An unfinished upload could not be removed: %s", redact_text(str(error)))

    def _count_parts(self, upload_id: str) -> int:
        parts: list[Any] = self._call("list_parts", **self._object, UploadId=upload_id).get("Parts", [])
        return len(parts)

    def _call(self, method: str, **parameters: str) -> dict[str, Any]:
        response: dict[str, Any] = self._fs.call_s3(method, **parameters)
        return response
