"""An API server with the Videos page, and videos of DAGs that one user may not see."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from tests.support.api_server import ApiServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.video_rows import VideoRun

MP4 = b"\0\0\0\x18ftypmp42" + bytes(range(256)) * 64 * 1024


@dataclass(frozen=True)
class Seen:
    """An API server, with a stored video of each DAG.

    :param videos: the folder that the page plays from.
    :param runs: the run of each DAG.
    """

    server: ApiServer
    videos: Path
    runs: dict[str, VideoRun]

    def place(self, dag_id: str, number: int = 0) -> dict[str, str | int]:
        """Return the parameters of a stored video."""
        return {"dag_id": dag_id, "run_id": self.runs[dag_id].run_id, "task_id": "download", "number": number}


@pytest.fixture(scope="package")
def seen(tmp_path_factory: pytest.TempPathFactory, airflow_bundles: None) -> Iterator[Seen]:
    from tests.support.video_rows import VideoRun

    folder = tmp_path_factory.mktemp("api server")
    videos = folder / "videos #1 of 100%20"
    videos.mkdir()
    now = datetime.now(UTC).replace(microsecond=0)
    runs = {}
    for dag_id in ("open_dag", "hidden_dag", "closed_dag"):
        (videos / f"{dag_id}.mp4").write_bytes(MP4)
        run = VideoRun(dag_id, now)
        run.generate(f"veo_1_{dag_id}", now, prompt=f"secret of {dag_id}")
        run.generate(f"veo_2_{dag_id}", now, map_index=0, status="pending")
        run.generate(f"veo_3_{dag_id}", now, map_index=1).task("download", "success")
        run.store([(f"veo_1_{dag_id}", f"file://{videos}/{dag_id}.mp4")], now)
        runs[dag_id] = run.end(now + timedelta(minutes=1))
    # a video of the open DAG that a hidden one has stored, too
    (videos / "stored_by_hidden.mp4").write_bytes(MP4)
    runs["hidden_stores"] = VideoRun("hidden_stores", now)
    runs["hidden_stores"].store([("veo_3_open_dag", f"file://{videos}/stored_by_hidden.mp4")], now)
    env = {
        "AIRFLOW__VEO3__GALLERY_LOCATIONS": f"file://{videos}/",
        # a pool so small that a session kept by a stream is missed at once
        "AIRFLOW__DATABASE__SQL_ALCHEMY_POOL_SIZE": "2",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_MAX_OVERFLOW": "0",
    }
    with ApiServer(folder, env) as server:
        yield Seen(server, videos, runs)
