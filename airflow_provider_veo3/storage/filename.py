"""What a stored file is called; nothing that comes from the network has a say in it."""

from __future__ import annotations

import re
import string
from typing import Final

from airflow_provider_veo3.exceptions import Veo3ValidationError

LONGEST: Final = 512
"""Characters of the longest path below the destination."""

FILENAME: Final = (
    f"a relative path of at most {LONGEST} characters, of text and the fields {{generation_id}}, needed with"
    " several generations, and {index}, needed with several files of one (also as {index:02d}); no '..', no"
    " backslash, no part that is empty or hidden"
)
"""What ``filename`` may be, for errors."""

_SPECS: Final = {None: "", "generation_id": "", "index": "0?[1-9]?d?"}
"""The fields of a template, ``None`` being plain text, and how each may be formatted."""


def name_file(template: str, generation_id: str, index: int) -> str:
    """Return a file's path below the destination.

    :param generation_id: checked to be one.
    :param index: place among the generation's files, from 0.
    :raises Veo3ValidationError: ``template`` has other fields, or leads out of the destination.
    """
    name = ""
    if isinstance(template, str) and _has_known_fields(template):
        name = template.format(generation_id=generation_id, index=index)
    hidden_or_empty = any(part.startswith(".") or not part.strip() for part in name.split("/"))
    if hidden_or_empty or len(name) > LONGEST or not name.isprintable() or "\\" in name or ":" in name:
        raise Veo3ValidationError.of("filename", template, FILENAME)
    return name


def _has_known_fields(template: str) -> bool:
    try:
        parts = list(string.Formatter().parse(template))
    except ValueError:  # a brace that is not closed
        return False
    return all(
        field in _SPECS and not conversion and re.fullmatch(_SPECS[field], spec or "")
        for _, field, spec, conversion in parts
    )
