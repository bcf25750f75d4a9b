"""What the provider counts, through Airflow's own metrics (``[metrics] statsd_on``, ``otel_on`` ...).

Tags are few and of few values: never an id, a prompt or a path. Where nobody collects metrics they cost next
to nothing, and trouble with them never reaches a task.
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
"""Generations of an earlier attempt that a task went on with instead of paying; tags ``type``, ``model``."""
COMPLETED: Final = "veo3.generations.completed"
"""Waits that ended with a video; tags ``type``, ``model``."""
FAILED: Final = "veo3.generations.failed"
"""Submissions the API refused for good, and waits that ended without a video; tags ``type``, ``model`` and
``reason``: ``content_policy``, ``no_credits``, ``key``, ``refused`` (any other refusal), ``vendor`` (the
generation failed), ``timeout``, ``not_found``, ``error``."""
GENERATION_SECONDS: Final = "veo3.generation.seconds"
"""Timing, from acceptance to completion as the API tells it; tags ``type``, ``model``."""
CREDITS_SPENT: Final = "veo3.credits.spent"
"""Credits that acceptances took, refunds of failed generations not subtracted; tags ``type``, ``model``."""
CREDITS_REMAINING: Final = "veo3.credits.remaining"
"""Gauge: the account's balance at the last acceptance; tag ``conn_id``."""
REQUESTS: Final = "veo3.requests"
"""Requests sent to the API, repetitions included; tags ``endpoint``, ``purpose`` (``poll`` for looks of those
who wait, else ``call``), ``answer`` (``2xx``, ``4xx``, ``429``, ``5xx``, ``none`` ...)."""
RATE_LIMITED: Final = "veo3.rate_limited"
"""Requests answered with 429; tag ``endpoint``."""
BYTES_STORED: Final = "veo3.bytes.stored"
"""Bytes of videos written; those found stored already do not count."""

_TOO_MANY: Final = 429
_PLAIN: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")

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
    """Tell a duration."""
    # of a bare number the backends take some for seconds, others for milliseconds
    _send("timing", name, timedelta(seconds=seconds), tags)


def _send(kind: str, name: str, value: object, tags: dict[str, str]) -> None:
    try:
        from airflow.providers.common.compat.sdk import Stats

        getattr(Stats, kind)(name, value, tags=tags)
    except Exception as error:  # noqa: BLE001 - a task that has paid must not fail for a number
        log.debug("%s could not be counted: %s", name, error)


def submitted(request: GenerationRequest, generation: Generation, conn_id: str) -> None:
    """Count an acceptance and what it took."""
    tags = _about(request.type, request.model)
    count(SUBMITTED, 1, **tags)
    if generation.credits_used is not None:
        count(CREDITS_SPENT, generation.credits_used, **tags)
    if generation.credits_remaining is not None:
        gauge(CREDITS_REMAINING, generation.credits_remaining, conn_id=_plain(conn_id))


def reattached(request: GenerationRequest) -> None:
    """Count a generation that was not paid for again."""
    count(REATTACHED, 1, **_about(request.type, request.model))


def refused(request: GenerationRequest, error: Veo3Error) -> None:
    """Count a submission that the API will never accept."""
    count(FAILED, 1, reason=_reason(type(error).__name__), **_about(request.type, request.model))


def ended(ending: str, reason: str | None, manifest: Mapping[str, Any]) -> None:
    """Count the end of a wait, where the task learns of it.

    :param ending: value of ``waiting.Ending``.
    :param reason: name of the error for ``error``, the vendor's code for ``failed``.
    """
    tags = _about(manifest.get("type"), manifest.get("model"))
    if ending == "completed":
        count(COMPLETED, 1, **tags)
        seconds = _seconds(manifest)
        if seconds is not None:
            timing(GENERATION_SECONDS, seconds, **tags)
        return
    vendor = "content_policy" if reason == "CONTENT_POLICY_VIOLATION" else "vendor"
    why = {"failed": vendor, "timeout": "timeout"}.get(ending) or _reason(reason or "")
    count(FAILED, 1, reason=why, **tags)


def answered(request: ApiRequest, outcome: Outcome, poll: bool) -> None:
    """Count a request and its answer."""
    status = getattr(outcome, "status", None)
    if status == _TOO_MANY:
        count(RATE_LIMITED, endpoint=request.endpoint)
    answer = "none" if status is None else "429" if status == _TOO_MANY else f"{status // 100}xx"
    count(REQUESTS, endpoint=request.endpoint, purpose="poll" if poll else "call", answer=answer)


def _about(kind: object, model: object) -> dict[str, str]:
    return {"type": _plain(kind), "model": _plain(model)}


def _plain(value: object) -> str:
    """Return a tag's value; what is odd would make a tag of its own, or break the collector's protocol."""
    if value is None:
        return "unknown"
    return value if isinstance(value, str) and _PLAIN.fullmatch(value) else "other"


def _reason(error_name: str) -> str:
    return _REASONS.get(error_name, "error")


def _seconds(manifest: Mapping[str, Any]) -> float | None:
    """Return the seconds that a completed generation took, if its manifest tells."""
    try:
        begun, done = (datetime.fromisoformat(manifest[name]) for name in ("created_at", "completed_at"))
        seconds = (done - begun).total_seconds()
    except (KeyError, TypeError, ValueError):
        return None
    return seconds if seconds >= 0 else None
