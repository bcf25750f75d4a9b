"""The rendered files: made in the background, kept on disk, made again when they had to give way."""

from __future__ import annotations

import hashlib
import tempfile
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_provider_veo3.emulator.video.render import render
from airflow_provider_veo3.emulator.video.scene import Script

if TYPE_CHECKING:
    from airflow_provider_veo3.emulator.service.tasks import Task

CACHE_BYTES = 1024**3


class Videos:
    """A temporary directory of rendered files; used from the server's thread only.

    :param cache_bytes: beyond this total the oldest files are deleted; they are rendered anew on demand.
    """

    def __init__(self, cache_bytes: int = CACHE_BYTES) -> None:
        self._directory = tempfile.TemporaryDirectory(prefix="veo3-emulator-")
        self._cache_bytes = cache_bytes
        # One thread: rendering for one client should not starve the answers to all others.
        self._renderer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="veo3-render")
        self._cancelled = threading.Event()
        self._files: dict[str, Future[Path]] = {}

    def prepare(self, script: Script) -> Future[Path]:
        """Start to render unless that was done before."""
        name = script.digest
        future = self._files.pop(name, None)
        if future is None or (future.done() and (future.cancelled() or future.exception())):
            self._make_room()
            future = self._renderer.submit(self._render, script, Path(self._directory.name, f"{name}.mp4"))
        # Put back at the end: the files at the beginning are those that nobody asked for longest.
        self._files[name] = future
        return future

    def keep_picture(self, data: bytes) -> Path:
        """Store the reduced copy of an upload."""
        path = Path(self._directory.name, f"{hashlib.sha256(data).hexdigest()}.jpg")
        path.write_bytes(data)
        return path

    def close(self) -> None:
        """Give up what is being rendered and delete everything."""
        self._cancelled.set()
        self._renderer.shutdown(wait=True, cancel_futures=True)
        self._directory.cleanup()

    def _render(self, script: Script, path: Path) -> Path:
        partial = path.with_suffix(".part")
        render(script, partial, self._cancelled)
        return partial.replace(path)

    def _make_room(self) -> None:
        done = {name: future.result() for name, future in self._files.items() if _succeeded(future)}
        sizes = {name: path.stat().st_size for name, path in done.items()}
        total = sum(sizes.values())
        for name, path in done.items():
            if total <= self._cache_bytes:
                return
            path.unlink()
            del self._files[name]
            total -= sizes[name]


def _succeeded(future: Future[Path]) -> bool:
    return future.done() and not future.cancelled() and future.exception() is None


def script_of(task: Task, index: int) -> Script:
    """What one video of a task shows."""
    parameters = task.parameters
    return Script(
        task_id=task.id,
        index=index,
        prompt=parameters.prompt,
        model=parameters.model.id,
        seed=parameters.seed,
        seconds=parameters.duration,
        portrait=parameters.aspect_ratio == "9:16",
        height=task.height,
        audio=parameters.audio,
        pictures=tuple(upload.picture for upload in task.uploads),
    )
