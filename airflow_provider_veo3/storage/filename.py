"""Names of stored files, made from the user's template alone."""

from __future__ import annotations

import re
import string
from typing import Final

from airflow_provider_veo3.exceptions import Veo3ValidationError

MAX_LENGTH: Final = 512
"""Characters of the longest path below the destination."""

FILENAME: Final = (
    f"a relative path of at most {MAX_LENGTH} characters, of text and the fields {{generation_id}}, needed"
    " with several generations, and {index}, needed with several files of one (also as {index:02d}); no '..',"
    " no backslash, no part that is empty or hidden"
)
"""Accepted values of ``filename``, as error messages word them."""

_FORMATS: Final = {None: "", "generation_id": "", "index": "0?[1-9]?d?"}
"""Pattern of the format of each template field; ``None`` stands for plain text."""


def name_file(template: str, generation_id: str, index: int) -> str:
    """Return the path of a file below the destination.

    :param template: the operator's ``filename``.
    :param generation_id: valid generation id.
    :param index: place among the files of the generation, from 0.
    :raises Veo3ValidationError: the template has unknown fields, or leads out of the destination.
    """
    name = ""
    if isinstance(template, str) and _has_only_known_fields(template):
        name = template.format(generation_id=generation_id, index=index)
    hidden_or_empty = any(part.startswith(".") or not part.strip() for part in name.split("/"))
    if hidden_or_empty or len(name) > MAX_LENGTH or not name.isprintable() or "\\" in name or ":" in name:
        raise Veo3ValidationError.of("filename", template, FILENAME)
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
