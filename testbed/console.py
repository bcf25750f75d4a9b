"""Terminal output: progress lines with the time, and tables."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence


class Progress:
    """Progress lines that begin with the seconds since this object was made."""

    def __init__(self) -> None:
        self._start = time.monotonic()

    @property
    def seconds(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._start

    def show(self, text: str) -> None:
        """Print a line without buffering."""
        print(f"[{self.seconds:5.1f} s] {text}", flush=True)


def text_table(rows: Sequence[Sequence[str]], *, right: Collection[int]) -> str:
    """Lay out rows as a table in plain text.

    :param rows: the first is the heading.
    :param right: numbers of the columns that are aligned to the right.
    """
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "  ".join(
            cell.rjust(width) if column in right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    return "\n".join([lines[0], "  ".join("-" * width for width in widths), *lines[1:]])
