"""Lists of prompts in CSV files, as Excel and other programs write them."""

from __future__ import annotations

import codecs
import csv
from dataclasses import dataclass
from io import StringIO
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_veo3.api.request import IMAGE_ROLES, WIRE_NAMES, GenerationRequest
from airflow_provider_veo3.exceptions import REASON_LENGTH, Veo3ValidationError, shown, shown_text
from airflow_provider_veo3.storage.input_file import read_input_file

if TYPE_CHECKING:
    import os
    from _csv import Reader as CsvReader
    from collections.abc import Iterator, Mapping

    from airflow_provider_veo3.airflow_names import ObjectStoragePath

OPTION_COLUMNS: Final = (*WIRE_NAMES, *(role for roles in IMAGE_ROLES.values() for role in roles))
"""Columns that a generating task has a parameter for."""

_MOST_BYTES: Final = 20 * 1024 * 1024
"""Bytes of the largest list, which is thousands of times what the vendor generates in a day."""

_NOTHING_SPENT: Final = "Nothing was submitted or spent."


@dataclass(frozen=True)
class PromptRow:
    """A row of a list.

    :param line: line of the file that it ends in, from 1.
    :param cells: cells that are not empty, by the name of their column.
    """

    line: int
    cells: dict[str, str]

    def request(self, **defaults: Any) -> GenerationRequest:
        """Return the generation that the row asks for, without images, which are not read.

        :param defaults: options for empty cells.
        :raises Veo3ValidationError: a generating task would refuse an option.
        """
        given = {name: cell for name, cell in self.cells.items() if name in WIRE_NAMES}
        return GenerationRequest("text-to-video", **{"prompt": "", **defaults, **given})


@dataclass(frozen=True)
class PromptsFile:
    """A list of prompts, whose options are not checked yet.

    :param name: name of the file, for errors.
    :param columns: names of the columns, in lower case.
    :param rows: rows that are not empty.
    """

    name: str
    columns: tuple[str, ...]
    rows: tuple[PromptRow, ...]

    @classmethod
    def read(cls, source: str | os.PathLike[str] | ObjectStoragePath) -> PromptsFile:
        """Read a file.

        :param source: local path, or URI of Airflow's ``ObjectStoragePath``.
        :raises Veo3ValidationError: there is no such file, or it is no list of prompts.
        :raises Veo3StorageError: the storage cannot be read at the moment.
        """
        name, content = read_input_file("prompts", source, "a CSV file", _MOST_BYTES)
        return cls.parse(shown_text(name, REASON_LENGTH), content)

    @classmethod
    def parse(cls, name: str, content: bytes) -> PromptsFile:
        """Parse the content of a file.

        :raises Veo3ValidationError: it is no list of prompts.
        """
        lines = _lines(name, _decode(name, content))
        _, header = next(lines, (1, []))
        columns = _columns(header)
        named = [column for column in columns if column]
        if "prompt" not in named:
            found = shown_text(", ".join(named) or "none", REASON_LENGTH)
            raise _error(
                f"{name} has no column 'prompt'; its columns are: {found}",
                "Name the columns in the first row.",
            )
        if twice := {column for column in named if named.count(column) > 1}:
            raise _error(f"{name} has the column {shown(min(twice))} twice", "Remove or rename one of them.")
        rows = []
        for line, cells in lines:
            pairs = zip_longest(columns, cells, fillvalue="")
            filled = {column: text for column, cell in pairs if (text := cell.strip())}
            if "" in filled:
                raise _error(
                    f"{name} has text outside its named columns in line {line}",
                    "Put text that contains the delimiter in quotes, or name the column.",
                )
            rows.append(PromptRow(line, filled))
        return cls(name, tuple(named), tuple(rows))


def read_prompts(
    source: str | os.PathLike[str] | ObjectStoragePath, defaults: Mapping[str, str] | None = None
) -> list[dict[str, str]]:
    """Read a CSV file of prompts for ``expand_kwargs``, and check each row.

    The file is UTF-8, or UTF-16 with its mark; commas, semicolons or tabs separate the cells. The first row
    names the columns, in any case: ``prompt``, and options of a generating task. Empty rows are skipped. An
    error names the file and the line, before anything is submitted.

    :param source: local path, URI of object storage, or path object.
    :param defaults: the columns that the file may have beside ``prompt``, each with the text for an empty
        cell. Each row then has all of them, as a mapped task group needs. Without it, the file may have all
        options of a generating task, and an empty cell is left out.
    :raises Veo3ValidationError: there is no such file, or a column or a row is not acceptable.
    :raises Veo3StorageError: the storage cannot be read at the moment.
    """
    file = PromptsFile.read(source)
    allowed = OPTION_COLUMNS if defaults is None else ("prompt", *defaults)
    if unknown := [column for column in file.columns if column not in allowed]:
        found = shown_text(", ".join(unknown), REASON_LENGTH)
        raise _error(
            f"{file.name} has unknown columns: {found}",
            f"Rename or remove them; known are: {', '.join(dict.fromkeys(allowed))}.",
        )
    for row in file.rows:
        if "prompt" not in row.cells:
            raise _error(f"{file.name} has no prompt in line {row.line}", "Write one, or empty the line.")
        try:
            row.request()
        except Veo3ValidationError as error:
            raise Veo3ValidationError(
                f"{file.name} line {row.line}: {error} Correct the line.",
                field=error.field,
                value=error.value,
                allowed=error.allowed,
            ) from None
    return [{**(defaults or {}), **row.cells} for row in file.rows]


def _error(fault: str, remedy: str) -> Veo3ValidationError:
    return Veo3ValidationError(f"{fault}. {_NOTHING_SPENT} {remedy}", field="prompts")


def _decode(name: str, content: bytes) -> str:
    """Return the text of a file in UTF-8, or with its mark in UTF-16."""
    is_utf16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        return content.decode("utf-16" if is_utf16 else "utf-8-sig")
    except UnicodeDecodeError:
        raise _error(f"{name} is not UTF-8", "In Excel, save it as 'CSV UTF-8'.") from None


def _lines(name: str, text: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows that are not empty, each with its line."""
    # without a delimiter in the header there is a single column, whose prompts may contain each of them
    reader = _reader(text, max("\x1f,;\t", key=lambda delimiter: _fitness(text, delimiter)))
    try:
        for cells in _filled(reader):
            yield reader.line_num, cells
    except csv.Error as error:
        raise _error(
            f"{name} is no CSV file: {error} in line {reader.line_num}", "Correct the line."
        ) from error


def _reader(text: str, delimiter: str) -> CsvReader:
    # strict: a quote without its end would make one cheap prompt of all further rows
    return csv.reader(StringIO(text, newline=""), delimiter=delimiter, strict=True)


def _filled(reader: CsvReader) -> Iterator[list[str]]:
    return (cells for cells in reader if any(cell.strip() for cell in cells))


def _columns(header: list[str]) -> list[str]:
    return [cell.strip().lower() for cell in header]


def _fitness(text: str, delimiter: str) -> tuple[bool, int]:
    """Return how well a delimiter fits the header: a column for prompts, and the number of all."""
    try:
        columns = _columns(next(_filled(_reader(text, delimiter)), []))
    except csv.Error:
        return False, 0
    return "prompt" in columns, len(columns)
