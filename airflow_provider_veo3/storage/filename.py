"""Names of stored files, made from the user's template and the generation's id."""

from __future__ import annotations

import hashlib
import re
import string
from typing import Final

from airflow_provider_veo3.exceptions import Veo3ValidationError
from airflow_provider_veo3.parameters import check_rendered, path_text
from airflow_provider_veo3.storage.uri import check_parts

MAX_LENGTH: Final = 512
"""Characters of the longest path below the destination."""

FILENAME: Final = (
    f"a relative path of at most {MAX_LENGTH} characters, of text and the fields {{generation_id}}, needed"
    " with several generations, and {index}, needed with several files of one (also as {index:02d}); no '..',"
    " no backslash, no colon, no part that is empty or hidden"
)
"""Accepted values of ``filename``, as error messages word them."""

_FORMATS: Final = {None: "", "generation_id": "", "index": "0?[1-9]?d?"}
"""Pattern of the format of each template field; ``None`` stands for plain text."""

_SAFE_ID: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._~-]{0,126}[A-Za-z0-9_~-])?")
_HASHED: Final = re.compile(r".*~[0-9a-f]{16}")
_LONGEST_START: Final = 80


def file_safe(generation_id: str) -> str:
    """Return a generation id as a part of a file name; different ids give different parts.

    An ordinary id is returned unchanged. Any other becomes its safe characters, ``~`` and a hash of it.
    """
    if _SAFE_ID.fullmatch(generation_id) and not _HASHED.fullmatch(generation_id):
        return generation_id
    start = re.sub(r"[^A-Za-z0-9]+", "_", generation_id[:_LONGEST_START]).strip("_") or "id"
    digest = hashlib.sha256(generation_id.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{start}~{digest[:16]}"


def name_file(template: object, generation_id: str, index: int) -> str:
    """Return the path of a file below the destination.

    :param template: the operator's ``filename``: text, or a path object.
    :param generation_id: id of the generation, of any characters.
    :param index: place among the files of the generation, from 0.
    :raises Veo3ValidationError: the template has unknown fields, or leads out of the destination.
    """
    text = path_text(template)
    check_rendered("filename", text, FILENAME)
    if not isinstance(text, str) or not _has_only_known_fields(text):
        raise Veo3ValidationError.of("filename", text, FILENAME)
    # an id that reads like nothing is no fault of the template
    parts = text.format(generation_id="id", index=index).split("/")
    check_parts("filename", text, parts, FILENAME)
    if any(":" in part for part in parts):
        colon = (
            "it has a ':', as run ids and times do, which not every storage takes: write {{ ts_nodash }} in"
            " place of {{ run_id }} or {{ ts }}, or {{ run_id | replace(':', '-') }}"
        )
        raise Veo3ValidationError.of("filename", text, f"{FILENAME}; {colon}")
    name = text.format(generation_id=file_safe(generation_id), index=index)
    if any(part.startswith(".") for part in parts) or len(name) > MAX_LENGTH:
        raise Veo3ValidationError.of("filename", text, FILENAME)
    return name


def _has_only_known_fields(template: str) -> bool:
    try:
        parts = list(string.Formatter().parse(template))
    except ValueError:  # a brace that is not closed
        return False
    return all(
        field in _FORMATS and not conversion and re.fullmatch(_FORMATS[field], spec or "")
        for _, field, spec, conversion in parts
    )
