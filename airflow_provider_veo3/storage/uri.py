"""URIs of object storage: their parts, their checks, and the paths that Airflow opens."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from airflow.providers.common.compat.sdk import BaseHook, ObjectStoragePath
from fsspec.implementations.local import LocalFileSystem  # type: ignore[import-untyped]

from airflow_provider_veo3.exceptions import Veo3ValidationError

SERVED: Final = (
    "whose scheme an installed provider serves (s3, gs and abfs come with this package's extras s3, gcs and"
    " azure) and whose connection exists"
)
"""Requirements for a URI, as error messages word them."""


@dataclass(frozen=True)
class ObjectUri:
    """Parts of ``scheme://connection@authority/key``; a local path is all key.

    Not ``urllib.parse.urlsplit``: the key of an object may contain ``?`` and ``#``.
    """

    scheme: str
    """Scheme such as ``s3``; empty for a local path."""
    connection: str
    """Airflow connection id; empty when the URI names none."""
    authority: str
    """Bucket, container or host; empty for a local file."""
    key: str
    """Path after the slash that ends the authority, or the whole local path."""

    @classmethod
    def parse(cls, uri: str) -> ObjectUri:
        """Split a URI or a local path."""
        scheme, separator, rest = uri.partition("://")
        if not scheme or not separator:
            return cls("", "", "", uri)
        authority, _, key = rest.partition("/")
        connection, _, authority = authority.rpartition("@")
        return cls(scheme, connection, authority, key)

    def __str__(self) -> str:
        """Return the URI or the local path."""
        if not self.scheme:
            return self.key
        connection = f"{self.connection}@" if self.connection else ""
        return f"{self.scheme}://{connection}{self.authority}/{self.key}"


def check_holds_no_password(field: str, uri: str, allowed: str) -> None:
    """Refuse a URI that contains credentials.

    :param field: parameter that the URI came from.
    :param allowed: accepted values, for the error.
    :raises Veo3ValidationError: the URI contains credentials, which the error does not show.
    """
    parts = ObjectUri.parse(uri)
    if ":" in parts.connection:
        shown = str(replace(parts, connection="***"))
        rule = f"{allowed}; credentials belong in the connection, not in the URI"
        raise Veo3ValidationError.of(field, shown, rule)


def object_path(uri: str) -> ObjectStoragePath:
    """Return the path that a URI or a local path names.

    :raises AirflowNotFoundException: the connection in the URI does not exist.
    """
    parts = ObjectUri.parse(uri)
    if _needs_connection(parts):
        BaseHook.get_connection(parts.connection)
    # Airflow 3.0 reads a relative path as one from the root
    return ObjectStoragePath(uri if parts.scheme else str(Path(uri).absolute()))


def _needs_connection(uri: ObjectUri) -> bool:
    """Return whether the connection of a URI has to exist.

    Amazon's hook falls back to the identity of the worker when the connection is missing, which a mistyped
    connection id must not do. ``aws_default`` is absent where that fallback is intended, and local files use
    no connection.
    """
    return uri.connection not in ("", "aws_default") and uri.scheme not in LocalFileSystem.protocol
