"""Images that a generation starts from, read from local files and object storage."""

from __future__ import annotations

import errno

from airflow_provider_veo3.airflow_names import AirflowNotFoundException
from airflow_provider_veo3.api.request import MAX_IMAGE_BYTES, Image
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

_PERMANENT = (
    AirflowNotFoundException,
    FileNotFoundError,
    IsADirectoryError,
    NotADirectoryError,
    ValueError,
    ImportError,
)
"""Errors that a retry does not fix."""


def read_image(field: str, source: object) -> Image:
    """Read and check an image.

    :param field: parameter that the source came from.
    :param source: local path or object storage URI, or a path object.
    :raises Veo3ValidationError: the file or its connection does not exist, or the file is empty, too large,
        or neither JPEG nor PNG.
    :raises Veo3StorageError: the storage cannot be read at the moment; nothing was submitted.
    """
    allowed = "the path or object storage URI of a JPEG or PNG file that exists"
    source = path_text(source)
    check_rendered(field, source, allowed)
    if not isinstance(source, str):
        raise Veo3ValidationError.of(field, source, allowed)
    if source.startswith("data:"):
        raise Veo3ValidationError.of(field, source, f"{allowed}; store the data as a file first")
    check_holds_no_password(field, source, allowed)
    parts = ObjectUri.parse(source)
    try:
        path = object_path(source)
        if _is_cut_off(parts, str(path.path)):
            cut = "the library of the storage cuts its name off at '?' or '#': rename the file"
            raise Veo3ValidationError.of(field, source, f"{allowed}; {cut}")  # noqa: TRY301 - as the checks below
        Image.check_size(field, source, path.stat().st_size)
        with path.open("rb") as file:
            data = file.read(MAX_IMAGE_BYTES + 1)
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
    return Image(field, data, source)


def _is_cut_off(uri: ObjectUri, path: str) -> bool:
    """Return whether a path names another file than its URI."""
    if "?" in uri.key and is_remote(uri):
        return True
    return any(path.count(character) != uri.key.count(character) for character in "?#")
