"""A generation: what was asked for, what will become of it, and what is true of it at a given time."""

from __future__ import annotations

import dataclasses
import enum
import uuid
from typing import TYPE_CHECKING, Any

from airflow_provider_veo3.emulator.config.settings import TYPICAL, Settings, parse_span

if TYPE_CHECKING:
    import random
    from collections.abc import Iterable
    from pathlib import Path

    from airflow_provider_veo3.emulator.service.accounts import Account
    from airflow_provider_veo3.emulator.service.catalog import Model
    from airflow_provider_veo3.emulator.service.parameters import Parameters

BASE36 = "0123456789abcdefghijklmnopqrstuvwxyz"
# The vendor publishes one number per model; answers of a real service scatter around it.
TYPICAL_SPREAD = 0.25


class State(enum.Enum):
    """Where a task is in its life."""

    PENDING = 0
    PROCESSING = 1
    COMPLETED = 2
    FAILED = 3

    @property
    def finished(self) -> bool:
        """Whether nothing more will happen."""
        return self in (State.COMPLETED, State.FAILED)


@dataclasses.dataclass(frozen=True)
class Failure:
    """Why a task failed."""

    code: str
    message: str


@dataclasses.dataclass(frozen=True)
class Upload:
    """An image that came with a request; ``picture`` is the file of a reduced copy to render from."""

    field: str
    filename: str
    size: int
    mime_type: str
    sha256: str
    picture: Path


@dataclasses.dataclass
class Fetches:
    """How often one video was asked for, and how many bytes of it were sent."""

    requests: int = 0
    bytes: int = 0


@dataclasses.dataclass
class Task:
    """One accepted generation.

    Its state is derived from the plan (``starts_at``, ``ends_at``, ``failure``) and the time at which
    somebody looks, so that no timer has to fire.

    :param options: the request as it was received, without the images.
    :param height: short side of the picture; :param file_size: size of a stand-in file, or None to render.
    :param reply: what the client was told: the HTTP status, or ``cut``.
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
    failure: Failure | None = None
    samples: int = 0
    lost: bool = False
    refunded: int = 0
    settled: bool = False
    reply: str = "202"
    fetches: dict[int, Fetches] = dataclasses.field(default_factory=dict)

    @property
    def cost(self) -> int:
        """Credits that were taken."""
        return self.parameters.cost

    def state(self, now: float) -> State:
        """What the task is at this time."""
        if now >= self.ends_at:
            return State.FAILED if self.failure else State.COMPLETED
        return State.PROCESSING if now >= self.starts_at else State.PENDING

    def fetched(self, index: int) -> Fetches:
        """The counter of one of its videos."""
        return self.fetches.setdefault(index, Fetches())


def new_task_id(now: float, shape: str, rng: random.Random) -> str:
    """An id of a shape: the vendor's is veo_, epoch milliseconds, nine characters."""
    if shape == "uuid":
        return str(uuid.UUID(int=rng.getrandbits(128), version=4))
    letters = "".join(rng.choices(BASE36, k=9))
    milliseconds = round(now * 1000)
    return f"veo-3.1.{milliseconds}~{letters}" if shape == "dotted" else f"veo_{milliseconds:013d}_{letters}"


def processing_seconds(model: Model, settings: Settings, rng: random.Random) -> float:
    """How long a generation will take from acceptance to the end, in the vendor's seconds."""
    text = str(settings.processing_seconds)
    if text == TYPICAL:
        spread = model.typical_seconds * TYPICAL_SPREAD
        low, high = model.typical_seconds - spread, model.typical_seconds + spread
    else:
        low, high = parse_span(text)
    return rng.uniform(low, high)


def start_time(ready: float, slots: int | None, others: Iterable[Task]) -> float:
    """When a task starts that is ready now, if only so many of an account are in generation at once."""
    ends = sorted((task.ends_at for task in others if task.ends_at > ready), reverse=True)
    if slots is None or len(ends) < slots:
        return ready
    return ends[slots - 1]
