"""Rig around a video store: a file host, an API with links, and a clock."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_veo3.api.models import Generation, Status, Video, VideoList
from airflow_provider_veo3.operators.download import Veo3DownloadOperator
from airflow_provider_veo3.storage.destination import Destination
from airflow_provider_veo3.storage.listing import VideoLister
from airflow_provider_veo3.storage.provenance import Provenance, StoredVideo
from airflow_provider_veo3.storage.sidecar import Sidecar
from airflow_provider_veo3.storage.sink import CHUNK_SIZE
from airflow_provider_veo3.storage.store import VideoStore
from airflow_provider_veo3.storage.transfer import StoppableClock
from tests.support.file_host import FileHost, Response, mp4, open_file

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
FILENAME = "{generation_id}_{index}.mp4"
ONE, BIG = mp4(300_000), mp4(3 * CHUNK_SIZE + 12345)


class ImpatientClock(StoppableClock):
    """Clock whose pauses take no time, although it goes on by them; its stop signal works as usual."""

    def __init__(self) -> None:
        super().__init__()
        self.skipped = 0.0

    def now(self) -> datetime:
        return super().now() + timedelta(seconds=self.skipped)

    def pause(self, seconds: float) -> None:
        self.skipped += seconds
        super().pause(0)


class ImpatientDownloadOperator(Veo3DownloadOperator):
    """Download operator that does not pause between attempts."""

    def _new_clock(self) -> StoppableClock:
        return ImpatientClock()


class FakeClock(ImpatientClock):
    """Clock that goes on by its pauses alone, and records them and the threads that pause."""

    def __init__(self) -> None:
        super().__init__()
        self.pauses: list[float] = []
        self.threads: set[threading.Thread] = set()

    def now(self) -> datetime:
        return NOW + timedelta(seconds=self.skipped)

    def pause(self, seconds: float) -> None:
        self.threads.add(threading.current_thread())
        if seconds:
            self.pauses.append(seconds)
        super().pause(seconds)


@dataclass
class Api:
    """The API's list of links.

    :param responses: for each generation, the URLs or the error of each request in turn; the last repeats.
    :param totals: number of files that the API counts of a generation, where it counts them.
    :param expiry_times: expiry of the links of each request in turn; none once used up.
    :param finished: time at which every generation was completed.
    :param status: status of every generation.
    :param requests: generation id of each request so far.
    :param status_requests: generation id of each request for a status so far.
    """

    responses: dict[str, list[Sequence[str] | Exception]] = field(default_factory=dict)
    totals: dict[str, int] = field(default_factory=dict)
    expiry_times: list[datetime] = field(default_factory=list)
    finished: datetime | None = NOW - timedelta(hours=1)
    status: Status = Status.COMPLETED
    requests: list[str] = field(default_factory=list)
    status_requests: list[str] = field(default_factory=list)

    def get_videos(self, generation_id: str) -> VideoList:
        self.requests.append(generation_id)
        responses = self.responses[generation_id]
        response = responses.pop(0) if len(responses) > 1 else responses[0]
        if isinstance(response, Exception):
            raise response
        expires_at = self.expiry_times.pop(0) if self.expiry_times else None
        videos = (Video(url, "video/mp4", expires_at) for url in response)
        return VideoList.of(videos, self.totals.get(generation_id))

    def get_generation(self, generation_id: str) -> Generation:
        self.status_requests.append(generation_id)
        return Generation(
            generation_id,
            self.status,
            type="text-to-video",
            model="veo-3.1-fast-generate-001",
            prompt="A tide pool",
            credits_used=190,
            completed_at=self.finished,
        )


@dataclass
class StoreRig:
    """A video store on a folder, with its file host, API and clock.

    :param manifests: what the generating tasks have published, by generation id.
    """

    host: FileHost
    folder: Path
    api: Api = field(default_factory=Api)
    clock: Any = field(default_factory=FakeClock)
    manifests: dict[str, dict[str, Any]] = field(default_factory=dict)

    def store(
        self,
        *ids: str,
        filename: object = FILENAME,
        concurrency: int = 4,
        sidecar: bool = False,
        **options: bool,
    ) -> list[StoredVideo]:
        destination = Destination(str(self.folder))
        provenance = Provenance(self.manifests, self.api.get_generation)
        lister = VideoLister(self.api.get_videos, provenance, self.clock)
        task = {"dag_id": "d", "run_id": "r", "task_id": "t", "map_index": -1}
        return VideoStore(
            destination,
            filename=filename,
            lister=lister,
            open_file=open_file,
            max_concurrency=concurrency,
            sidecar=Sidecar(destination, lister, provenance, task, self.clock) if sidecar else None,
            clock=self.clock,
            **options,
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
