"""The provider's metrics, sent through Airflow's own (``[metrics] statsd_on``, ``otel_on`` ...).

Tags are few and of few values: never an id, a prompt or a path. Where metrics are off they cost next to
nothing, and an error in them never reaches a task.
"""

from __future__ import annotations

import logging
import re
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_veo3.api.models import Generation
    from airflow_provider_veo3.api.protocol import ApiRequest, Outcome
    from airflow_provider_veo3.api.request import GenerationRequest
    from airflow_provider_veo3.exceptions import Veo3Error

log = logging.getLogger(__name__)

SUBMITTED: Final = "veo3.generations.submitted"
"""Generations the API accepted; tags ``type``, ``model``."""
REATTACHED: Final = "veo3.generations.reattached"
"""Generations of an earlier attempt that a task reused instead of paying; tags ``type``, ``model``."""
COMPLETED: Final = "veo3.generations.completed"
"""Waits that ended with a completed generation; tags ``type``, ``model``."""
FAILED: Final = "veo3.generations.failed"
"""Submissions the API refused for good, and waits without a video.

Tags ``type``, ``model`` and ``reason``: ``content_policy``, ``no_credits``, ``key``, ``refused`` (any other
refusal), ``vendor`` (the generation failed), ``timeout``, ``not_found``, ``error``.
"""
GENERATION_SECONDS: Final = "veo3.generation.seconds"
"""Timing from acceptance to completion, by the API's clock; tags ``type``, ``model``."""
CREDITS_SPENT: Final = "veo3.credits.spent"
"""Credits spent at acceptance, refunds not subtracted; tags ``type``, ``model``."""
CREDITS_REMAINING: Final = "veo3.credits.remaining"
"""Gauge: the account's balance at the last acceptance; tag ``conn_id``."""
REQUESTS: Final = "veo3.requests"
"""Requests sent to the API, retries included.

Tags ``endpoint``, ``purpose`` (``poll`` for the polls of a wait, else ``call``), ``answer`` (``2xx``,
``4xx``, ``429``, ``5xx``, ``none`` ...).
"""
RATE_LIMITED: Final = "veo3.rate_limited"
"""Responses with status 429; tag ``endpoint``."""
BYTES_STORED: Final = "veo3.bytes.stored"
"""Bytes of videos written; files that were stored already do not count."""

_TOO_MANY_REQUESTS: Final = 429
_TAG_VALUE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")

_REASONS: Final = {
    "Veo3ContentPolicyError": "content_policy",
    "Veo3InsufficientCreditsError": "no_credits",
    "Veo3AuthenticationError": "key",
    "Veo3BadRequestError": "refused",
    "Veo3FileTooLargeError": "refused",
    "Veo3PermanentApiError": "refused",
    "Veo3GenerationNotFoundError": "not_found",
}


def count(name: str, number: int = 1, /, **tags: str) -> None:
    """Add to a counter."""
    _send("incr", name, number, tags)


def gauge(name: str, value: float, /, **tags: str) -> None:
    """Set a gauge."""
    _send("gauge", name, value, tags)


def timing(name: str, seconds: float, /, **tags: str) -> None:
    """Send a duration."""
    # some backends take a bare number for seconds, others for milliseconds
    _send("timing", name, timedelta(seconds=seconds), tags)


def _send(kind: str, name: str, value: object, tags: dict[str, str]) -> None:
    try:
        from airflow_provider_veo3.airflow_names import Stats

        getattr(Stats, kind)(name, value, tags=tags)
    except Exception as error:  # noqa: BLE001 - a task that has paid must not fail for a metric
        log.debug("Metric %s was not sent: %s", name, error)


def submitted(request: GenerationRequest, generation: Generation, conn_id: str) -> None:
    """Count an accepted generation, its credits and the balance."""
    tags = _generation_tags(request.type, request.model)
    count(SUBMITTED, 1, **tags)
    if generation.credits_used is not None:
        count(CREDITS_SPENT, generation.credits_used, **tags)
    if generation.credits_remaining is not None:
        gauge(CREDITS_REMAINING, generation.credits_remaining, conn_id=_tag_value(conn_id))


def reattached(request: GenerationRequest) -> None:
    """Count a generation that was reused instead of paid for again."""
    count(REATTACHED, 1, **_generation_tags(request.type, request.model))


def refused(request: GenerationRequest, error: Veo3Error) -> None:
    """Count a submission that the API refused for good."""
    count(FAILED, 1, reason=_reason(type(error).__name__), **_generation_tags(request.type, request.model))


def ended(ending: str, reason: str | None, manifest: Mapping[str, Any]) -> None:
    """Count the end of a wait, once, in the task.

    :param ending: value of ``polling.result.Ending``.
    :param reason: name of the error for ``error``, the vendor's code for ``failed``.
    """
    from airflow_provider_veo3.api.models import CONTENT_POLICY

    tags = _generation_tags(manifest.get("type"), manifest.get("model"))
    if ending == "completed":
        count(COMPLETED, 1, **tags)
        seconds = _seconds(manifest)
        if seconds is not None:
            timing(GENERATION_SECONDS, seconds, **tags)
        return
    vendor = "content_policy" if reason == CONTENT_POLICY else "vendor"
    tag = {"failed": vendor, "timeout": "timeout"}.get(ending) or _reason(reason or "")
    count(FAILED, 1, reason=tag, **tags)


def requested(request: ApiRequest, outcome: Outcome, poll: bool) -> None:
    """Count a request and its response.

    :param poll: whether the request is a poll of a waiter.
    """
    status = getattr(outcome, "status", None)
    if status == _TOO_MANY_REQUESTS:
        count(RATE_LIMITED, endpoint=request.endpoint)
    answer = "none" if status is None else "429" if status == _TOO_MANY_REQUESTS else f"{status // 100}xx"
    count(REQUESTS, endpoint=request.endpoint, purpose="poll" if poll else "call", answer=answer)


def _generation_tags(kind: object, model: object) -> dict[str, str]:
    return {"type": _tag_value(kind), "model": _tag_value(model)}


def _tag_value(value: object) -> str:
    """Return a value as a tag, an odd one as ``other``.

    It would multiply the series, or break the collector's protocol.
    """
    if value is None:
        return "unknown"
    return value if isinstance(value, str) and _TAG_VALUE.fullmatch(value) else "other"


def _reason(error_name: str) -> str:
    return _REASONS.get(error_name, "error")


def _seconds(manifest: Mapping[str, Any]) -> float | None:
    """Return the seconds from acceptance to completion; ``None`` where the manifest lacks a time."""
    try:
        created, completed = map(datetime.fromisoformat, (manifest["created_at"], manifest["completed_at"]))
        seconds = (completed - created).total_seconds()
    except (KeyError, TypeError, ValueError):
        return None
    return seconds if seconds >= 0 else None
