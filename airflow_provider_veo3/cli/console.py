"""Output of the commands: tables, JSON and notes, plain where no terminal is."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from typing import IO, TYPE_CHECKING, Any, Final

from airflow_provider_veo3.api.request import SHORTEST_SECRET

if TYPE_CHECKING:
    from collections.abc import Sequence

SHORTEST_TEXT: Final = 24
"""Characters that a terminal shows at least of a text that may be shortened."""


class Console:
    """Output of a command: results on one stream, errors and notes on another.

    Text from the API cannot control the terminal, and the API key is replaced wherever it would show,
    unless it is so short that other texts have it by chance.

    :param results: stream of results; default standard output.
    :param notes: stream of errors, notes and progress; default standard error.
    """

    def __init__(self, results: IO[str] | None = None, notes: IO[str] | None = None) -> None:
        self.results = results or sys.stdout
        self.notes = notes or sys.stderr
        self.secret = ""
        """API key, as soon as it is known."""

    def json(self, value: Any) -> None:
        """Print a result for other programs."""
        # in ASCII, which every stream can encode
        self.results.write(self._without_secret(json.dumps(value, indent=2)) + "\n")

    def table(
        self, columns: Sequence[str], rows: Sequence[Sequence[object]], *, shorten_last: bool = False
    ) -> None:
        """Print a result for people, or for programs that split lines into words.

        :param columns: headings; columns with numbers are aligned to the right.
        :param shorten_last: whether a terminal shows the last column only as far as it is wide.
        """
        lines = [
            [column.upper() for column in columns],
            *([self.clean(_text(value)) for value in row] for row in rows),
        ]
        terminal = _Terminal(self.results) if self.results.isatty() else None
        width_of = terminal.width_of if terminal else len
        is_number = [any(type(row[place]) is int for row in rows) for place in range(len(columns))]
        widths = [max(width_of(line[place]) for line in lines) for place in range(len(columns))]
        for number, line in enumerate(lines):
            padded = []
            for cell, width, right in zip(line, widths, is_number, strict=True):
                space = " " * (width - width_of(cell))
                padded.append(space + cell if right else cell + space)
            before, last = "  ".join([*padded[:-1], ""]), padded[-1].rstrip()
            if terminal:
                terminal.print(before, last, is_heading=number == 0, shorten_last=shorten_last)
            else:
                self.results.write((before + last).rstrip() + "\n")

    def note(self, text: str) -> None:
        """Print an error or a note, in one line."""
        self.notes.write(self.clean(text) + "\n")
        self.notes.flush()

    def clean(self, text: str) -> str:
        """Return a text in one line, without the key and what the stream cannot show."""
        words = "".join(each if each.isprintable() else " " for each in self._without_secret(text)).split()
        encoding = getattr(self.results, "encoding", None) or "utf-8"
        return " ".join(words).encode(encoding, "backslashreplace").decode(encoding)

    def _without_secret(self, text: str) -> str:
        # a shorter one occurs by chance, and JSON without it may be no JSON
        return text.replace(self.secret, "***") if len(self.secret) >= SHORTEST_SECRET else text


class _Terminal:
    """Terminal that shows a table, with characters of any width."""

    def __init__(self, stream: IO[str]) -> None:
        from rich.cells import cell_len
        from rich.console import Console as RichConsole

        self._console = RichConsole(file=stream)
        self.width_of = cell_len
        """Number of columns that a text takes."""

    def print(self, before: str, last: str, *, is_heading: bool, shorten_last: bool) -> None:
        """Print a line of a table."""
        from rich.text import Text

        text = Text(last)
        if shorten_last:
            room = max(self._console.width - self.width_of(before), SHORTEST_TEXT)
            text.truncate(room, overflow="ellipsis")
        line = Text.assemble(before, text, style="bold" if is_heading else "")
        self._console.print(line, soft_wrap=True)  # a longer line is left to the terminal, to be copied whole


def _text(value: object) -> str:
    """Return a value as a table shows it."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return str(value)
