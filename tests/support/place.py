"""A store under test and everything around it: a file host, the API's list of links, a clock that stands."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from airflow_provider_veo3.api.models import Video
from airflow_provider_veo3.storage.destination import CHUNK, Destination
from airflow_provider_veo3.storage.source import StoppableClock
from airflow_provider_veo3.storage.store import StoredVideo, VideoStore
from tests.support.file_host import FileHost, Reply, fetch, mp4

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
FILENAME = "{generation_id}_{index}.mp4"
ONE, BIG = mp4(300_000), mp4(3 * CHUNK + 12345)


class FakeClock(StoppableClock):
    """A clock that stands, and pauses that take no time; being stopped works as ever."""

    def __init__(self) -> None:
        super().__init__()
        self.pauses: list[float] = []
        self.threads: set[threading.Thread] = set()

    def now(self) -> datetime:
        return NOW

    def pause(self, seconds: float) -> None:
        self.threads.add(threading.current_thread())
        if seconds:
            self.pauses.append(seconds)
        super().pause(0)


@dataclass
class Api:
    """The API's list of links: per generation, what each further question is answered."""

    answers: dict[str, list[Sequence[str] | Exception]] = field(default_factory=dict)
    expires: list[datetime | None] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def resolve(self, generation_id: str) -> tuple[Video, ...]:
        self.asked.append(generation_id)
        answers = self.answers[generation_id]
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, Exception):
            raise answer
        expires = self.expires.pop(0) if self.expires else None
        return tuple(Video(url, "video/mp4", expires) for url in answer)


@dataclass
class Place:
    """A store under test, and everything around it."""

    host: FileHost
    folder: Path
    api: Api = field(default_factory=Api)
    clock: FakeClock = field(default_factory=FakeClock)

    def store(self, *ids: str, filename: str = FILENAME, concurrency: int = 4) -> list[StoredVideo]:
        destination = Destination(str(self.folder))
        return VideoStore(
            destination,
            filename=filename,
            resolve=self.api.resolve,
            fetch=fetch,
            max_concurrency=concurrency,
            clock=self.clock,
        ).store(ids or ("veo_1",))

    def offer(self, body: bytes, *script: Reply) -> None:
        """Make ``veo_1`` a generation of one file."""
        self.api.answers["veo_1"] = [[self.host.add("one.mp4", body, *script)]]

    @property
    def visible(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in self.folder.iterdir() if path.name[0] != "."}

    @property
    def is_empty(self) -> bool:
        return not any(self.folder.iterdir())

    @property
    def hidden(self) -> list[str]:
        return [path.name for path in self.folder.iterdir() if path.name[0] == "."]
