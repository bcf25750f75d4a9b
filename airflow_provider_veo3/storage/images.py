"""Images that a generation starts from, read from local files and object storage."""

from __future__ import annotations

from airflow.providers.common.compat.sdk import AirflowNotFoundException

from airflow_provider_veo3.api.request import MAX_IMAGE_BYTES, Image
from airflow_provider_veo3.exceptions import Veo3Error, Veo3StorageError, Veo3ValidationError
from airflow_provider_veo3.storage.uri import SERVED, check_holds_no_password, object_path

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
    :param source: local path or object storage URI.
    :raises Veo3ValidationError: the file or its connection does not exist, or the file is empty, too large,
        or neither JPEG nor PNG.
    :raises Veo3StorageError: the storage cannot be read at the moment; nothing was submitted.
    """
    allowed = "the path or object storage URI of a JPEG or PNG file that exists"
    if not isinstance(source, str) or not source.strip():
        raise Veo3ValidationError.of(field, source, allowed)
    check_holds_no_password(field, source, allowed)
    try:
        path = object_path(source)
        Image.check_size(field, source, path.stat().st_size)
        with path.open("rb") as file:
            data = file.read(MAX_IMAGE_BYTES + 1)
    except Veo3Error:
        raise
    except _PERMANENT as error:
        served = f", {SERVED}" if "://" in source else ""
        raise Veo3ValidationError.of(field, source, f"{allowed}{served} ({error})") from error
    except Exception as error:  # every storage has errors of its own
        raise Veo3StorageError(
            f"{field}={source!r} cannot be read now ({error}). Nothing was submitted or spent. Check that the"
            " storage works, then retry this task."
        ) from error
    return Image(field, data, source)
