"""URIs of object storage: their parts, their checks, and the paths that Airflow opens."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from fsspec.implementations.local import LocalFileSystem  # type: ignore[import-untyped]

from airflow_provider_veo3.airflow_names import BaseHook, ObjectStoragePath
from airflow_provider_veo3.exceptions import Veo3ValidationError, shown
from airflow_provider_veo3.parameters import check_rendered

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

SERVED: Final = (
    "whose scheme an installed provider serves (s3, gs and abfs come with this package's extras s3, gcs and"
    " azure) and whose connection exists"
)
"""Requirements for a URI, as error messages word them."""

_AZURE: Final = ("abfs", "abfss", "adl")

_FAULTS: Final[tuple[tuple[Callable[[str], object], str], ...]] = (
    (lambda part: unquote(part) in (".", ".."), "leads to another folder: write the folder that is meant"),
    (lambda part: not part.isprintable(), "has a character that cannot be printed"),
    (lambda part: "\\" in part, "has a backslash: write '/' between folders"),
    (
        lambda part: part == "~",
        "is not expanded, since each worker may run as another user: write the whole path, such as"
        " '/home/airflow/videos'",
    ),
    (
        re.compile(r"\$[\w{(]").search,
        "has a variable of the shell, which is not expanded: write its value, or a template such as"
        " {{ var.value.folder }}",
    ),
    (re.compile(r"\{[{%]").search, "has a template that was not rendered"),
    (
        lambda part: part != part.strip() or part.endswith("."),
        "begins or ends with a blank, or ends with a dot, which some storages drop",
    ),
)
"""Tests of the parts that no path may have, and what an error says of each."""


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
        hidden = str(replace(parts, connection="***"))
        rule = f"{allowed}; credentials belong in the connection, not in the URI"
        raise Veo3ValidationError.of(field, hidden, rule)


def check_parts(field: str, value: object, parts: Iterable[str], allowed: str) -> None:
    """Refuse a path with a part that is missing, or that a storage may change.

    :param field: parameter that the path came from.
    :param value: whole value of the parameter, for the error.
    :param parts: names between the slashes of the path.
    :param allowed: accepted values, for the error.
    :raises Veo3ValidationError: a part may not be there.
    """
    for part in parts:
        for text in (part, part.rpartition(".")[0] or part):
            try:
                check_rendered(field, text)
            except Veo3ValidationError as error:
                raise Veo3ValidationError.of(
                    field, value, f"{allowed}; its part {shown(part)} has to be {error.allowed}"
                ) from None
        for is_found, fault in _FAULTS:
            if is_found(part):
                raise Veo3ValidationError.of(field, value, f"{allowed}; its part {shown(part)} {fault}")


def how_to_write(uri: ObjectUri) -> str:
    """Return the hint for a URI as other tools write it; mostly empty."""
    if uri.scheme not in _AZURE:
        return ""
    return (
        f"; for Azure, write '{uri.scheme}://connection@container/folder/': the account is that of the"
        " Airflow connection, not a part of the URI"
    )


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
    return uri.connection not in ("", "aws_default") and is_remote(uri)


def is_remote(uri: ObjectUri) -> bool:
    """Return whether a URI names a file that is not on this machine's disk."""
    return bool(uri.scheme) and uri.scheme not in LocalFileSystem.protocol
