"""What a transfer needs of the world: links, a file host, a clock, and a way to be ended early."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from contextlib import AbstractContextManager


class Link(Protocol):
    """Where a file is, for now."""

    @property
    def url(self) -> str:
        """Signed, absolute; empty where the API gives none that may be followed."""

    @property
    def mime_type(self) -> str:
        """As the API says."""

    @property
    def expires_at(self) -> datetime | None:
        """UTC; ``None`` when not said."""


class Answer(Protocol):
    """What a file host answers, its body still to be read."""

    @property
    def status(self) -> int:
        """HTTP status."""

    @property
    def headers(self) -> Mapping[str, str]:
        """Names in lower case."""

    def iter_bytes(self, chunk_size: int) -> Iterator[bytes]:
        """Yield the body; ``Veo3NoAnswerError`` when it breaks off."""


class Fetch(Protocol):
    """Asks a file host for a file from ``offset`` on, if it is still the one with this ETag."""

    def __call__(
        self, url: str, *, offset: int = 0, if_match: str | None = None
    ) -> AbstractContextManager[Answer]:
        """Raise ``Veo3NoAnswerError`` when no answer comes."""


class Stopped(BaseException):
    """The task is being ended; not an error, so that nothing handles it as one."""


class StoppableClock:
    """The clock of transfers, and the way to end them early from another thread."""

    def __init__(self) -> None:
        self._stopped = threading.Event()

    def now(self) -> datetime:
        """Return the time, UTC."""
        return datetime.now(UTC)

    def pause(self, seconds: float) -> None:
        """Wait; raise ``Stopped`` as soon as the task is being ended, also for 0 seconds."""
        # 0 takes no lock: the main thread asks so, and stop() may come from a signal handler in that thread
        if self._stopped.is_set() or (seconds and self._stopped.wait(seconds)):
            raise Stopped

    def stop(self) -> None:
        """End all waits and, at their next chunk, all transfers."""
        self._stopped.set()
