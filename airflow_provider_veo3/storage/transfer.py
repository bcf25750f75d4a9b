"""One file, from its link to a sink: streamed, hashed, resumed and checked.

What an answer means and how long to wait is decided in ``answer``; this does what it says.
"""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from airflow_provider_veo3.api.redact import redact_text
from airflow_provider_veo3.exceptions import Veo3CorruptVideoError, Veo3NoAnswerError, Veo3StorageError
from airflow_provider_veo3.storage.destination import CHUNK
from airflow_provider_veo3.storage.mp4 import ENOUGH, BoxWalk, begins_as_mp4
from airflow_provider_veo3.storage.response import (
    Cure,
    Have,
    Problem,
    clean_mime_type,
    is_expiring,
    is_page,
    judge,
    media_type,
    pause_after,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from airflow_provider_veo3.storage.sink import Sink
    from airflow_provider_veo3.storage.source import Answer, Fetch, Link, StoppableClock

log = logging.getLogger(__name__)

TRIES: Final = 5
"""Tries in a row that bring nothing new before a transfer is given up."""

PROGRESS: Final = 64 * 2**10
"""Bytes beyond what any try had reached that count as something new."""

FRESH_LINKS: Final = 2
"""Times a link that is refused, or about to expire, is asked for anew."""


class _FailedTryError(Exception):
    def __init__(self, problem: Problem) -> None:
        self.problem = problem


@dataclass(frozen=True)
class Fetched:
    """A file that was stored."""

    size: int
    """Bytes."""
    sha256: str
    """Of its bytes, in hexadecimal."""
    mime_type: str
    """A ``video/...`` type."""


class Transfer:
    """Brings one file into a sink.

    :param label: what the file is, for messages.
    :param fetch: asks the file host.
    :param link: where to begin.
    :param relink: asks the API for a fresh link to the same file.
    :param open_sink: begins to write, told the file's type.
    :param stored: bytes of the file that is already there under the name; ``None`` if none is, or if it may
        be another video.
    :param clock: clock and stop.
    """

    def __init__(
        self,
        label: str,
        *,
        fetch: Fetch,
        link: Link,
        relink: Callable[[], Link],
        open_sink: Callable[[str], Sink],
        stored: int | None,
        clock: StoppableClock,
    ) -> None:
        self._label = label
        self._fetch = fetch
        self._link = link
        self._relink = relink
        self._open_sink = open_sink
        self._stored = stored
        self._clock = clock
        self._have = Have()
        self._hash = hashlib.sha256()
        self._boxes = BoxWalk()
        self._sink: Sink | None = None
        self._mark = 0
        self._tries = 0
        self._fresh_links_left = FRESH_LINKS
        self._corrupt = False

    def run(self) -> Fetched | None:
        """Fetch and publish; return ``None`` if the file that is already there is to stay.

        :raises Veo3CorruptVideoError: what the host sends is not the video it announces.
        :raises Veo3StorageError: the host does not hand it out, or it cannot be written.
        """
        try:
            while True:
                try:
                    return self._try()
                except _FailedTryError as failed:
                    problem = failed.problem
                except Veo3NoAnswerError as error:
                    problem = Problem(Cure.AGAIN, str(error).rstrip("."))
                if not self._recover(problem):
                    return None
        finally:
            self._restart()  # half a file must not stay, whatever ended this; once published, none is left

    def _try(self) -> Fetched | None:
        if self._fresh_links_left and is_expiring(self._link.expires_at, self._clock.now()):
            self._take_fresh_link()
        if not self._link.url:
            raise _FailedTryError(Problem(Cure.FRESH_LINK, "the API's link to it may not be followed"))
        if not self._have.resumable:
            self._restart()
        before = self._have
        with self._fetch(self._link.url, offset=before.offset, if_match=before.etag) as answer:
            found = judge(answer.status, answer.headers, before, self._clock.now().timestamp())
            if isinstance(found, Problem):
                raise _FailedTryError(found)
            if found.total is not None and found.total == self._stored:
                return None
            if found.offset < before.offset:
                self._restart()
            self._have = found
            mime_type = clean_mime_type(media_type(answer.headers), self._link.mime_type)
            self._write(answer, mime_type)
        return self._finish(mime_type)

    def _write(self, answer: Answer, mime_type: str) -> None:
        chunks = answer.iter_bytes(CHUNK)
        if self._sink is None:
            head = _read_head(chunks, answer.headers)
            self._sink = self._open_sink(mime_type)
            self._append(head)
        total = self._have.total
        for chunk in chunks:
            self._append(chunk)
            self._clock.pause(0)
            if total is not None and self._have.offset > total:
                break

    def _append(self, data: bytes) -> None:
        assert self._sink is not None  # noqa: S101 - for the type checker
        self._sink.write(data)
        self._hash.update(data)
        self._boxes.feed(data)
        self._have = replace(self._have, offset=self._have.offset + len(data))

    def _finish(self, mime_type: str) -> Fetched:
        have = self._have
        if have.total is None:
            log.debug("%s: the host did not say how long it is; it ended cleanly", self._label)
        elif have.offset != have.total:
            short = have.offset < have.total
            text = f"it announced {have.total} bytes and sent {have.offset}"
            raise _FailedTryError(Problem(Cure.AGAIN if short else Cure.RESTART, text, corrupt=True))
        if complaint := self._boxes.complaint():
            raise _FailedTryError(Problem(Cure.RESTART, complaint, corrupt=True))
        assert self._sink is not None  # noqa: S101 - for the type checker
        self._sink.publish()
        self._sink = None
        return Fetched(have.offset, self._hash.hexdigest(), mime_type)

    def _restart(self) -> None:
        if self._sink is not None:
            self._sink.discard()
        self._sink, self._have, self._hash, self._boxes = None, Have(), hashlib.sha256(), BoxWalk()

    def _recover(self, problem: Problem) -> bool:
        """Make ready for another try; return whether there is to be one."""
        if self._have.offset >= self._mark + PROGRESS:
            self._mark, self._tries, self._corrupt = self._have.offset, 0, False
        self._tries += 1
        self._corrupt |= problem.corrupt
        if problem.cure is Cure.FRESH_LINK:
            if not self._fresh_links_left:
                return self._keep_stored(problem)
            self._take_fresh_link()
        if self._tries >= TRIES:
            raise self._error(problem)
        if problem.cure is Cure.RESTART:
            self._restart()
        relinked = problem.cure is Cure.FRESH_LINK
        seconds = 0.0 if relinked else pause_after(self._tries, problem.pause)
        log.warning("%s: %s; will %s in %.0f s", self._label, problem.text, problem.cure.value, seconds)
        self._clock.pause(seconds)
        return True

    def _take_fresh_link(self) -> None:
        self._fresh_links_left -= 1
        self._link = self._relink()

    def _keep_stored(self, problem: Problem) -> bool:
        """Settle for what is stored when the links are gone, so that an old task can be cleared and run."""
        if self._stored is None:
            raise self._error(problem)
        log.warning("%s: %s; the file stored before is kept unconfirmed", self._label, problem.text)
        return False

    def _error(self, problem: Problem) -> Veo3StorageError:
        kind = Veo3CorruptVideoError if self._corrupt else Veo3StorageError
        return kind(
            f"{self._label} could not be fetched: {self._tries} tries in a row brought nothing new, at last"
            f" because of the file host: {problem.text}. Nothing was stored. Its credits are spent, and its"
            " links live 24 hours from when it was finished: until then a retry of this task fetches it at no"
            " cost; later it is gone at the vendor, and must be generated and paid for again."
        )


def _read_head(chunks: Iterator[bytes], headers: Mapping[str, str]) -> bytes:
    """Read far enough to see that this is an MP4 file, before a byte of it is stored."""
    head = b""
    for chunk in chunks:
        head += chunk
        if len(head) >= ENOUGH:
            break
    kind = media_type(headers)
    if begins_as_mp4(head) and not is_page(kind):
        return head
    shown = redact_text(head[:200].decode("ascii", "backslashreplace"))
    text = f"it sent {kind or 'a body of no stated type'} that is no MP4 video and begins {shown!r}"
    raise _FailedTryError(Problem(Cure.FRESH_LINK, text if head else "it sent an empty file", corrupt=True))
