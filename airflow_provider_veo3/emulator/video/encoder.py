"""Encoder of MP4 files: H.264 pictures and AAC sound."""

from __future__ import annotations

import array
import fractions
import math
from typing import TYPE_CHECKING

import av

from airflow_provider_veo3.emulator.video.planes import PIXEL_FORMAT
from airflow_provider_veo3.emulator.video.scene import FPS, Script, frames

if TYPE_CHECKING:
    import threading
    from pathlib import Path

SAMPLE_RATE = 32_000
AUDIO_FRAME = 1024
FADE_SECONDS = 0.5
LOUDNESS = 0.12
# Pentatonic, so that any notes sound well together.
NOTES = (196, 220, 262, 294, 330, 392, 440, 524, 588, 660)


class Cancelled(Exception):  # noqa: N818 - not an error
    """Rendering was cancelled because the emulator stops."""


def render(script: Script, path: Path, cancelled: threading.Event) -> None:
    """Write the video of a script to a file.

    One encoder thread and bit-exact muxing: equal scripts give equal bytes on every machine.
    """
    options = {"movflags": "+faststart", "fflags": "+bitexact"}
    with av.open(str(path), "w", format="mp4", options=options) as output:
        video = output.add_stream("libx264", rate=FPS)
        video.width, video.height = script.size
        video.pix_fmt = PIXEL_FORMAT
        video.options = {"preset": "ultrafast", "crf": "26", "threads": "1", "g": str(FPS * 2)}
        sound = Sound(script, output) if script.audio else None
        for number, planes in enumerate(frames(script)):
            if cancelled.is_set():
                raise Cancelled
            frame = planes.frame()
            frame.pts, frame.time_base = number, fractions.Fraction(1, FPS)
            output.mux(video.encode(frame))
            # Both tracks advance together, so that a player needs a small buffer.
            if sound is not None:
                sound.until(number / FPS)
        output.mux(video.encode(None))
        if sound is not None:
            sound.until(math.inf)
            sound.flush()


class Sound:
    """The sound track: a quiet chord that swells once a second.

    Frequencies are whole numbers of Hertz, so that one second repeats without a click.
    """

    def __init__(self, script: Script, output: av.container.OutputContainer) -> None:
        self._output = output
        self._stream = output.add_stream("aac", rate=SAMPLE_RATE)
        self._stream.layout = "mono"
        self._stream.options = {"flags": "+bitexact"}
        self._length = script.seconds * SAMPLE_RATE
        self._second = _chord(script.rng("sound").sample(NOTES, 3))
        self._at = 0

    def until(self, seconds: float) -> None:
        """Encode up to a time, at most to the end."""
        while self._at < self._length and self._at <= seconds * SAMPLE_RATE:
            count = min(AUDIO_FRAME, self._length - self._at)
            frame = av.AudioFrame(format="fltp", layout="mono", samples=count)
            frame.sample_rate = SAMPLE_RATE
            frame.pts, frame.time_base = self._at, fractions.Fraction(1, SAMPLE_RATE)
            samples = self._samples(count).tobytes()
            # A plane may be longer than its samples.
            frame.planes[0].update(samples.ljust(frame.planes[0].buffer_size, b"\0"))
            self._output.mux(self._stream.encode(frame))
            self._at += count

    def flush(self) -> None:
        """Write the remaining packets of the encoder."""
        self._output.mux(self._stream.encode(None))

    def _samples(self, count: int) -> array.array[float]:
        begin = self._at % SAMPLE_RATE
        samples = (self._second[begin:] + self._second[:begin])[:count]
        fade = FADE_SECONDS * SAMPLE_RATE
        edge = min(self._at, self._length - self._at - count)
        if edge < fade:
            for number in range(count):
                at = self._at + number
                samples[number] *= min(1.0, at / fade, (self._length - at) / fade)
        return samples


def _chord(notes: list[int]) -> array.array[float]:
    step = math.tau / SAMPLE_RATE
    return array.array(
        "f",
        (
            LOUDNESS
            * (0.75 - 0.25 * math.cos(step * at))
            * (
                math.sin(step * notes[0] * at)
                + math.sin(step * notes[1] * at)
                + math.sin(step * notes[2] * at)
            )
            for at in range(SAMPLE_RATE)
        ),
    )
