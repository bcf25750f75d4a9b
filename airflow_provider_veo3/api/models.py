"""What the API answers, typed; how it is read: :mod:`~airflow_provider_veo3.api.answers`."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from airflow_provider_veo3.api.redact import redact_url

if TYPE_CHECKING:
    from datetime import datetime


class Status(StrEnum):
    """Where a generation stands."""

    PENDING = "pending"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"

    @property
    def is_terminal(self) -> bool:
        """Whether it stays as it is."""
        return self in (Status.COMPLETED, Status.FAILED)


def without_ending(model: str) -> str:
    """Return a model's id without what the vendor's pages spell in two ways: ``-001``, and ``-preview``."""
    return re.sub(r"-(001|preview)$", "", model.strip().lower())


@dataclass(frozen=True)
class Video:
    """One file of a finished generation, for as long as its link lives."""

    url: str = field(repr=False)
    """Signed link, absolute; fetched without the key, its query kept. Empty where it may not be followed."""
    mime_type: str = "video/mp4"
    """As the API says."""
    expires_at: datetime | None = None
    """When the link stops working, UTC; about 24 hours after completion. ``None`` when not said."""

    @property
    def shown_url(self) -> str:
        """The link without its signature, for logs."""
        return redact_url(self.url)


@dataclass(frozen=True)
class Generation:
    """A generation, as far as the API has told."""

    id: str
    """The API's ``taskId``."""
    status: Status
    """Where it stands."""
    type: str | None = None
    """``text-to-video``, ``image-to-video`` or ``first-last-frame``."""
    model: str | None = None
    """Model id; may be spelt otherwise than it was sent (``-preview`` for ``-001``)."""
    prompt: str | None = None
    """As the API repeats it, perhaps shortened."""
    credits_used: int | None = None
    """Credits the generation cost; refunded when it failed."""
    credits_remaining: int | None = None
    """Credits left in the account; told only when a generation is accepted."""
    created_at: datetime | None = None
    """When it was accepted, UTC."""
    completed_at: datetime | None = None
    """When it finished, UTC."""
    processing_seconds: float | None = None
    """Seconds from acceptance to the finish."""
    video_count: int | None = None
    """Number of files; fewer than asked for when the vendor's filter dropped one."""
    videos: tuple[Video, ...] = ()
    """The files, where it lists them; history does not."""
    error_code: str | None = None
    """The vendor's code for the failure."""
    error: str | None = None
    """Why it failed, in the vendor's words."""

    def manifest(self) -> dict[str, Any]:
        """Return what is worth keeping, as JSON: no link, no key."""
        return {
            "version": 1,
            "id": self.id,
            "type": self.type,
            "model": self.model,
            "status": self.status.value,
            "credits_used": self.credits_used,
            "credits_remaining": self.credits_remaining,
            "created_at": self.created_at.isoformat() if self.created_at else None,
            "completed_at": self.completed_at.isoformat() if self.completed_at else None,
        }


@dataclass(frozen=True)
class HistoryPage:
    """Some of the account's generations, and where they stand among all."""

    generations: tuple[Generation, ...]
    """In the API's order, which it does not document."""
    total: int | None
    """How many there are on all pages; ``None`` when not said."""
    next_skip: int | None
    """Where the next page starts; ``None`` on the last."""
    clock_skew: float | None
    """Seconds by which the API's clock is ahead of ours; ``None`` when not known."""
    unnamed: tuple[Generation, ...] = ()
    """Those whose id is missing, or none that can be used; here it is empty."""


@dataclass(frozen=True)
class VideoModel:
    """A model that makes videos, and its price."""

    id: str
    """What ``model`` takes."""
    name: str
    """As the vendor calls it."""
    description: str
    """The vendor's one line on it."""
    capabilities: tuple[str, ...]
    """Such as ``text-to-video``, ``first-last-frame``, ``audio-generation``."""
    credits_per_video: int | None
    """Credits for one video with sound; ``None`` when not said."""
    credits_per_video_no_audio: int | None
    """Credits for one silent video; ``None`` when not said."""
    is_default: bool
    """Whether the API takes it when no model is sent."""
