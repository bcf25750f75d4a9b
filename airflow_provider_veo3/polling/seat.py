"""What a schedule keeps of everyone who waits for a generation."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Seat:
    """What is kept of one who waits."""

    due: float
    """Unix seconds of the next look."""
    since: float
    """Unix seconds when the wait began here."""
    known: bool = False
    """Whether an answer has told of the generation."""
    listed: bool = False
    """Whether a page has."""
    troubled: bool = False
    """Whether the last look failed."""
    asked: float = 0.0
    """Unix seconds when it was last asked about on its own."""
