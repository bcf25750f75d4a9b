"""Price of a generation by the API's price list."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_veo3.api.models import without_ending

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_veo3.api.models import VideoModel
    from airflow_provider_veo3.api.request import GenerationRequest


def price_of(request: GenerationRequest, models: Sequence[VideoModel]) -> int | None:
    """Return the credits that a generation costs; ``None`` if the list has no price.

    A model that the list spells as ``-preview`` instead of ``-001``, or the reverse, is found too; the exact
    spelling goes first.
    """
    name = without_ending(request.model)
    same = [model for model in models if without_ending(model.id) == name]
    listed = next((model for model in same if model.id == request.model), same[0] if same else None)
    if listed is None:
        return None
    price = listed.credits_per_video if request.generate_audio else listed.credits_per_video_no_audio
    return None if price is None else price * request.sample_count
