"""Tasks: accepted generations with their planned course."""

from __future__ import annotations

import dataclasses
import enum
import uuid
from typing import TYPE_CHECKING, Any

from airflow_provider_veo3.emulator.config.settings import TYPICAL, Settings, parse_range

if TYPE_CHECKING:
    import random
    from pathlib import Path

    from airflow_provider_veo3.emulator.service.accounts import Account
    from airflow_provider_veo3.emulator.service.catalog import Model
    from airflow_provider_veo3.emulator.service.parameters import Parameters

BASE36 = "0123456789abcdefghijklmnopqrstuvwxyz"
# The vendor publishes one number per model; the times of a real service scatter around it.
TYPICAL_SPREAD = 0.25


class State(enum.Enum):
    """The state of a task."""

    PENDING = 0
    PROCESSING = 1
    COMPLETED = 2
    FAILED = 3

    @property
    def finished(self) -> bool:
        """Return whether the state is final."""
        return self in (State.COMPLETED, State.FAILED)


@dataclasses.dataclass(frozen=True)
class Failure:
    """The reason of a failed task."""

    code: str
    message: str


@dataclasses.dataclass(frozen=True)
class Upload:
    """An image of a request.

    :param field: form field of the image.
    :param filename: file name of the form part.
    :param size: size in bytes.
    :param mime_type: MIME type of the content.
    :param sha256: hash of the content.
    :param picture: file of a reduced copy for rendering.
    """

    field: str
    filename: str
    size: int
    mime_type: str
    sha256: str
    picture: Path


@dataclasses.dataclass
class Fetches:
    """Number of downloads of a video, and the bytes sent."""

    requests: int = 0
    bytes: int = 0


@dataclasses.dataclass
class Task:
    """An accepted generation.

    The state follows from ``starts_at``, ``ends_at``, ``failure`` and the time, so that no timer is needed.

    :param key: fingerprint of the key that submitted it.
    :param options: fields of the request as received, without images.
    :param created_at: time of acceptance, like all times in seconds since the epoch.
    :param starts_at: time at which processing starts.
    :param ends_at: time at which it completes or fails.
    :param height: short side of the picture, in pixels.
    :param file_size: size of a stand-in file in bytes, or None to render.
    :param failure: reason for which it fails at its end.
    :param samples: number of files at its end.
    :param lost: whether the API no longer knows it.
    :param refunded: refunded credits.
    :param sent_status: HTTP status of the response to the submission, or ``cut``.
    :param fetches: downloads by the index of the video.
    """

    id: str
    account: Account
    key: str
    type: str
    parameters: Parameters
    options: dict[str, Any]
    uploads: tuple[Upload, ...]
    created_at: float
    starts_at: float
    ends_at: float
    height: int
    file_size: int | None
    samples: int
    failure: Failure | None = None
    lost: bool = False
    refunded: int = 0
    sent_status: str = "202"
    fetches: dict[int, Fetches] = dataclasses.field(default_factory=dict)

    @property
    def cost(self) -> int:
        """The charged credits."""
        return self.parameters.cost

    def state(self, now: float) -> State:
        """Return the state at a time."""
        if now >= self.ends_at:
            return State.FAILED if self.failure else State.COMPLETED
        return State.PROCESSING if now >= self.starts_at else State.PENDING

    def fetches_of(self, index: int) -> Fetches:
        """Return the download counter of a video."""
        return self.fetches.setdefault(index, Fetches())


def new_task_id(now: float, form: str, rng: random.Random) -> str:
    """Return a new id of a form; the vendor's is veo_, epoch milliseconds, nine characters."""
    if form == "uuid":
        return str(uuid.UUID(int=rng.getrandbits(128), version=4))
    letters = "".join(rng.choices(BASE36, k=9))
    milliseconds = round(now * 1000)
    return f"veo-3.1.{milliseconds}~{letters}" if form == "dotted" else f"veo_{milliseconds:013d}_{letters}"


def processing_seconds(model: Model, settings: Settings, rng: random.Random) -> float:
    """Return a time from acceptance to the end, in seconds of the vendor."""
    text = str(settings.processing_seconds)
    if text == TYPICAL:
        spread = model.typical_seconds * TYPICAL_SPREAD
        low, high = model.typical_seconds - spread, model.typical_seconds + spread
    else:
        low, high = parse_range(text)
    return rng.uniform(low, high)
