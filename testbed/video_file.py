"""Video files, checked by decoding every frame."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import av

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class VideoFile:
    """Properties of a decoded video file.

    :param size: bytes.
    :param codec: name of the video codec, such as ``h264``.
    :param width: pixels.
    :param height: pixels.
    :param frames: number of decoded frames.
    :param seconds: duration of the decoded frames.
    :param audio: whether there is an audio stream.
    """

    path: Path
    size: int
    codec: str
    width: int
    height: int
    frames: int
    seconds: float
    audio: bool


def decode_video(path: Path) -> VideoFile:
    """Decode every frame of a file.

    :raises av.error.FFmpegError: the file is truncated or corrupt.
    """
    with av.open(str(path)) as file:
        stream = file.streams.video[0]
        frames = sum(1 for _ in file.decode(stream))
        if not stream.average_rate:
            raise ValueError(f"{path} has no frame rate")
        return VideoFile(
            path=path,
            size=path.stat().st_size,
            codec=stream.codec_context.name,
            width=stream.width,
            height=stream.height,
            frames=frames,
            seconds=round(frames / float(stream.average_rate), 3),
            audio=bool(file.streams.audio),
        )
