"""Small real MP4 files, as encoders lay them out."""

from __future__ import annotations

import functools
import tempfile
from fractions import Fraction
from pathlib import Path

import av

LAYOUTS = {
    "progressive": {},
    "faststart": {"movflags": "+faststart"},
    "fragmented": {"movflags": "+frag_keyframe+empty_moov+default_base_moof"},
    "fragmented, no index": {"movflags": "+frag_keyframe+empty_moov+default_base_moof+skip_trailer"},
}
"""Options of ffmpeg's muxer; only the last file has an end that nothing in it proves."""


@functools.cache
def real_mp4(layout: str, frames: int = 6) -> bytes:
    """Return a video of a few small frames, with several fragments if it has any."""
    options = {**LAYOUTS[layout], "fflags": "+bitexact"}
    with (
        tempfile.NamedTemporaryFile() as file,
        av.open(file.name, "w", format="mp4", options=options) as output,
    ):
        stream = output.add_stream("mpeg4", rate=6)
        stream.width, stream.height, stream.pix_fmt = 16, 16, "yuv420p"
        stream.options = {"g": "2", "threads": "1"}
        for number in range(frames):
            frame = av.VideoFrame(16, 16, "yuv420p")
            for plane in frame.planes:
                plane.update(bytes([30 * number]) * plane.buffer_size)
            frame.pts, frame.time_base = number, Fraction(1, 6)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
        output.close()
        return Path(file.name).read_bytes()


def box_types(data: bytes) -> list[str]:
    """Return the types of the outermost boxes, read independently of the provider."""
    types, at = [], 0
    while at < len(data):
        types.append(data[at + 4 : at + 8].decode())
        at += int.from_bytes(data[at : at + 4], "big")
    return types
