"""Store of rendered videos: a cache on disk, filled in the background."""

from __future__ import annotations

import hashlib
import tempfile
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_provider_veo3.emulator.video.encoder import render

if TYPE_CHECKING:
    from airflow_provider_veo3.emulator.video.scene import Script

CACHE_BYTES = 1024**3


class VideoStore:
    """A temporary directory of rendered videos; used from the server's thread only.

    :param cache_bytes: limit of the total size; beyond it the files that were not requested longest are
        deleted, and rendered again on demand. Default 1 GiB.
    """

    def __init__(self, cache_bytes: int = CACHE_BYTES) -> None:
        self._directory = tempfile.TemporaryDirectory(prefix="veo3-emulator-")
        self._cache_bytes = cache_bytes
        # One thread, so that rendering leaves the other cores for requests.
        self._renderer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="veo3-render")
        self._cancelled = threading.Event()
        self._files: dict[str, Future[Path]] = {}

    def render(self, script: Script) -> Future[Path]:
        """Return the future file of a script; render it unless it is in the cache."""
        name = script.digest
        future = self._files.pop(name, None)
        if future is None or (future.done() and (future.cancelled() or future.exception())):
            self._make_room()
            future = self._renderer.submit(self._render, script, Path(self._directory.name, f"{name}.mp4"))
        # Inserted at the end: the files at the beginning are those that were not requested longest.
        self._files[name] = future
        return future

    def keep_picture(self, data: bytes) -> Path:
        """Keep the reduced copy of an upload, and return its path."""
        path = Path(self._directory.name, f"{hashlib.sha256(data).hexdigest()}.jpg")
        path.write_bytes(data)
        return path

    def close(self) -> None:
        """Cancel the rendering, and delete all files."""
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
