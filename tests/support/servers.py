"""Object stores as server processes, inspected with the vendors' own clients.

The clients share neither code nor listings with fsspec, which is under test.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Protocol

from testbed.processes import free_ports

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

BUCKET = "videos"
CONN_ID = "store_under_test"
ENVIRONMENT = Path(sys.prefix)
START_TIMEOUT = 300.0


class Store(Protocol):
    """Running store with an empty bucket."""

    scheme: str
    abort_removes_parts: bool
    """True if an aborted upload leaves nothing; Azure keeps its parts for a week."""
    retry_removes_leftovers: bool
    """True if a retry removes a killed worker's parts; Google keeps them for a week."""

    def connection(self) -> dict[str, Any]:
        """Return the Airflow connection of the store."""

    def names(self) -> list[str]:
        """Return the names of all objects in the bucket."""

    def stat(self, name: str) -> ObjectStat | None:
        """Return the current state of an object; ``None`` if it does not exist."""

    def read(self, name: str) -> bytes:
        """Return the bytes of an object."""

    def put(self, name: str, body: bytes) -> None:
        """Store an object with one request."""

    def unfinished_uploads(self) -> list[str]:
        """Return the object names of the uploads that are running or abandoned."""

    def clear(self) -> None:
        """Remove everything from the bucket."""


ObjectStat = tuple[int, str, str]
"""Size, media type and version of an object."""


class S3:
    scheme = "s3"
    abort_removes_parts = retry_removes_leftovers = True

    def __init__(self, url: str) -> None:
        import boto3

        self._url = url
        self._keys = {"aws_access_key_id": "veo3", "aws_secret_access_key": secrets.token_hex()}
        self._client = boto3.client("s3", endpoint_url=url, region_name="us-east-1", **self._keys)
        self._client.create_bucket(Bucket=BUCKET)

    def connection(self) -> dict[str, Any]:
        return {
            "conn_type": "aws",
            "login": self._keys["aws_access_key_id"],
            "password": self._keys["aws_secret_access_key"],
            "extra": {"endpoint_url": self._url, "region_name": "us-east-1"},
        }

    def names(self) -> list[str]:
        return [each["Key"] for each in self._client.list_objects_v2(Bucket=BUCKET).get("Contents", [])]

    def stat(self, name: str) -> ObjectStat | None:
        try:
            head = self._client.head_object(Bucket=BUCKET, Key=name)
        except self._client.exceptions.ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] != 404:
                raise
            return None
        return head["ContentLength"], head["ContentType"], f"{head['ETag']} {head['LastModified']}"

    def read(self, name: str) -> bytes:
        return self._client.get_object(Bucket=BUCKET, Key=name)["Body"].read()

    def put(self, name: str, body: bytes) -> None:
        self._client.put_object(Bucket=BUCKET, Key=name, Body=body)

    def unfinished_uploads(self) -> list[str]:
        return [each["Key"] for each in self._uploads()]

    def parts(self) -> list[int]:
        """Return the number of parts of each unfinished upload, in the order of their names."""
        found = [
            self._client.list_parts(Bucket=BUCKET, Key=each["Key"], UploadId=each["UploadId"])
            for each in self._uploads()
        ]
        return [len(each.get("Parts", [])) for each in found]

    def clear(self) -> None:
        for name in self.names():
            self._client.delete_object(Bucket=BUCKET, Key=name)
        for each in self._uploads():
            self._client.abort_multipart_upload(Bucket=BUCKET, Key=each["Key"], UploadId=each["UploadId"])

    def _uploads(self) -> list[dict[str, Any]]:
        return self._client.list_multipart_uploads(Bucket=BUCKET).get("Uploads", [])


class Azure:
    scheme = "abfs"
    abort_removes_parts, retry_removes_leftovers = False, True

    def __init__(self, url: str, account: str, key: str) -> None:
        from azure.storage.blob import BlobServiceClient

        self._string = (
            f"DefaultEndpointsProtocol=http;AccountName={account};AccountKey={key};"
            f"BlobEndpoint={url}/{account};"
        )
        self._container = BlobServiceClient.from_connection_string(self._string).create_container(BUCKET)

    def connection(self) -> dict[str, Any]:
        return {"conn_type": "wasb", "extra": {"connection_string": self._string}}

    def names(self) -> list[str]:
        return [each.name for each in self._container.list_blobs()]

    def stat(self, name: str) -> ObjectStat | None:
        from azure.core.exceptions import ResourceNotFoundError

        try:
            blob = self._container.get_blob_client(name).get_blob_properties()
        except ResourceNotFoundError:
            return None
        return blob.size, blob.content_settings.content_type, blob.etag

    def read(self, name: str) -> bytes:
        return self._container.download_blob(name).readall()

    def put(self, name: str, body: bytes) -> None:
        self._container.upload_blob(name, body, overwrite=True)

    def unfinished_uploads(self) -> list[str]:
        listed = {each.name for each in self._container.list_blobs(include=["uncommittedblobs"])}
        return sorted(
            name for name in listed if self._container.get_blob_client(name).get_block_list("uncommitted")[1]
        )

    def clear(self) -> None:
        for name in self.unfinished_uploads():  # only what is an object can be deleted
            self.put(name, b"")
        for name in self.names():
            self._container.delete_blob(name)


class Google:
    scheme = "gs"
    abort_removes_parts, retry_removes_leftovers = True, False

    def __init__(self, url: str) -> None:
        from google.auth.credentials import AnonymousCredentials
        from google.cloud.storage import Client

        self._url = url
        self._client = Client("veo3", AnonymousCredentials(), client_options={"api_endpoint": url})
        self._bucket = self._client.bucket(BUCKET)

    def connection(self) -> dict[str, Any]:
        extra = {"is_anonymous": True, "project": "veo3", "gcs.endpoint": self._url}
        return {"conn_type": "google_cloud_platform", "extra": extra}

    def names(self) -> list[str]:
        return [each.name for each in self._client.list_blobs(self._bucket)]

    def stat(self, name: str) -> ObjectStat | None:
        blob = self._bucket.get_blob(name)
        return None if blob is None else (blob.size, blob.content_type, str(blob.generation))

    def read(self, name: str) -> bytes:
        return self._bucket.blob(name).download_as_bytes()

    def put(self, name: str, body: bytes) -> None:
        self._bucket.blob(name).upload_from_string(body)

    def unfinished_uploads(self) -> list[str]:
        return self._client._http.get(f"{self._url}/unfinished").json()

    def clear(self) -> None:
        for name in self.names():
            self._bucket.delete_blob(name)


@contextlib.contextmanager
def s3() -> Iterator[Store]:
    with _running(
        lambda port: [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    ) as url:
        yield S3(url)


@contextlib.contextmanager
def azure() -> Iterator[Store]:
    """Azurite, installed by `make test-storages`; it needs node."""
    script = ENVIRONMENT / "azurite/node_modules/azurite/dist/src/blob/main.js"
    if not script.exists():
        raise FileNotFoundError(
            f"Azure Blob Storage cannot be tested here: {script} is missing. It is installed by"
            " `make test-storages` from npm, which needs node and npm; without them, name the others:"
            ' make test-storages STORAGES="s3 gcs"'
        )
    account, key = "veo3tests", base64.b64encode(secrets.token_bytes(64)).decode()
    options = ["--inMemoryPersistence", "--silent", "--disableTelemetry", "--skipApiVersionCheck"]
    with _running(
        lambda port: ["node", str(script), "--blobPort", str(port), *options],
        AZURITE_ACCOUNTS=f"{account}:{key}",
    ) as url:
        yield Azure(url, account, key)


@contextlib.contextmanager
def gcs() -> Iterator[Store]:
    script = str(Path(__file__).with_name("gcs_server.py"))
    with _running(lambda port: [sys.executable, script, str(port), BUCKET]) as url:
        yield Google(url)


STORES: Mapping[str, Callable[[], contextlib.AbstractContextManager[Store]]] = {
    "s3": s3,
    "azure": azure,
    "gcs": gcs,
}


@contextlib.contextmanager
def _running(command: Callable[[int], list[str]], **env: str) -> Iterator[str]:
    """Run a server on a free port, and stop that process at the end."""
    (port,) = free_ports(1)
    with tempfile.TemporaryFile("w+") as log:  # not a pipe, which would fill up
        server = subprocess.Popen(
            command(port), env=os.environ | env, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
        try:
            _await(server, port, log)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()
            server.wait()


def _await(server: subprocess.Popen[bytes], port: int, log: IO[str]) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        if server.poll() is not None:
            log.seek(0)
            raise RuntimeError(f"{server.args} ended by itself: {log.read()}")
        if time.monotonic() > deadline:
            raise TimeoutError(f"{server.args} has not answered for {START_TIMEOUT:.0f} seconds")
        time.sleep(0.05)


def environment(store: Store) -> tuple[str, str]:
    """Return the name and value of the variable that defines the connection."""
    return f"AIRFLOW_CONN_{CONN_ID.upper()}", json.dumps(store.connection())
