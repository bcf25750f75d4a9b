"""The vendor's models, their prices and their typical times."""

from __future__ import annotations

import dataclasses

TEXT_TO_VIDEO = "text-to-video"
IMAGE_TO_VIDEO = "image-to-video"
FIRST_LAST_FRAME = "first-last-frame"
GENERATIONS = (TEXT_TO_VIDEO, IMAGE_TO_VIDEO, FIRST_LAST_FRAME)


@dataclasses.dataclass(frozen=True)
class Model:
    """One model: prices in credits per video, typical time in seconds."""

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
        """The same model's id on the vendor's older pages."""
        return self.id.removesuffix("-001") + "-preview"

    @property
    def capabilities(self) -> list[str]:
        """What ``/models`` says that the model can do."""
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

MODEL_IDS = tuple(model.id for model in MODELS)
PREVIEW_IDS = tuple(model.preview_id for model in MODELS)


def find_model(model_id: str, *, accept_preview: bool) -> Model | None:
    """The model with this id, or with this older id where those are accepted."""
    for model in MODELS:
        if model_id == model.id or (accept_preview and model_id == model.preview_id):
            return model
    return None
