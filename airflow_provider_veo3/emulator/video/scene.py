"""The pictures of a video: colours or uploaded images, with the prompt as a caption."""

from __future__ import annotations

import colorsys
import dataclasses
import functools
import hashlib
import io
import math
import random
import unicodedata
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw, ImageFont, ImageOps

from airflow_provider_veo3.emulator.video.planes import Planes, Stamp

if TYPE_CHECKING:
    from pathlib import Path

FPS = 24
# Magnification at the end of the zoom into an upload; uploads are kept larger than the frame by this factor.
MAGNIFICATION = 1.12
MOVING_LIGHTS = 4
CAPTION_LINES = 4

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont
Backdrop = Callable[[float], Planes]


@dataclasses.dataclass(frozen=True)
class Script:
    """The complete description of a video; equal scripts give equal files.

    :param task_id: id in the caption.
    :param index: number of the sample, from 0.
    :param prompt: text of the caption.
    :param model: model id in the caption.
    :param seed: seed of colours, lights and sound.
    :param seconds: length in seconds.
    :param portrait: whether the aspect ratio is 9:16, not 16:9.
    :param height: short side of the picture in pixels.
    :param audio: whether the video has sound.
    :param pictures: files of :func:`reduce_upload`: none, one to zoom into, or two to fade between.
    """

    task_id: str
    index: int
    prompt: str
    model: str
    seed: int | None
    seconds: int
    portrait: bool
    height: int
    audio: bool
    pictures: tuple[Path, ...] = ()

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the picture, both even."""
        long_side = round(self.height * 16 / 9 / 2) * 2
        return (self.height, long_side) if self.portrait else (long_side, self.height)

    @property
    def digest(self) -> str:
        """A hash of the description, as a file name."""
        return hashlib.sha256(repr(dataclasses.astuple(self)).encode()).hexdigest()

    def rng(self, purpose: str) -> random.Random:
        """Return random numbers from prompt, seed and sample, so that a seed repeats a picture."""
        return random.Random(f"{purpose}/{self.prompt}/{self.seed}/{self.index}")  # noqa: S311 - decoration


def frames(script: Script) -> Iterator[Planes]:
    """Yield the frames in order."""
    width, height = script.size
    backdrop = _backdrop(script)
    caption, clock_font = _caption(script), _font(script.height // 24)
    count = script.seconds * FPS
    for number in range(count):
        picture = backdrop(number / count)
        picture.put(caption, 0, (height - caption.colour.size[1]) // 2 * 2)
        _time_code(picture, number, clock_font)
        bar = (0, height - max(2, height // 180), round(width * (number + 1) / count), height)
        picture.y.paste(235, bar)
        yield picture


def reduce_upload(data: bytes, height: int, *, portrait: bool) -> tuple[str, bytes]:
    """Check an upload, and reduce it to the size for rendering.

    Returns the format, ``JPEG`` or ``PNG``, and a copy that covers the frame.
    Raises :class:`ValueError` unless the upload is a readable JPEG or PNG.
    """
    try:
        with Image.open(io.BytesIO(data), formats=("JPEG", "PNG")) as image:
            kind = str(image.format)
            upright = ImageOps.exif_transpose(image).convert("RGB")
    # Pillow's decoders raise many types of errors for broken files.
    except Exception as error:
        raise ValueError("not a readable JPEG or PNG image") from error
    size = Script("", 0, "", "", None, 0, portrait, height, audio=False).size
    fitted = ImageOps.fit(
        upright, (_even(size[0] * MAGNIFICATION), _even(size[1] * MAGNIFICATION)), Image.Resampling.BICUBIC
    )
    reduced = io.BytesIO()
    fitted.save(reduced, "JPEG", quality=92)
    return kind, reduced.getvalue()


def _backdrop(script: Script) -> Backdrop:
    size = script.size
    if not script.pictures:
        return _sky(script)
    sources = [Planes.of(_opened(path)) for path in script.pictures]
    if len(sources) == 1:
        return lambda t: sources[0].zoom(_zoom_box(sources[0].size, t), size)
    first, last = (source.zoom((0, 0, *source.size), size) for source in sources)
    # No motion at the beginning and the end, so that both images are visible whole.
    return lambda t: first.blend(last, _ease(min(1.0, max(0.0, (t - 0.1) / 0.8))))


def _opened(path: Path) -> Image.Image:
    with Image.open(path) as image:
        return image.convert("RGB")


def _zoom_box(size: tuple[int, int], t: float) -> tuple[float, float, float, float]:
    share = 1 - (1 - 1 / MAGNIFICATION) * _ease(t)
    width, height = size[0] * share, size[1] * share
    left, top = (size[0] - width) / 2, (size[1] - height) / 2
    return left, top, left + width, top + height


def _sky(script: Script) -> Backdrop:
    """Return a backdrop of drifting colours with moving lights."""
    rng = script.rng("sky")
    width, height = script.size
    hue = rng.random()
    margin = _even(script.height * 0.25)
    grid = Image.new("RGB", (5, 4))
    for x in range(grid.width):
        for y in range(grid.height):
            shade = 0.3 + 0.4 * (y / grid.height) + rng.uniform(-0.06, 0.06)
            grid.putpixel((x, y), _colour(hue + rng.uniform(-0.12, 0.12), 0.75, shade))
    sky = Planes.of(grid.resize((width + margin, height + margin), Image.Resampling.BICUBIC))
    phase = rng.uniform(0, math.tau)
    lights = [_light(script, rng, hue) for _ in range(MOVING_LIGHTS)]

    def draw(t: float) -> Planes:
        angle = phase + math.pi * t
        left = round(margin / 2 * (1 + math.cos(angle)))
        top = round(margin / 2 * (1 + math.sin(angle)))
        picture = sky.crop(left, top, width, height)
        for stamp, path in lights:
            picture.put(stamp, *path(t))
        return picture

    return draw


def _light(
    script: Script, rng: random.Random, hue: float
) -> tuple[Stamp, Callable[[float], tuple[int, int]]]:
    width, height = script.size
    diameter = _even(script.height * rng.uniform(0.3, 0.6))
    # The built-in gradient is black in the middle; beyond its circle it is white.
    glow = Image.radial_gradient("L").point(lambda value: max(0, 200 - round(value * 1.6)))
    mask = glow.resize((diameter, diameter), Image.Resampling.BICUBIC)
    colour = Image.new("RGB", mask.size, _colour(hue + rng.uniform(0.3, 0.6), 0.55, 1.0))
    x, y = rng.uniform(0.1, 0.9), rng.uniform(0.1, 0.7)
    reach, phase, turns = rng.uniform(0.1, 0.3), rng.uniform(0, math.tau), rng.choice((-1, 1))

    def path(t: float) -> tuple[int, int]:
        angle = phase + turns * math.tau * t
        left = (x + reach * math.cos(angle)) * width - diameter / 2
        top = (y + reach * math.sin(angle)) * height - diameter / 2
        return round(left), round(top)

    return Stamp.of(colour, mask), path


def _caption(script: Script) -> Stamp:
    """Return the caption: the prompt, and below it the model, sample and task."""
    width = script.size[0]
    edge = max(4, script.height // 24)
    large, small = _font(script.height // 18), _font(script.height // 34)
    lines = _wrap(script.prompt, large, width - 2 * edge)
    line_height = round(script.height / 18 * 1.3)
    small_height = round(script.height / 34 * 1.5)
    height = _even(2 * edge + len(lines) * line_height + 2 * small_height)
    shade = Image.linear_gradient("L").resize((width, height)).point(lambda value: 60 + value // 2)
    picture = Image.new("RGB", (width, height), (8, 10, 18))
    mask = shade.copy()
    for layer, white in ((ImageDraw.Draw(picture), (255, 255, 255)), (ImageDraw.Draw(mask), 255)):
        for number, line in enumerate(lines):
            layer.text((edge, edge + number * line_height), line, fill=white, font=large)
        top = edge + len(lines) * line_height
        layer.text((edge, top), f"{script.model}  sample {script.index}", fill=white, font=small)
        layer.text((edge, top + small_height), script.task_id, fill=white, font=small)
    return Stamp.of(picture, mask)


def _wrap(text: str, font: Font, width: int) -> list[str]:
    lines = [""]
    # The built-in font has few letters beyond ASCII: a letter without its accent is better than a box.
    plain = "".join(
        letter for letter in unicodedata.normalize("NFKD", text) if not unicodedata.combining(letter)
    )
    for word in plain.split():
        longer = f"{lines[-1]} {word}".strip()
        if font.getlength(longer) <= width or not lines[-1]:
            lines[-1] = longer
        else:
            lines.append(word)
    if len(lines) > CAPTION_LINES:
        lines = [*lines[: CAPTION_LINES - 1], f"{lines[CAPTION_LINES - 1]} …"]
    return [_fit(line, font, width) for line in lines if line]


def _fit(line: str, font: Font, width: int) -> str:
    """Shorten a line of one long word to a width."""
    length = len(line)
    while length and font.getlength(line[:length]) > width:
        length = length * 9 // 10
    return line if length == len(line) else line[: max(0, length - 1)] + "…"


def _time_code(picture: Planes, number: int, font: Font) -> None:
    width, height = picture.size
    text = f"{number // FPS // 60:02d}:{number // FPS % 60:02d}.{number % FPS:02d}"
    edge = max(2, min(width, height) // 36)
    box = font.getbbox("00:00.00")
    draw = ImageDraw.Draw(picture.y)
    draw.text((width - edge - box[2], edge), text, fill=235, font=font, stroke_width=1, stroke_fill=24)


@functools.cache
def _font(size: int) -> Font:
    return ImageFont.load_default(max(6, size))


def _colour(hue: float, saturation: float, value: float) -> tuple[int, int, int]:
    red, green, blue = colorsys.hsv_to_rgb(hue % 1, saturation, min(1.0, max(0.0, value)))
    return round(red * 255), round(green * 255), round(blue * 255)


def _ease(t: float) -> float:
    return t * t * (3 - 2 * t)


def _even(value: float) -> int:
    return max(2, round(value / 2) * 2)
