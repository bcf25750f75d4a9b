"""A process that looks at the destination all the time and writes down what every visible video is made of.

    python -m chaos.observer FOLDER FINDINGS

It judges nothing: each file is written down when it is new or another than before, with its size and hash. A
file is read through to its end at every change that shows in its stat, and every few seconds regardless.
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

from chaos.verdict import Content, Sighting
from testbed.local_airflow import CHECKOUT

if TYPE_CHECKING:
    from collections.abc import Iterator

PAUSE: Final = 0.02
"""Seconds between two looks."""

AGAIN: Final = 5.0
"""Seconds after which a file that seems unchanged is read again."""

Mark = tuple[int, int, int]


class Observer:
    """Remembers what it saw last, and tells what is new.

    :param folder: the destination.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._marks: dict[str, tuple[Mark, float]] = {}
        self._seen: dict[str, Content] = {}

    def look(self) -> Iterator[Sighting]:
        """Look once at every visible video."""
        here: set[str] = set()
        for path in sorted(self._folder.rglob("*.mp4")):
            name = path.relative_to(self._folder).as_posix()
            if path.name.startswith("."):
                continue
            sighting = self._look_at(path, name)
            here.add(name)
            if sighting is not None:
                yield sighting
        for name in self._seen.keys() - here:
            del self._seen[name], self._marks[name]
            yield Sighting(time.time(), name, None)

    def _look_at(self, path: Path, name: str) -> Sighting | None:
        try:
            with path.open("rb") as file:
                stat = os.fstat(file.fileno())
                mark, now = (stat.st_ino, stat.st_size, stat.st_mtime_ns), time.monotonic()
                known = self._marks.get(name)
                if known is not None and known[0] == mark and now - known[1] < AGAIN:
                    return None
                content = _content(file)
        except FileNotFoundError:  # between the listing and here; the next look tells
            return None
        self._marks[name] = (mark, now)
        if self._seen.get(name) == content:
            return None
        self._seen[name] = content
        return Sighting(time.time(), name, content)


def _content(file: IO[bytes]) -> Content:
    size, digest = 0, hashlib.sha256()
    while chunk := file.read(2**20):
        size += len(chunk)
        digest.update(chunk)
    return Content(size, digest.hexdigest())


def read_findings(findings: Path) -> tuple[list[Sighting], int]:
    """Give what an observer wrote: the sightings, and how often it looked."""
    sightings, looks = [], 0
    for line in findings.read_text(encoding="utf-8").splitlines():
        entry = json.loads(line)
        if "looks" in entry:
            looks = entry["looks"]
            continue
        content = Content(*entry["content"]) if entry["content"] else None
        sightings.append(Sighting(entry["at"], entry["name"], content))
    return sightings, looks


@contextmanager
def observing(folder: Path, findings: Path) -> Iterator[None]:
    """Let a process of its own look at the folder meanwhile."""
    words = [sys.executable, "-m", "chaos.observer", str(folder), str(findings)]
    process = subprocess.Popen(words, cwd=CHECKOUT, stdin=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        process.wait()


def main(folder: Path, findings: Path) -> None:
    """Look until SIGTERM, and once more."""
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the campaign, which ends this one in order
    observer, looks, last = Observer(folder), 0, False
    with findings.open("w", encoding="utf-8") as output:
        while not last:
            last = stop.wait(PAUSE)
            for sighting in observer.look():
                entry = {"at": sighting.at, "name": sighting.name, "content": sighting.content}
                output.write(json.dumps(entry) + "\n")
                output.flush()
            looks += 1
        output.write(json.dumps({"looks": looks}) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
