"""Progress of downloads: bars on a terminal, elsewhere a line for each generation."""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Final, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType
    from typing import Self

    from airflow_provider_veo3.api.transport import FileResponse
    from airflow_provider_veo3.cli.console import Console
    from airflow_provider_veo3.storage.listing import GetVideos
    from airflow_provider_veo3.storage.transfer import OpenFile

_PARTIAL_CONTENT: Final = 206


class Progress:
    """Progress of the downloads of several generations.

    :param console: output of the command.
    :param total: number of generations.
    """

    def __init__(self, console: Console, total: int) -> None:
        self._console = console
        self._total = total
        self._done = 0
        self._bars = _Bars(console, total) if console.notes.isatty() else None

    def __enter__(self) -> Self:
        """Show the bars."""
        if self._bars:
            self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove the bars."""
        if self._bars:
            self._bars.stop()

    def get_videos(self, request: GetVideos) -> GetVideos:
        """Return the same request for links, which also learns the names of files."""
        return self._bars.get_videos(request) if self._bars else request

    def open_file(self, request: OpenFile) -> OpenFile:
        """Return the same request for a file, whose bytes are counted."""
        return self._bars.open_file(request) if self._bars else request

    def finish(self, generation_id: str, error: BaseException | None) -> None:
        """Count a generation that is stored or has failed."""
        self._done += 1
        if self._bars:
            self._bars.finish()
        else:
            end = "failed" if error else "stored"
            self._console.note(f"{self._done} of {self._total}: {generation_id} {end}")


class _Bars:
    """Bar of all generations, and of each file while it is downloaded, for all threads."""

    def __init__(self, console: Console, total: int) -> None:
        from rich import progress
        from rich.console import Console as RichConsole
        from rich.console import Group
        from rich.live import Live

        label, bar = progress.TextColumn("{task.description}", markup=False), progress.BarColumn()
        self._all = progress.Progress(label, bar, progress.MofNCompleteColumn(), progress.TimeElapsedColumn())
        self._files = progress.Progress(label, bar, progress.DownloadColumn(), progress.TransferSpeedColumn())
        self._generations = self._all.add_task("generations", total=total)
        self._labels: dict[str, str] = {}
        self._clean = console.clean
        shown = Group(self._files, self._all)
        self._live = Live(shown, console=RichConsole(file=console.notes), transient=True)
        self.start, self.stop = self._live.start, self._live.stop

    def finish(self) -> None:
        """Count a generation."""
        self._all.advance(self._generations)

    def get_videos(self, request: GetVideos) -> GetVideos:
        """Return the same request, which also learns the names of files."""

        def requested(generation_id: str) -> Any:
            videos = request(generation_id)
            for index, video in enumerate(videos):
                self._labels[video.url] = self._clean(f"{generation_id} file {index}")
            return videos

        return requested

    def open_file(self, request: OpenFile) -> OpenFile:
        """Return the same request, whose file has a bar until it is closed."""

        @contextmanager
        def opened(url: str, **options: Any) -> Iterator[FileResponse]:
            with request(url, **options) as response:
                begin = options.get("offset", 0) if response.status == _PARTIAL_CONTENT else 0
                length = response.headers.get("content-length", "")
                total = begin + int(length) if length.isdecimal() else None
                bar = self._files.add_task(self._labels.get(url, "file"), total=total, completed=begin)
                try:
                    yield cast("FileResponse", _CountedResponse(response, partial(self._files.advance, bar)))
                finally:
                    self._files.remove_task(bar)

        return opened


class _CountedResponse:
    """Response of a file host that reports how many bytes are read of it."""

    def __init__(self, response: FileResponse, count: Callable[[int], None]) -> None:
        self._response = response
        self._count = count

    def __getattr__(self, name: str) -> Any:
        return getattr(self._response, name)

    def iter_bytes(self, chunk_size: int) -> Iterator[bytes]:
        """Yield the body."""
        for chunk in self._response.iter_bytes(chunk_size):
            self._count(len(chunk))
            yield chunk
