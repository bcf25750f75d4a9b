"""Tasks: accepted generations with their planned course."""

from __future__ import annotations

import dataclasses
import enum
import math
import uuid
from typing import TYPE_CHECKING, Any

from airflow_provider_veo3.emulator.config.quirks import ID_PLACE
from airflow_provider_veo3.emulator.config.settings import TYPICAL, Settings, parse_range

if TYPE_CHECKING:
    import random
    from pathlib import Path

    from airflow_provider_veo3.emulator.config.quirks import FileLayout
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
class FalseFailure:
    """Period in which the API reports a task as failed, although it goes on.

    :param start: begin, in seconds since the epoch.
    :param stop: end, in seconds since the epoch.
    :param reason: the reported reason.
    """

    start: float
    stop: float
    reason: Failure


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


@dataclasses.dataclass(frozen=True)
class Report:
    """State of a task as the API reports it.

    :param ended_at: time of the end, in seconds since the epoch; None before the end.
    :param failure: reason of a failure.
    """

    state: State
    ended_at: float | None
    failure: Failure | None


@dataclasses.dataclass
class Task:
    """An accepted generation.

    The state follows from ``starts_at``, ``ends_at``, ``failure`` and the time, so that no timer is needed.

    :param numeric_id: whether JSON has the id as a number.
    :param key: fingerprint of the key that submitted it.
    :param options: fields of the request as received, without images.
    :param created_at: time of acceptance, like all times in seconds since the epoch.
    :param starts_at: time at which processing starts.
    :param ends_at: time at which it completes or fails.
    :param height: short side of the picture, in pixels.
    :param file_size: size of a stand-in file in bytes, or None to render.
    :param file_layout: boxes of a stand-in file.
    :param failure: reason for which it fails at its end.
    :param samples: number of files at its end.
    :param false_failure: period in which it is reported as failed, although it goes on.
    :param lost: whether the API no longer knows it.
    :param earlier: whether it was added as a generation of the past, which the ledger does not show.
    :param refunded: refunded credits.
    :param sent_status: HTTP status of the response to the submission, or ``cut``.
    :param fetches: downloads by the index of the video.
    """

    id: str
    numeric_id: bool
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
    file_layout: FileLayout
    samples: int
    failure: Failure | None = None
    false_failure: FalseFailure | None = None
    lost: bool = False
    earlier: bool = False
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

    def report(self, now: float) -> Report:
        """Return the state that the API reports at a time."""
        false = self.false_failure
        if false is not None and false.start <= now < false.stop:
            return Report(State.FAILED, false.start, false.reason)
        state = self.state(now)
        return Report(
            state,
            self.ends_at if state.finished else None,
            self.failure if state is State.FAILED else None,
        )

    def fetches_of(self, index: int) -> Fetches:
        """Return the download counter of a video."""
        return self.fetches.setdefault(index, Fetches())


def new_task_id(now: float, settings: Settings, rng: random.Random) -> str:
    """Return a new task id; the vendor's form is veo_, epoch milliseconds, nine characters."""
    moment = now + settings.clock_offset_seconds
    if settings.numeric_task_ids:
        # Below 2**53, so that no JSON reader rounds it.
        return str(math.floor(moment) * 10**6 + rng.randrange(10**6))
    if settings.task_ids == "uuid":
        task_id = str(uuid.UUID(int=rng.getrandbits(128), version=4))
    else:
        letters, milliseconds = "".join(rng.choices(BASE36, k=9)), round(moment * 1000)
        dotted = settings.task_ids == "dotted"
        task_id = f"veo-3.1.{milliseconds}~{letters}" if dotted else f"veo_{milliseconds:013d}_{letters}"
    template = settings.task_id_template
    return task_id if template is None else template.replace(ID_PLACE, task_id)


def processing_seconds(model: Model, settings: Settings, rng: random.Random) -> float:
    """Return a time from acceptance to the end, in seconds of the vendor."""
    text = str(settings.processing_seconds)
    if text == TYPICAL:
        spread = model.typical_seconds * TYPICAL_SPREAD
        low, high = model.typical_seconds - spread, model.typical_seconds + spread
    else:
        low, high = parse_range(text)
    return rng.uniform(low, high)
