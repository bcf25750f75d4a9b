"""The command ``store``: videos of finished generations to object storage."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_veo3.api.connections import break_connections
from airflow_provider_veo3.api.models import Status
from airflow_provider_veo3.api.request import check_generation_id
from airflow_provider_veo3.cli.history import select_generations
from airflow_provider_veo3.cli.progress import Progress
from airflow_provider_veo3.exceptions import Veo3ValidationError, counted
from airflow_provider_veo3.storage.destination import Destination
from airflow_provider_veo3.storage.filename import FILENAME, name_file
from airflow_provider_veo3.storage.listing import VideoLister, generation_of, videos_of
from airflow_provider_veo3.storage.provenance import Provenance, StoredVideo
from airflow_provider_veo3.storage.store import ABOUT_ALL, VideoStore
from airflow_provider_veo3.storage.transfer import StoppableClock

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence

    from airflow_provider_veo3.cli.console import Console
    from airflow_provider_veo3.hooks.veo3 import Veo3Hook

WINDOW: Final = ("since", "until", "model", "limit")
"""Options that select generations where no ids are given."""


def run(arguments: argparse.Namespace, hook: Veo3Hook, console: Console) -> bool:
    """Store the videos, and print the stored files; return whether every generation is stored."""
    _check(arguments)
    destination = Destination(arguments.destination)
    ids = _generation_ids(arguments, hook)
    workers = min(arguments.max_concurrency, destination.max_concurrency or arguments.max_concurrency)
    clock = StoppableClock()
    with Progress(console, len(ids)) as progress:
        videos = _video_store(destination, arguments.filename, hook, progress, clock)
        outcome = _store_each(ids, videos.store, workers, clock, progress)
    _print(outcome, arguments.output, console)
    return not (outcome.failed or outcome.not_tried)


def _check(arguments: argparse.Namespace) -> None:
    """Refuse arguments that exclude each other.

    :raises Veo3ValidationError: they do.
    """
    has_window = any(getattr(arguments, name) is not None for name in WINDOW)
    if bool(arguments.ids) == has_window:
        given = "ids and a window" if has_window else "neither ids nor a window"
        raise Veo3ValidationError(
            f"The generations to store are given by {given}. Nothing was requested or spent. "
            f"Give either ids, or any of {', '.join(f'--{name}' for name in WINDOW)}."
        )
    has_own_names = name_file(arguments.filename, "a", 0) != name_file(arguments.filename, "b", 0)
    if not has_own_names and len(arguments.ids) != 1:
        raise Veo3ValidationError.of("filename", arguments.filename, FILENAME)


def _generation_ids(arguments: argparse.Namespace, hook: Veo3Hook) -> list[str]:
    """Return the given ids, or those of the completed generations in the window."""
    if arguments.ids:
        return list(dict.fromkeys(map(check_generation_id, arguments.ids)))
    return [each.id for each in select_generations(arguments, Status.COMPLETED, hook)]


def _video_store(
    destination: Destination, filename: str, hook: Veo3Hook, progress: Progress, clock: StoppableClock
) -> VideoStore:
    """Return the store of one generation after the other, for several threads."""
    get_videos = progress.get_videos(videos_of(hook, clock))
    return VideoStore(
        destination,
        filename=filename,
        lister=VideoLister(get_videos, Provenance({}, generation_of(hook, clock)), clock),
        open_file=progress.open_file(hook.open_file),
        max_concurrency=1,
        clock=clock,
    )


@dataclass
class _Outcome:
    """Stored and failed generations, in their order."""

    stored: dict[str, list[StoredVideo]] = field(default_factory=dict)
    failed: dict[str, BaseException] = field(default_factory=dict)
    not_tried: list[str] = field(default_factory=list)
    """Ids of generations that were left out after an error that would repeat."""

    @property
    def files(self) -> list[StoredVideo]:
        """Return every stored file."""
        return [video for videos in self.stored.values() for video in videos]

    def as_json(self) -> dict[str, Any]:
        """Return the outcome for other programs."""
        return {
            "stored": [video.as_json() for video in self.files],
            "failed": {generation_id: str(error) for generation_id, error in self.failed.items()},
            "not_tried": self.not_tried,
        }


def _store_each(
    ids: Sequence[str],
    store: Callable[[Sequence[str]], list[StoredVideo]],
    workers: int,
    clock: StoppableClock,
    progress: Progress,
) -> _Outcome:
    """Store the generations side by side; a failure does not keep the others from being stored."""
    refused = threading.Event()

    def attempt(generation_id: str) -> list[StoredVideo] | None:
        """Return the stored files, or ``None`` after an error that would repeat."""
        if refused.is_set():
            return None
        try:
            return store([generation_id])
        except ABOUT_ALL:
            refused.set()
            raise

    with ThreadPoolExecutor(workers, thread_name_prefix="veo3-cli") as pool:
        futures = {pool.submit(attempt, generation_id): generation_id for generation_id in ids}
        try:
            for future in as_completed(futures):
                error = future.exception()
                if error or future.result() is not None:
                    progress.finish(futures[future], error)
        except BaseException:  # such as Ctrl-C: stop the transfers, so that no half file stays
            clock.stop()
            pool.shutdown(wait=False, cancel_futures=True)
            break_connections()  # else a host that stalls is waited for
            raise
    outcome = _Outcome()
    for future, generation_id in futures.items():
        if error := future.exception():
            outcome.failed[generation_id] = error
        elif (stored := future.result()) is None:
            outcome.not_tried.append(generation_id)
        else:
            outcome.stored[generation_id] = stored
    return outcome


def _print(outcome: _Outcome, output: str, console: Console) -> None:
    if output == "json":
        console.json(outcome.as_json())
    elif outcome.files:
        columns = ("id", "index", "bytes", "uri")
        console.table(
            columns, [(each.generation_id, each.index, each.size, each.uri) for each in outcome.files]
        )
    for generation_id, error in outcome.failed.items():
        console.note(f"{generation_id}: {error}")
    summary = f"Stored {counted(len(outcome.files), 'file')} of {counted(len(outcome.stored), 'generation')}"
    if outcome.failed or outcome.not_tried:
        not_tried = (
            f", {counted(len(outcome.not_tried), 'generation')} not tried" if outcome.not_tried else ""
        )
        summary += (
            f"; {counted(len(outcome.failed), 'generation')} failed{not_tried}. No credits were spent. "
            "Run the command again to store only what is missing"
        )
    console.note(f"{summary}.")
