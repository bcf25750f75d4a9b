"""What a generation costs by the API's price list, and how much it may cost."""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, Final

from airflow_provider_veo3.api.pricing import price_of
from airflow_provider_veo3.exceptions import Veo3CreditLimitError, Veo3ValidationError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_veo3.api.models import Generation, VideoModel
    from airflow_provider_veo3.api.request import GenerationRequest

log = logging.getLogger(__name__)

_ALLOWED: Final = "a whole number of credits from 0; without a limit, leave it out"


def read_max_credits(value: object, *, is_limited: bool) -> int | None:
    """Return the limit, which may come as text, as templates give it.

    Nothing is refused where a limit was given: a template that renders to nothing, or a task that returns it,
    must not lift a limit.

    :param is_limited: whether the task was given a limit, whatever has become of it.
    :raises Veo3ValidationError: it is no limit.
    """
    if isinstance(value, str) and re.fullmatch(r"\s*[0-9]{1,12}\s*", value):
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    if value is None and not is_limited:
        return None
    raise Veo3ValidationError.of("max_credits", value, _ALLOWED)


def check_price(request: GenerationRequest, models: Sequence[VideoModel], max_credits: int) -> None:
    """Refuse a generation that costs more than it may, or nobody knows how much.

    :raises Veo3CreditLimitError: it does.
    """
    price = price_of(request, models)
    if price is not None and price <= max_credits:
        return
    sound = "with sound" if request.generate_audio else "without sound"
    if price is None:
        known = ", ".join(model.id for model in models)
        message = (
            f"max_credits={max_credits} is set, but the VEO3 API lists no price for model {request.model!r} "
            f"{sound}; it lists {known}. Nothing was submitted or spent. Name one of these, or set no limit."
        )
    else:
        message = (
            f"This generation costs {price} credits (model {request.model}, {sound}, "
            f"sample_count={request.sample_count}), and max_credits={max_credits}. Nothing was submitted or "
            "spent. Raise the limit, or take a cheaper model, one sample or no sound."
        )
    raise Veo3CreditLimitError(message, estimate=price, limit=max_credits)


def warn_of_price(generation: Generation, max_credits: int | None) -> None:
    """Say that an accepted generation took more than it may, against the price list: nobody can undo it."""
    if max_credits is not None and (generation.credits_used or 0) > max_credits:
        log.warning(
            "Generation %s took %d credits, although max_credits=%d and the API's price list had said no "
            "more. It is paid for and goes on.",
            generation.id,
            generation.credits_used,
            max_credits,
        )
