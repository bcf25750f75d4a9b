"""The vendor's models with their prices and typical times."""

from __future__ import annotations

import dataclasses

TEXT_TO_VIDEO = "text-to-video"
IMAGE_TO_VIDEO = "image-to-video"
FIRST_LAST_FRAME = "first-last-frame"
GENERATIONS = (TEXT_TO_VIDEO, IMAGE_TO_VIDEO, FIRST_LAST_FRAME)


@dataclasses.dataclass(frozen=True)
class Model:
    """A model of the vendor.

    :param credits: price of a video with audio.
    :param credits_silent: price of a video without audio.
    :param typical_seconds: published processing time, in seconds.
    :param first_last_frame: whether it takes a first and a last frame.
    :param fast: whether it is one of the Fast models.
    """

    id: str
    name: str
    description: str
    credits: int
    credits_silent: int
    typical_seconds: float
    first_last_frame: bool = False
    fast: bool = False

    @property
    def preview_id(self) -> str:
        """The id on the vendor's older pages."""
        return self.id.removesuffix("-001") + "-preview"

    @property
    def capabilities(self) -> list[str]:
        """The capabilities in the list of models."""
        frames = [FIRST_LAST_FRAME] if self.first_last_frame else []
        return [TEXT_TO_VIDEO, IMAGE_TO_VIDEO, *frames, "audio-generation"]


MODELS = (
    Model("veo-3.0-generate-001", "Veo 3.0 Quality", "High-quality video with audio", 500, 250, 120),
    Model(
        "veo-3.0-fast-generate-001",
        "Veo 3.0 Fast",
        "Fast video generation with audio",
        190,
        120,
        60,
        fast=True,
    ),
    Model(
        "veo-3.1-generate-001",
        "Veo 3.1 Quality",
        "Latest Veo 3.1 high-quality video with first+last frame support",
        500,
        250,
        120,
        first_last_frame=True,
    ),
    Model(
        "veo-3.1-fast-generate-001",
        "Veo 3.1 Fast",
        "Latest Veo 3.1 fast video with first+last frame support",
        190,
        120,
        60,
        first_last_frame=True,
        fast=True,
    ),
    Model(
        "veo-3.1-lite-generate-001",
        "Veo 3.1 Lite",
        "Affordable 720p video generation — cheapest option",
        65,
        35,
        45,
    ),
)
DEFAULT_MODEL = next(model for model in MODELS if model.id == "veo-3.1-fast-generate-001")


def find_model(model_id: str) -> Model | None:
    """Return the model with this id, the older spelling included."""
    return next((model for model in MODELS if model_id in (model.id, model.preview_id)), None)
