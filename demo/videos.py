"""Look into finished video files, and show them as a table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import av

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

MEGABYTE: Final = 1_000_000


@dataclass(frozen=True)
class Video:
    """What a video file holds, found by decoding all of it."""

    path: Path
    size: int
    codec: str
    width: int
    height: int
    frames: int
    seconds: float
    audio: bool


def decode(path: Path) -> Video:
    """Decode every frame; a file that is cut or broken raises."""
    with av.open(str(path)) as file:
        stream = file.streams.video[0]
        frames = sum(1 for _ in file.decode(stream))
        if not stream.average_rate:
            raise ValueError(f"{path} has no frame rate")
        return Video(
            path=path,
            size=path.stat().st_size,
            codec=stream.codec_context.name,
            width=stream.width,
            height=stream.height,
            frames=frames,
            seconds=round(frames / float(stream.average_rate), 3),
            audio=bool(file.streams.audio),
        )


def table(rows: Sequence[Sequence[str]], *, right: Sequence[int]) -> str:
    """Lay out rows, the first being the heading; the columns in ``right`` are set flush right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "  ".join(
            cell.rjust(width) if column in right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    return "\n".join([lines[0], "  ".join("-" * width for width in widths), *lines[1:]])


def human_size(size: int) -> str:
    """Give a size as people read it."""
    return f"{size / MEGABYTE:.1f} MB" if size >= MEGABYTE else f"{size / 1000:.0f} kB"
