"""CSV files of prompts, as Excel and other programs write them."""

from __future__ import annotations

import codecs
import csv
import sys
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Final

from airflow_provider_veo3.api.redact import redact_text
from airflow_provider_veo3.api.request import IMAGE_ROLES, WIRE_NAMES
from airflow_provider_veo3.exceptions import REASON_LENGTH, Veo3Error, shown, shown_text
from airflow_provider_veo3.storage.uri import object_path

if TYPE_CHECKING:
    from collections.abc import Iterator

STANDARD_INPUT: Final = "-"

_COLUMNS: Final = frozenset(WIRE_NAMES).union(*IMAGE_ROLES.values())
"""Columns that a generating task may take its parameters from."""

_DELIMITERS: Final = ",;\t"
_NO_DELIMITER: Final = "\x1f"
"""Delimiter of a file with a single column, whose prompts may contain the others."""

_NOTHING_SPENT: Final = "Nothing was submitted or spent."


class PromptsFileError(Veo3Error):
    """A file that is no list of prompts."""


@dataclass(frozen=True)
class Row:
    """A row of the file.

    :param line: line of the file that it ends in, from 1.
    :param options: cells that are not empty, by the name of their column.
    """

    line: int
    options: dict[str, str]


@dataclass(frozen=True)
class PromptsFile:
    """Content of a file.

    :param rows: rows that are not empty.
    :param ignored: names of columns that are no parameters of a generating task.
    """

    rows: tuple[Row, ...]
    ignored: tuple[str, ...]


def read_prompts(source: str) -> PromptsFile:
    """Read a CSV file, and check its columns.

    :param source: local path, URI of Airflow's ``ObjectStoragePath``, or ``-`` for standard input.
    :raises PromptsFileError: it cannot be read, is not text, or has no column ``prompt``.
    """
    name = "standard input" if source == STANDARD_INPUT else shown_text(source, REASON_LENGTH)
    lines = _lines(name, _decode(name, _read(source)))
    _, header = next(lines, (1, []))
    columns = [column.strip().lower() for column in header]
    if "prompt" not in columns:
        found = shown_text(", ".join(filter(None, columns)) or "none", REASON_LENGTH)
        raise PromptsFileError(
            f"{name} has no column 'prompt'; its columns are: {found}. {_NOTHING_SPENT} "
            "Name the columns in the first row."
        )
    named = [column for column in columns if column]
    if twice := {column for column in named if named.count(column) > 1}:
        raise PromptsFileError(
            f"{name} has the column {shown(min(twice))} twice. {_NOTHING_SPENT} Remove or rename one of them."
        )
    rows = []
    for line, cells in lines:
        if any(cell.strip() for cell in cells[len(columns) :]):
            raise PromptsFileError(
                f"{name} has more cells than columns in line {line}. {_NOTHING_SPENT} "
                "Put text that contains the delimiter in quotes."
            )
        given = {column: cell.strip() for column, cell in zip(columns, cells, strict=False) if cell.strip()}
        rows.append(Row(line, {column: cell for column, cell in given.items() if column in _COLUMNS}))
    return PromptsFile(tuple(rows), tuple(column for column in named if column not in _COLUMNS))


def _read(source: str) -> bytes:
    try:
        if source == STANDARD_INPUT:
            return sys.stdin.buffer.read()
        if "://" in source:
            content: bytes = object_path(source).read_bytes()
            return content
        return Path(source).read_bytes()
    except Exception as error:  # of any storage library
        reason = getattr(error, "strerror", None) or f"{type(error).__name__}: {redact_text(str(error))}"
        raise PromptsFileError(
            f"{shown_text(source, REASON_LENGTH)} could not be read: {shown_text(reason, REASON_LENGTH)}. "
            f"{_NOTHING_SPENT} Check the path and its connection."
        ) from error


def _decode(name: str, content: bytes) -> str:
    """Return the text of a file in UTF-8, or with its mark in UTF-16."""
    is_utf16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        return content.decode("utf-16" if is_utf16 else "utf-8-sig")
    except UnicodeDecodeError:
        raise PromptsFileError(
            f"{name} is not UTF-8. {_NOTHING_SPENT} In Excel, save it as 'CSV UTF-8'."
        ) from None


def _lines(name: str, text: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows that are not empty, each with its line."""
    header = next((line for line in text.splitlines() if line.strip(f'{_DELIMITERS}" ')), "")
    delimiter = max(_DELIMITERS, key=header.count)
    reader = csv.reader(
        StringIO(text, newline=""),
        delimiter=delimiter if delimiter in header else _NO_DELIMITER,
        strict=True,  # a quote without its end would make one cheap prompt of all further rows
    )
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield reader.line_num, cells
    except csv.Error as error:
        raise PromptsFileError(
            f"{name} is no CSV file: {error} in line {reader.line_num}. {_NOTHING_SPENT} Correct the line."
        ) from error
