"""Parts in S3 that a killed worker has left for a file, which are paid for by the month and never seen."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_veo3.api.redact import redact_text

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem  # type: ignore[import-untyped]

PAGE: Final = 1000
"""Most parts that S3 tells of at once; of a file with more, 5 GB, nothing is known."""

log = logging.getLogger(__name__)


class S3Leftovers:
    """The unfinished uploads of one name that were there before ours.

    Google drops such uploads after a week, and Azure when another of the same name is committed; S3 never
    does. Looking for them needs permissions of its own; without these they stay until a lifecycle rule
    removes them.

    :param fs: of ``s3fs``.
    """

    def __init__(self, fs: AbstractFileSystem, path: str) -> None:
        self._fs = fs
        bucket, _, key = path.partition("/")
        self._where = {"Bucket": bucket, "Key": key}
        self._before: dict[str, int] = {}
        try:
            for each in self._call("list_multipart_uploads", Bucket=bucket, Prefix=key).get("Uploads", []):
                if each["Key"] == key:
                    self._before[each["UploadId"]] = self._parts(each["UploadId"])
        except Exception as error:  # noqa: BLE001 - the file can be stored all the same
            log.debug("Unfinished uploads of %s could not be listed: %s", path, redact_text(str(error)))

    def remove(self) -> None:
        """Abort those that got no part while ours was written whole: nobody is writing them."""
        for upload_id, parts in self._before.items():
            try:
                if self._parts(upload_id) == parts < PAGE:
                    self._call("abort_multipart_upload", **self._where, UploadId=upload_id)
                    log.info("Removed %d parts of %s, left by a killed attempt", parts, self._where["Key"])
            except Exception as error:  # noqa: BLE001 - the file is stored
                log.debug("An unfinished upload could not be removed: %s", redact_text(str(error)))

    def _parts(self, upload_id: str) -> int:
        parts: list[Any] = self._call("list_parts", **self._where, UploadId=upload_id).get("Parts", [])
        return len(parts)

    def _call(self, method: str, **parameters: str) -> dict[str, Any]:
        answer: dict[str, Any] = self._fs.call_s3(method, **parameters)
        return answer
