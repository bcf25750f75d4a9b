"""Generations as the Videos page shows them, merged from the XComs of tasks. Pure: no database, no clock.

A person who may edit an XCom decides what is in it, so every field is read as untrusted input.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from enum import IntEnum, StrEnum
from typing import TYPE_CHECKING, Any, Final, TypeVar

from airflow_provider_veo3.links import MANIFEST_KEY, STORED_URIS_KEY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

T = TypeVar("T")

LINK_LIFETIME: Final = timedelta(hours=24)
"""Time after its completion for which the vendor's links to a video work."""

LONGEST_GENERATION: Final = timedelta(hours=1)
"""Time after its acceptance from which no generation is still being made."""

LONGEST_TEXT: Final = 2000
"""Characters of any text that the page shows."""

LARGEST_NUMBER: Final = 1e15
"""Bound of any number that the page shows."""

CREDIBLE_YEARS: Final = range(2000, 9000)
"""Years of any time that the page shows, and calculates with."""

_GIVEN_UP: Final = frozenset({"failed", "upstream_failed", "skipped", "removed"})
"""States of a task that follows its generation no longer."""


class Role(IntEnum):
    """Part of a task in a generation; a card prefers the task with the lowest."""

    GENERATING = 0
    WAITING = 1
    STORING = 2


class Status(StrEnum):
    """State of a generation, as far as the XComs report it."""

    IN_FLIGHT = "in_flight"
    COMPLETED = "completed"
    FAILED = "failed"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Row:
    """XCom of a task instance: a manifest, or the result of a download."""

    dag_run_id: int
    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    key: str
    """``generation``, or ``stored_video_uris`` for the result of a download."""
    value: Any
    at: datetime
    """When it was pushed, at the latest when its DAG run ended."""
    state: str | None
    """State of the task instance."""
    operator: str | None
    """Class name of the task's operator."""

    @property
    def identity(self) -> tuple[int, str, int, str]:
        """Primary key of the row."""
        return (self.dag_run_id, self.task_id, self.map_index, self.key)

    @property
    def role(self) -> Role:
        """Part of the task in the generation."""
        if self.key == STORED_URIS_KEY:
            return Role.STORING
        return role_of(self.operator)

    @property
    def manifest(self) -> Mapping[str, Any]:
        """Manifest of a generation; empty for anything else."""
        is_manifest = self.key == MANIFEST_KEY and isinstance(self.value, Mapping)
        return self.value if is_manifest and isinstance(self.value.get("id"), str) else {}

    @property
    def stored(self) -> list[tuple[int, Mapping[str, Any]]]:
        """Stored files by their place in the list; empty for anything but a download's result."""
        if self.key != STORED_URIS_KEY or not isinstance(self.value, list):
            return []
        return [
            (number, file)
            for number, file in enumerate(self.value)
            if isinstance(file, Mapping)
            and isinstance(file.get("generation_id"), str)
            and isinstance(file.get("uri"), str)
        ]

    @property
    def generation_ids(self) -> list[str]:
        """Ids of the generations that the row is about, each once, in order."""
        ids = [self.manifest["id"]] if self.manifest else [file["generation_id"] for _, file in self.stored]
        return list(dict.fromkeys(ids))


@dataclass(frozen=True)
class File:
    """Stored file, and the XCom that names it: all that a browser may ask for."""

    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    number: int
    """Place in the list that the download returned."""
    uri: str
    size: int | None
    """Bytes."""


@dataclass(frozen=True)
class Card:
    """Generation with the task that is shown for it, and its stored files."""

    id: str
    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    state: str | None
    """State of the task."""
    status: Status
    type: str | None
    model: str | None
    prompt: str | None
    negative_prompt: str | None
    duration_seconds: float | None
    aspect_ratio: str | None
    seed: float | None
    samples_expected: float | None
    credits_used: float | None
    reported_at: datetime
    """When the task last reported the generation: the order of the page."""
    accepted_at: datetime
    completed_at: datetime | None
    links_end: datetime | None
    """When the vendor's links to the video end; ``None`` when its completion is not known."""
    files: tuple[File, ...]

    def is_at_risk(self, now: datetime) -> bool:
        """Return whether the video is paid for, not stored, and can still be stored."""
        return (
            self.status is Status.COMPLETED
            and not self.files
            and self.links_end is not None
            and self.links_end > now
        )

    def has_words(self, words: Sequence[str]) -> bool:
        """Return whether every word is in the prompt or the id, in any case."""
        text = f"{self.prompt or ''} {self.id}".lower()
        return all(word in text for word in words)

    def as_json(self) -> dict[str, Any]:
        """Return the card as JSON, times in ISO format."""
        fields = asdict(self)
        return {name: _iso(value) if isinstance(value, datetime) else value for name, value in fields.items()}


def role_of(operator: str | None) -> Role:
    """Return the part of a task that publishes manifests.

    :param operator: class name of its operator.
    """
    return Role.WAITING if (operator or "").endswith("Sensor") else Role.GENERATING


def merge(generation_id: str, rows: Iterable[Row], anchor: Row, now: datetime) -> Card:
    """Return the card of a generation.

    :param rows: every known row about the generation, its anchor among them.
    :param anchor: row of the task that the card shows.
    """
    ordered = sorted(rows, key=lambda row: (row.role, row.at))
    manifests = [row.manifest for row in ordered if row.manifest]
    stored = [
        (row, number, file)
        for row in ordered
        for number, file in row.stored
        if file["generation_id"] == generation_id
    ]
    facts = [*manifests, *(file for _, _, file in stored)]
    accepted = accepted_at(facts) or anchor.at
    completed = first(as_moment, facts, "completed_at")
    return Card(
        id=generation_id[:LONGEST_TEXT],
        dag_id=anchor.dag_id,
        run_id=anchor.run_id,
        task_id=anchor.task_id,
        map_index=anchor.map_index,
        state=anchor.state,
        status=_status([fact.get("status") for fact in manifests], bool(stored), anchor, now - accepted),
        type=first(as_text, facts, "type"),
        model=first(as_text, facts, "model"),
        prompt=first(as_text, facts, "prompt"),
        negative_prompt=first(as_text, facts, "negative_prompt"),
        duration_seconds=first(as_number, facts, "duration_seconds"),
        aspect_ratio=first(as_text, facts, "aspect_ratio"),
        seed=first(as_number, facts, "seed"),
        samples_expected=first(as_number, facts, "samples_expected"),
        credits_used=first(as_number, facts, "credits_used"),
        reported_at=anchor.at,
        accepted_at=accepted,
        completed_at=completed,
        links_end=completed + LINK_LIFETIME if completed else None,
        files=_files(stored),
    )


def _status(reported: Sequence[Any], is_stored: bool, anchor: Row, age: timedelta) -> Status:
    if "failed" in reported:
        return Status.FAILED
    if "completed" in reported or is_stored:
        return Status.COMPLETED
    is_followed = age < LONGEST_GENERATION and anchor.state not in _GIVEN_UP
    return Status.IN_FLIGHT if is_followed else Status.UNKNOWN


def _files(stored: Iterable[tuple[Row, int, Mapping[str, Any]]]) -> tuple[File, ...]:
    """Return each stored file once, however many tasks have stored it."""
    found: dict[str, tuple[float, File]] = {}
    for row, number, file in stored:
        size = as_number(file.get("size"))
        place = (row.dag_id, row.run_id, row.task_id, row.map_index)
        index = as_number(file.get("index")) or 0
        entry = File(*place, number, file["uri"][:LONGEST_TEXT], None if size is None else int(size))
        found.setdefault(file["uri"], (index, entry))
    return tuple(entry for _, entry in sorted(found.values(), key=lambda pair: pair[0]))


def accepted_at(facts: Sequence[Mapping[str, Any]]) -> datetime | None:
    """Return when the vendor accepted a generation, as manifests of older releases have it too."""
    return first(as_moment, facts, "accepted_at") or first(as_moment, facts, "created_at")


def first(read: Callable[[object], T | None], facts: Iterable[Mapping[str, Any]], name: str) -> T | None:
    """Return the first usable value of a field."""
    return next((value for fact in facts if (value := read(fact.get(name))) is not None), None)


def as_text(value: object) -> str | None:
    """Return a text, cut to what the page shows; ``None`` for anything else."""
    return value[:LONGEST_TEXT] if isinstance(value, str) and value else None


def as_number(value: object) -> float | None:
    """Return a number that the page can show; ``None`` for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if abs(value) < LARGEST_NUMBER else None  # no NaN, which JSON does not have


def as_moment(value: object) -> datetime | None:
    """Return a credible time; ``None`` for anything else."""
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    if moment.year not in CREDIBLE_YEARS:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds")
