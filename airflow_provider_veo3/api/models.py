"""Typed content of the API's responses; :mod:`~airflow_provider_veo3.api.responses` parses it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_veo3.api.redact import redact_url

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

CONTENT_POLICY: Final = "CONTENT_POLICY_VIOLATION"
"""Vendor's code for a prompt or image whose content it refuses."""


class Status(StrEnum):
    """Status of a generation."""

    PENDING = "pending"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"

    @property
    def is_terminal(self) -> bool:
        """Return whether the status is final."""
        return self in (Status.COMPLETED, Status.FAILED)


def without_ending(model: str) -> str:
    """Return a model id in lower case, without the endings ``-001`` and ``-preview``.

    The vendor's pages use both for the same model; another version may have another price.
    """
    lower = model.strip().lower()
    return _without_version(lower) if lower.endswith(("-001", "-preview")) else lower


def is_another_model(sent: str, listed: str) -> bool:
    """Return whether a listing names another model than was sent, whatever the version.

    A name that is not a model id, such as a display name, says nothing.
    """
    ours, theirs = _without_version(sent.strip().lower()), _without_version(listed.strip().lower())
    return ours != theirs and ours.startswith("veo-") and theirs.startswith("veo-")


def _without_version(model: str) -> str:
    """Return a model id without a version, such as ``-001`` or ``-preview``, at its end."""
    return re.sub(r"-(\d{3}|preview)$", "", model)


def time_in_id(generation_id: str) -> float | None:
    """Return the time that an id carries, in Unix seconds by the API's clock; ``None`` without one.

    The vendor's ids look like ``veo_1703123456789_abc123def``, with milliseconds, which is not promised.
    """
    found = re.search(r"(?<![0-9A-Za-z])1[0-9]{12}(?![0-9A-Za-z])", generation_id)
    return int(found[0]) / 1000.0 if found else None


@dataclass(frozen=True)
class Video:
    """A file of a completed generation; its link expires."""

    url: str = field(repr=False)
    """Signed link, absolute; requested without the key. Empty where it may not be followed."""
    mime_type: str = "video/mp4"
    """MIME type that the API names."""
    expires_at: datetime | None = None
    """Time, UTC, at which the link expires, about 24 hours after completion; ``None`` if unknown."""

    @property
    def shown_url(self) -> str:
        """Return the link without its signature, for logs."""
        return redact_url(self.url)


class VideoList(tuple[Video, ...]):
    """The files of a completed generation that the API lists, in order."""

    total: int | None = None
    """Number of files that the API counts, more than it lists while the list lags; ``None`` if unknown."""

    @classmethod
    def of(cls, videos: Iterable[Video], total: int | None = None) -> VideoList:
        """Return a list with the API's count."""
        made = cls(videos)
        made.total = total
        return made


@dataclass(frozen=True)
class Generation:
    """A generation, as far as the API reports it."""

    id: str
    """The API's ``taskId``."""
    status: Status
    """Status at the time of the response."""
    type: str | None = None
    """Type: ``text-to-video``, ``image-to-video`` or ``first-last-frame``."""
    model: str | None = None
    """Model id; may be spelt otherwise than it was sent (``-preview`` for ``-001``)."""
    prompt: str | None = None
    """Prompt as the API repeats it, possibly shortened."""
    credits_used: int | None = None
    """Credits that the generation cost; refunded when it failed."""
    credits_remaining: int | None = None
    """Credits left in the account; known only from the acceptance."""
    created_at: datetime | None = None
    """Time of the acceptance, UTC."""
    created_in_zone: bool = True
    """Whether the API wrote that time with a zone; without, it is taken for UTC and may be local."""
    completed_at: datetime | None = None
    """Time of the completion, UTC."""
    processing_seconds: float | None = None
    """Seconds from acceptance to completion."""
    video_count: int | None = None
    """Number of files, also of those not listed yet; smaller than requested when the vendor dropped one."""
    videos: tuple[Video, ...] = ()
    """Files, where the response lists them; the history does not."""
    error_code: str | None = None
    """Vendor's code for the failure."""
    error: str | None = None
    """Vendor's message for the failure."""
    raw_status: str | None = None
    """The API's word for the status where it is not a known one, which counts as processing."""

    def manifest(self) -> dict[str, Any]:
        """Return the facts worth keeping, as JSON: no link, no key."""
        return {
            "version": 1,
            "id": self.id,
            "type": self.type,
            "model": self.model,
            "status": self.status.value,
            "credits_used": self.credits_used,
            "credits_remaining": self.credits_remaining,
            "samples": self.video_count,
            "created_at": self.created_at.isoformat() if self.created_at else None,
            "completed_at": self.completed_at.isoformat() if self.completed_at else None,
        }


@dataclass(frozen=True)
class HistoryPage:
    """A page of the account's history, and its place in the whole."""

    generations: tuple[Generation, ...]
    """Generations in the API's order, which is not documented."""
    total: int | None
    """Number of generations on all pages; ``None`` if unknown."""
    next_skip: int | None
    """``skip`` of the next page; ``None`` on the last."""
    clock_skew: float | None
    """Seconds by which the API's clock is ahead of ours; ``None`` if unknown."""
    unnamed: tuple[Generation, ...] = ()
    """Generations without a usable id; here the id is empty."""


@dataclass(frozen=True)
class VideoModel:
    """A model that generates videos, with its prices."""

    id: str
    """Model id, as the parameter ``model`` takes it."""
    name: str
    """Vendor's display name."""
    description: str
    """Vendor's description, one line."""
    capabilities: tuple[str, ...]
    """Capabilities, such as ``text-to-video``, ``first-last-frame``, ``audio-generation``."""
    credits_per_video: int | None
    """Credits for one video with sound; ``None`` if unknown."""
    credits_per_video_no_audio: int | None
    """Credits for one silent video; ``None`` if unknown."""
    is_default: bool
    """Whether the API uses this model when a request names none."""
