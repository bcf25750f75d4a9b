"""Rig around a video store: a file host, an API with links, and a clock."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from airflow_provider_veo3.api.models import Video
from airflow_provider_veo3.operators.download import Veo3DownloadOperator
from airflow_provider_veo3.storage.destination import Destination
from airflow_provider_veo3.storage.sink import CHUNK_SIZE
from airflow_provider_veo3.storage.store import StoredVideo, VideoStore
from airflow_provider_veo3.storage.transfer import StoppableClock
from tests.support.file_host import FileHost, Response, mp4, open_file

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
FILENAME = "{generation_id}_{index}.mp4"
ONE, BIG = mp4(300_000), mp4(3 * CHUNK_SIZE + 12345)


class ImpatientClock(StoppableClock):
    """Clock whose pauses take no time; its stop signal works as usual."""

    def pause(self, seconds: float) -> None:
        super().pause(0)


class ImpatientDownloadOperator(Veo3DownloadOperator):
    """Download operator that does not pause between attempts."""

    def _new_clock(self) -> StoppableClock:
        return ImpatientClock()


class FakeClock(ImpatientClock):
    """Clock that stands still, and records its pauses and the threads that pause."""

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
        super().pause(seconds)


@dataclass
class Api:
    """The API's list of links.

    :param responses: for each generation, the URLs or the error of each request in turn; the last repeats.
    :param expiry_times: expiry of the links of each request in turn; none once used up.
    :param requests: generation id of each request so far.
    """

    responses: dict[str, list[Sequence[str] | Exception]] = field(default_factory=dict)
    expiry_times: list[datetime] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def get_videos(self, generation_id: str) -> tuple[Video, ...]:
        self.requests.append(generation_id)
        responses = self.responses[generation_id]
        response = responses.pop(0) if len(responses) > 1 else responses[0]
        if isinstance(response, Exception):
            raise response
        expires_at = self.expiry_times.pop(0) if self.expiry_times else None
        return tuple(Video(url, "video/mp4", expires_at) for url in response)


@dataclass
class StoreRig:
    """A video store on a folder, with its file host, API and clock."""

    host: FileHost
    folder: Path
    api: Api = field(default_factory=Api)
    clock: FakeClock = field(default_factory=FakeClock)

    def store(self, *ids: str, filename: str = FILENAME, concurrency: int = 4) -> list[StoredVideo]:
        return VideoStore(
            Destination(str(self.folder)),
            filename=filename,
            get_videos=self.api.get_videos,
            open_file=open_file,
            max_concurrency=concurrency,
            clock=self.clock,
        ).store(ids or ("veo_1",))

    def offer(self, body: bytes, *script: Response) -> None:
        """Make ``veo_1`` a generation of one file."""
        self.api.responses["veo_1"] = [[self.host.add("one.mp4", body, *script)]]

    @property
    def visible(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in self.folder.iterdir() if path.name[0] != "."}

    @property
    def is_empty(self) -> bool:
        return not any(self.folder.iterdir())

    @property
    def hidden(self) -> list[str]:
        return [path.name for path in self.folder.iterdir() if path.name[0] == "."]
