"""What a URI of object storage names, for images and destinations alike."""

from __future__ import annotations

from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from airflow.providers.common.compat.sdk import BaseHook, ObjectStoragePath
from fsspec.implementations.local import LocalFileSystem  # type: ignore[import-untyped]

from airflow_provider_veo3.exceptions import Veo3ValidationError

SERVED: Final = (
    "whose scheme an installed provider serves (s3, gs and abfs come with this package's extras s3, gcs and"
    " azure) and whose connection exists"
)
"""What a URI must be like, for errors."""


def check_holds_no_password(field: str, uri: str, allowed: str) -> None:
    """Refuse a URI with credentials in it.

    :raises Veo3ValidationError: it has some, or is no URI; the error does not show them.
    """
    try:
        parts = urlsplit(uri)
    except ValueError as error:
        shown = uri.rpartition("@")[2]  # what is before may be a secret
        raise Veo3ValidationError.of(field, shown, f"{allowed} ({error})") from error
    credentials, _, host = parts.netloc.rpartition("@")
    if ":" in credentials:
        shown = parts._replace(netloc=f"***@{host}").geturl()
        rule = f"{allowed}; credentials belong in the connection, not in the URI"
        raise Veo3ValidationError.of(field, shown, rule)


def path_of(uri: str) -> ObjectStoragePath:
    """Return the path that a URI, or a local path, names.

    :raises AirflowNotFoundException: the connection that it names is missing.
    """
    parts = urlsplit(uri)
    connection = parts.netloc.rpartition("@")[0]
    if _is_demanded(connection, parts.scheme):
        BaseHook.get_connection(connection)
    # Airflow 3.0 takes a relative path for one from the root
    return ObjectStoragePath(uri if "://" in uri else str(Path(uri).absolute()))


def _is_demanded(connection: str, scheme: str) -> bool:
    """Whether the connection has to exist.

    Amazon's hook goes on without one that is missing, as who the worker is: a mistyped one must not be that.
    ``aws_default`` is missing where this is meant, and a local folder makes no use of any.
    """
    return bool(connection) and connection != "aws_default" and scheme not in LocalFileSystem.protocol
