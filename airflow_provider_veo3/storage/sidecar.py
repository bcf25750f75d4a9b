"""Description beside a stored video: its origin, which travels with the file."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_veo3.parameters import OPTIONS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_veo3.storage.destination import Destination
    from airflow_provider_veo3.storage.listing import VideoLister
    from airflow_provider_veo3.storage.provenance import Provenance, StoredVideo
    from airflow_provider_veo3.storage.transfer import StoppableClock

_REPORTED: Final = ("type", "model", "prompt", "credits_used", "created_at", "completed_at")
"""Facts that the API reports of a generation too."""

_FROM_TASK: Final = (
    # the entry of a file has the number of videos, as ``samples_expected``
    *(name for name in OPTIONS if name not in {*_REPORTED, "sample_count"}),
    "accepted_at",
    "map_index",
)
"""Facts that only the generating task knows: the other options, and its own."""

_LARGEST: Final = 2**20
"""Bytes of the largest file that may be a description."""


def sidecar_name(name: str) -> str:
    """Return the name of the description of a file."""
    return f"{name}.json"


class Sidecar:
    """Writer of the description of each video, as JSON.

    It has what ``Veo3DownloadOperator`` returns of the file, and the generation's prompt, options, credits
    and times: from the manifest of the generating task where that is known, else from the API. What neither
    knows is ``null``. No link and no key.

    :param destination: folder of the videos.
    :param lister: requests a generation from the API, where its manifest is not enough.
    :param provenance: what is known of the generations.
    :param task: the storing task: ``dag_id``, ``run_id``, ``task_id`` and ``map_index``.
    :param clock: clock of ``stored_at``.
    """

    def __init__(
        self,
        destination: Destination,
        lister: VideoLister,
        provenance: Provenance,
        task: Mapping[str, Any],
        clock: StoppableClock,
    ) -> None:
        self._destination = destination
        self._lister = lister
        self._provenance = provenance
        self._task = dict(task)
        self._clock = clock

    def write(self, video: StoredVideo, name: str, *, is_new: bool) -> None:
        """Write the description of a stored video, visible only when whole.

        :param name: name of the video.
        :param is_new: whether the video was stored just now; else an existing description of it stays.
        :raises Veo3StorageError: it could not be written; the video is stored.
        """
        beside = sidecar_name(name)
        if not is_new and self._describes(beside, video):
            return
        sink = self._destination.open(beside, "application/json")
        try:
            text = json.dumps(self._describe(video), indent=2, ensure_ascii=False)
            sink.write(text.encode("utf-8", "backslashreplace"))  # a lone surrogate, as JSON escapes it
            sink.publish()
        except BaseException:
            sink.discard()
            raise

    def _describes(self, beside: str, video: StoredVideo) -> bool:
        """Return whether a file describes a video, not an earlier one of its name."""
        size = self._destination.size(beside)
        if size is None or size > _LARGEST:
            return False
        try:
            found = json.loads(b"".join(self._destination.read(beside)))
            return bool((found["generation_id"], found["sha256"]) == (video.generation_id, video.sha256))
        except (ValueError, TypeError, KeyError):
            return False

    def _describe(self, video: StoredVideo) -> dict[str, Any]:
        manifest = self._provenance.manifest(video.generation_id)
        if any(manifest.get(name) is None for name in _REPORTED):
            self._lister.request_generation(video.generation_id)
        return {
            "version": 1,
            **video.as_json(),
            **{name: self._provenance.fact(video.generation_id, name) for name in (*_REPORTED, *_FROM_TASK)},
            "stored_at": self._clock.now().isoformat(timespec="seconds"),
            "stored_by": self._task,
        }
