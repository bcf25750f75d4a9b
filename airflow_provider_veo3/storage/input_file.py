"""Files that a task or a command reads: local, or in object storage."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_provider_veo3.airflow_names import AirflowNotFoundException
from airflow_provider_veo3.exceptions import (
    REASON_LENGTH,
    Veo3Error,
    Veo3StorageError,
    Veo3ValidationError,
    shown,
    shown_text,
)
from airflow_provider_veo3.parameters import check_rendered, path_text
from airflow_provider_veo3.storage.uri import (
    SERVED,
    ObjectUri,
    check_holds_no_password,
    how_to_write,
    is_remote,
    object_path,
)

if TYPE_CHECKING:
    from airflow_provider_veo3.airflow_names import ObjectStoragePath

_PERMANENT = (
    AirflowNotFoundException,
    FileNotFoundError,
    IsADirectoryError,
    NotADirectoryError,
    ValueError,
    ImportError,
)
"""Errors that a retry does not fix."""


def read_input_file(field: str, source: object, kind: str, most: int) -> tuple[str, bytes]:
    """Return the path of a file as text, and its content.

    :param field: parameter that the source came from.
    :param source: local path or object storage URI, or a path object.
    :param kind: expected file, such as ``a CSV file``, for errors.
    :param most: bytes of the largest file; a larger one is not opened.
    :raises Veo3ValidationError: the file or its connection does not exist, or the file is too large.
    :raises Veo3StorageError: the storage cannot be read at the moment; nothing was submitted.
    """
    allowed = f"the path or object storage URI of {kind} that exists"
    source = path_text(source)
    check_rendered(field, source, allowed)
    if not isinstance(source, str):
        raise Veo3ValidationError.of(field, source, allowed)
    if source.startswith("data:"):
        raise Veo3ValidationError.of(field, source, f"{allowed}; store the data as a file first")
    check_holds_no_password(field, source, allowed)
    parts = ObjectUri.parse(source)
    try:
        path = _path(field, source, parts, allowed)
        if (size := path.stat().st_size) <= most:
            with path.open("rb") as file:
                content = file.read(most + 1)
            if len(content) <= most:
                return source, content
            size = len(content)  # a pipe has no size before it is read
    except Veo3Error:
        raise
    except Exception as error:  # every storage has errors of its own
        reason = shown_text(str(error), REASON_LENGTH)  # which may repeat the whole source
        if isinstance(error, _PERMANENT) or getattr(error, "errno", None) == errno.ENAMETOOLONG:
            served = f", {SERVED}{how_to_write(parts)}" if parts.scheme else ""
            raise Veo3ValidationError.of(field, source, f"{allowed}{served} ({reason})") from error
        raise Veo3StorageError(
            f"{field}={shown(source)} cannot be read now ({reason}). Nothing was submitted or spent. Check"
            " that the storage works, then retry this task."
        ) from error
    large = f"{kind} of at most {most} bytes (this one has {size})"
    raise Veo3ValidationError.of(field, source, large)


def _path(field: str, source: str, parts: ObjectUri, allowed: str) -> Path | ObjectStoragePath:
    if not parts.scheme:
        return Path(source)  # which may be a pipe, too
    path = object_path(source)
    if _is_cut_off(parts, str(path.path)):
        cut = "the library of the storage cuts its name off at '?' or '#': rename the file"
        raise Veo3ValidationError.of(field, source, f"{allowed}; {cut}")
    return path


def _is_cut_off(uri: ObjectUri, path: str) -> bool:
    """Return whether a path names another file than its URI."""
    if "?" in uri.key and is_remote(uri):
        return True
    return any(path.count(character) != uri.key.count(character) for character in "?#")
