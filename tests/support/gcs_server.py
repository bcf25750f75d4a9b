"""Server process that emulates Google Cloud Storage, with two routes that the emulator lacks.

They cancel an upload, to which Google responds with 499, and list the unfinished uploads.
"""

from __future__ import annotations

import sys
from enum import IntEnum
from functools import partial
from http.server import ThreadingHTTPServer
from typing import Any

from gcp_storage_emulator import server
from gcp_storage_emulator.handlers.buckets import create_bucket
from gcp_storage_emulator.settings import UPLOAD_API_ENDPOINT
from gcp_storage_emulator.storage import Storage


class _Status(IntEnum):
    CANCELLED = 499

    @property
    def phrase(self) -> str:
        return "Client Closed Request"


UPLOADS = rf"^{UPLOAD_API_ENDPOINT}/b/(?P<bucket_name>[-.\w]+)/o$"


def cancel(request: Any, response: Any, storage: Any) -> None:
    (upload_id,) = request.query["upload_id"]
    storage.delete_resumable_file_obj(upload_id)
    response.status = _Status.CANCELLED


def unfinished(request: Any, response: Any, storage: Any) -> None:
    response.json([each["name"] for each in storage.resumable.values()])


def main(port: int, bucket: str) -> None:
    # the router uses the first pattern that fits, which therefore has to keep its other methods
    uploads = (UPLOADS, dict(server.HANDLERS)[UPLOADS] | {server.DELETE: cancel})
    server.HANDLERS = (uploads, (r"^/unfinished$", {server.GET: unfinished}), *server.HANDLERS)
    storage = Storage(use_memory_fs=True)
    create_bucket(bucket, storage)
    ThreadingHTTPServer(("127.0.0.1", port), partial(server.RequestHandler, storage)).serve_forever()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
