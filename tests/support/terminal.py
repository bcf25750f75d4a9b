"""A terminal in memory, in place of standard output or standard error."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest


class Terminal(io.StringIO):
    """Stream that claims to be a terminal."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True

    def fileno(self) -> int:
        raise OSError("in memory")

    @property
    def text(self) -> str:
        """Return everything shown so far, without colours and movements of the cursor."""
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self.getvalue())


def use_terminal(monkeypatch: pytest.MonkeyPatch, stream: str, columns: int = 80) -> Terminal:
    """Put a terminal of some width in place of ``sys.stdout`` or ``sys.stderr``, for this test."""
    terminal = Terminal()
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setattr(f"sys.{stream}", terminal)
    return terminal
