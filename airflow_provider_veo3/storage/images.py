"""Images that a generation starts from, read from local files and object storage."""

from __future__ import annotations

from airflow_provider_veo3.api.request import MAX_IMAGE_BYTES, Image
from airflow_provider_veo3.storage.input_file import read_input_file


def read_image(field: str, source: object) -> Image:
    """Read and check an image.

    :param field: parameter that the source came from.
    :param source: local path or object storage URI, or a path object.
    :raises Veo3ValidationError: the file or its connection does not exist, or the file is empty, too large,
        or neither JPEG nor PNG.
    :raises Veo3StorageError: the storage cannot be read at the moment; nothing was submitted.
    """
    source, data = read_input_file(field, source, "a JPEG or PNG file", MAX_IMAGE_BYTES)
    return Image(field, data, source)
