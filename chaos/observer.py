"""Observer of the destination: a process that records every change of a visible video.

    python -m chaos.observer FOLDER OBSERVATIONS

It judges nothing: it records size and hash of each file that is new or has changed. It reads a file
completely whenever the file's stat has changed, and every few seconds regardless.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

from chaos.verdict import Content, Observation
from testbed.local_airflow import CHECKOUT

if TYPE_CHECKING:
    from collections.abc import Iterator

PAUSE: Final = 0.02
"""Seconds between two scans."""

REREAD_AFTER: Final = 5.0
"""Seconds after which a file whose stat has not changed is read again."""

FileStat = tuple[int, int, int]
"""Inode, size, and time of the last modification."""


class Observer:
    """Observer of a folder, which reports the changes since its last scan.

    :param folder: the destination.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read: dict[str, tuple[FileStat, float]] = {}
        self._contents: dict[str, Content] = {}

    def scan(self) -> Iterator[Observation]:
        """Yield the changes of all visible videos since the last scan."""
        visible: set[str] = set()
        for path in sorted(self._folder.rglob("*.mp4")):
            name = path.relative_to(self._folder).as_posix()
            if path.name.startswith("."):
                continue
            observation = self._observe(path, name)
            visible.add(name)
            if observation is not None:
                yield observation
        for name in self._contents.keys() - visible:
            del self._contents[name], self._read[name]
            yield Observation(time.time(), name, None)

    def _observe(self, path: Path, name: str) -> Observation | None:
        """Read a file if it may have changed; return its new content."""
        try:
            with path.open("rb") as file:
                stat = os.fstat(file.fileno())
                current, now = (stat.st_ino, stat.st_size, stat.st_mtime_ns), time.monotonic()
                known = self._read.get(name)
                if known is not None and known[0] == current and now - known[1] < REREAD_AFTER:
                    return None
                content = _content(file)
        except FileNotFoundError:  # removed after it was listed; the next scan reports that
            return None
        self._read[name] = (current, now)
        if self._contents.get(name) == content:
            return None
        self._contents[name] = content
        return Observation(time.time(), name, content)


def _content(file: IO[bytes]) -> Content:
    size, digest = 0, hashlib.sha256()
    while chunk := file.read(2**20):
        size += len(chunk)
        digest.update(chunk)
    return Content(size, digest.hexdigest())


def read_observations(file: Path) -> tuple[list[Observation], int]:
    """Return the observations in an observer's file, and the number of scans."""
    observations, scans = [], 0
    for line in file.read_text(encoding="utf-8").splitlines():
        entry = json.loads(line)
        if "scans" in entry:
            scans = entry["scans"]
            continue
        content = Content(*entry["content"]) if entry["content"] else None
        observations.append(Observation(entry["at"], entry["name"], content))
    return observations, scans


@contextmanager
def observing(folder: Path, file: Path) -> Iterator[None]:
    """Run an observer process of a folder during the block.

    :param file: receives the observations.
    """
    command = [sys.executable, "-m", "chaos.observer", str(folder), str(file)]
    process = subprocess.Popen(command, cwd=CHECKOUT, stdin=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        process.wait()


def main(folder: Path, file: Path) -> None:
    """Scan a folder until SIGTERM, then scan it a last time."""
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    signal.signal(
        signal.SIGINT, signal.SIG_IGN
    )  # Ctrl-C is for the campaign, which ends this process in order
    observer, scans, last = Observer(folder), 0, False
    with file.open("w", encoding="utf-8") as output:
        while not last:
            last = stop.wait(PAUSE)
            for observation in observer.scan():
                entry = {"at": observation.at, "name": observation.name, "content": observation.content}
                output.write(json.dumps(entry) + "\n")
                output.flush()
            scans += 1
        output.write(json.dumps({"scans": scans}) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
