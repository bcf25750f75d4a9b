"""Pictures in the colour planes that H.264 stores.

A picture has one plane of brightness, and two planes of colour at half the size. Drawing into these planes
takes a third of the time of drawing in RGB and converting every frame.
"""

from __future__ import annotations

from typing import NamedTuple

import av
from PIL import Image

PIXEL_FORMAT = "yuv420p"


class Planes(NamedTuple):
    """A picture of even width and height."""

    y: Image.Image
    u: Image.Image
    v: Image.Image

    @classmethod
    def of(cls, picture: Image.Image) -> Planes:
        """Convert an RGB picture with the arithmetic that players invert."""
        frame = av.VideoFrame.from_image(picture.convert("RGB")).reformat(format=PIXEL_FORMAT)
        planes = [
            Image.frombytes("L", (plane.width, plane.height), bytes(plane), "raw", "L", plane.line_size, 1)
            for plane in frame.planes
        ]
        return cls(*planes)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.y.size

    def copy(self) -> Planes:
        """Return a copy."""
        return Planes(*(plane.copy() for plane in self))

    def crop(self, left: int, top: int, width: int, height: int) -> Planes:
        """Return a part of the picture; the position is rounded to even pixels."""
        return Planes(
            *(
                plane.crop(
                    (
                        left // 2 * 2 // k,
                        top // 2 * 2 // k,
                        left // 2 * 2 // k + width // k,
                        top // 2 * 2 // k + height // k,
                    )
                )
                for plane, k in zip(self, (1, 2, 2), strict=True)
            )
        )

    def zoom(self, box: tuple[float, float, float, float], size: tuple[int, int]) -> Planes:
        """Return a part of the picture, which may begin between pixels, scaled to a size."""
        return Planes(
            *(
                plane.resize(
                    (size[0] // k, size[1] // k),
                    Image.Resampling.BILINEAR,
                    box=(box[0] / k, box[1] / k, box[2] / k, box[3] / k),
                )
                for plane, k in zip(self, (1, 2, 2), strict=True)
            )
        )

    def blend(self, other: Planes, share: float) -> Planes:
        """Return a mixture with another picture of the same size."""
        return Planes(*(Image.blend(mine, its, share) for mine, its in zip(self, other, strict=True)))

    def put(self, stamp: Stamp, left: int, top: int) -> None:
        """Draw a stamp at a position, which is rounded to even pixels."""
        for plane, colour, mask, k in zip(self, stamp.colour, stamp.masks, (1, 2, 2), strict=True):
            plane.paste(colour, (left // 2 * 2 // k, top // 2 * 2 // k), mask)

    def frame(self) -> av.VideoFrame:
        """Return the picture as a frame for the encoder."""
        frame = av.VideoFrame(*self.size, PIXEL_FORMAT)
        for target, plane in zip(frame.planes, self, strict=True):
            target.update(plane.tobytes("raw", "L", target.line_size, 1))
        return frame


class Stamp(NamedTuple):
    """A picture with masks, to draw many times."""

    colour: Planes
    masks: tuple[Image.Image, Image.Image, Image.Image]

    @classmethod
    def of(cls, picture: Image.Image, mask: Image.Image) -> Stamp:
        """Return a stamp that is opaque where the mask is white."""
        half = mask.resize((mask.width // 2, mask.height // 2), Image.Resampling.BOX)
        return cls(Planes.of(picture), (mask, half, half))
