"""Limit on the credits of a generation (``max_credits``)."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from airflow_provider_veo3.api.pricing import price_of
from airflow_provider_veo3.exceptions import Veo3CreditLimitError, shown, shown_text
from airflow_provider_veo3.parameters import read_integer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_veo3.api.models import Generation, VideoModel
    from airflow_provider_veo3.api.request import GenerationRequest

log = logging.getLogger(__name__)

_CREDITS: Final = range(10**12)


def read_max_credits(value: object, *, is_limited: bool) -> int | None:
    """Return the limit, which may come as text, as templates give it.

    A missing value is refused where a limit was given: a template that renders to nothing, or a task that
    returns nothing, must not lift a limit.

    :param is_limited: whether the task was given a limit, whatever the template rendered to.
    :raises Veo3ValidationError: the value is no limit.
    """
    if value is None and not is_limited:
        return None
    return read_integer("max_credits", value, _CREDITS, "; without a limit, leave it out")


def check_price(request: GenerationRequest, models: Sequence[VideoModel], max_credits: int) -> None:
    """Refuse a generation that costs more than the limit, or that has no listed price.

    :raises Veo3CreditLimitError: the price is too high or not listed.
    """
    price = price_of(request, models)
    if price is not None and price <= max_credits:
        return
    sound = "with sound" if request.generate_audio else "without sound"
    if price is None:
        known = ", ".join(model.id for model in models)
        message = (
            f"max_credits={max_credits} is set, but the VEO3 API lists no price for model "
            f"{shown(request.model)} {sound}. Nothing was submitted or spent. Choose a listed model "
            f"({known}), or set no limit."
        )
    else:
        message = (
            f"This generation costs {price} credits (model {shown_text(request.model)}, {sound}, "
            f"sample_count={request.sample_count}), more than max_credits={max_credits}. Nothing was "
            "submitted or spent. Raise the limit, or choose a cheaper model, one sample or no sound."
        )
    raise Veo3CreditLimitError(message, estimate=price, limit=max_credits)


def warn_if_dearer(generation: Generation, max_credits: int | None) -> None:
    """Warn of an accepted generation that took more than the limit, against the price list."""
    if max_credits is not None and (generation.credits_used or 0) > max_credits:
        log.warning(
            "Generation %s took %d credits, although max_credits=%d and the API's price list had said no "
            "more. The credits are spent, and the generation goes on.",
            generation.id,
            generation.credits_used,
            max_credits,
        )
