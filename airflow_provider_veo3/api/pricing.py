"""Price of a generation by the API's price list."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_veo3.api.models import without_ending

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_veo3.api.models import VideoModel
    from airflow_provider_veo3.api.request import GenerationRequest


def price_of(request: GenerationRequest, models: Sequence[VideoModel]) -> int | None:
    """Return the credits that a generation costs; ``None`` where the list has no price for it.

    A list that spells the model otherwise, as pages of the vendor do (``-preview`` for ``-001``), has one.
    """
    name = without_ending(request.model)
    alike = [model for model in models if without_ending(model.id) == name]
    listed = next((model for model in alike if model.id == request.model), alike[0] if alike else None)
    if listed is None:
        return None
    price = listed.credits_per_video if request.generate_audio else listed.credits_per_video_no_audio
    return None if price is None else price * request.sample_count
