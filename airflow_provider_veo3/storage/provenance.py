"""Origin of stored videos: what the generating task published, and what the API reports."""

from __future__ import annotations

import logging
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_veo3.api.json_values import read_time
from airflow_provider_veo3.api.models import Status
from airflow_provider_veo3.exceptions import Veo3Error, Veo3GenerationNotFoundError, shown_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from airflow_provider_veo3.api.models import Generation

log = logging.getLogger(__name__)

PROMPT_LENGTH: Final = 1000
"""Characters of a prompt that go into XComs and asset events."""

RECENT: Final = timedelta(minutes=10)
"""Time after its completion in which a generation's files may not be there yet."""


@dataclass(frozen=True)
class StoredVideo:
    """Video that is stored whole in object storage."""

    generation_id: str
    """Generation that the video belongs to."""
    index: int
    """Place among the files of the generation, from 0."""
    uri: str
    """URI for ``ObjectStoragePath``."""
    size: int
    """Bytes."""
    sha256: str
    """SHA-256 of the bytes, in hexadecimal."""
    mime_type: str
    """Media type ``video/...``."""
    samples: int | None = None
    """Number of files that the API lists of the generation."""
    samples_expected: int | None = None
    """Number of files that were requested; ``None`` if unknown."""
    prompt: str | None = None
    """Prompt, cut to 1,000 characters; ``None`` if unknown."""
    map_index: int | None = None
    """Map index of the generating task, -1 if it was not mapped; ``None`` if unknown."""

    def as_json(self) -> dict[str, Any]:
        """Return the video as XCom carries it."""
        return asdict(self)


class Provenance:
    """Known facts of generations.

    :param manifests: manifests by generation id, as the tasks of this run published them.
    :param get_generation: requests a generation from the API; called once for each at most.
    """

    def __init__(
        self, manifests: Mapping[str, Mapping[str, Any]], get_generation: Callable[[str], Generation]
    ) -> None:
        self._manifests = manifests
        self._get_generation = get_generation
        self._requested: dict[str, Generation | None] = {}
        self._is_refused = False

    def manifest(self, generation_id: str) -> Mapping[str, Any]:
        """Return the manifest that the generating task published; empty if it is not of this run."""
        return self._manifests.get(generation_id, {})

    def request(self, generation_id: str) -> Generation | None:
        """Return the generation as the API reports it; ``None`` if the API does not.

        The files matter more: an error is only logged, and ends the requests for all others that would meet
        it too.
        """
        if generation_id not in self._requested and not self._is_refused:
            self._requested[generation_id] = None
            try:
                self._requested[generation_id] = self._get_generation(generation_id)
            except Veo3Error as error:
                log.warning(
                    "Model, credits and times of %s are not known: %s", shown_text(generation_id), error
                )
                self._is_refused = not isinstance(error, Veo3GenerationNotFoundError)
        return self._requested.get(generation_id)

    def fact(self, generation_id: str, name: str) -> Any:
        """Return a field of the manifest, else of the API's report, if that was requested."""
        value = self.manifest(generation_id).get(name)
        generation = self._requested.get(generation_id)
        if value is not None or generation is None:
            return value
        return generation.prompt if name == "prompt" else generation.manifest().get(name)

    def described(self, video: StoredVideo) -> StoredVideo:
        """Return a stored video with the prompt and the map index of its generation."""
        prompt, map_index = (self.fact(video.generation_id, name) for name in ("prompt", "map_index"))
        return replace(
            video,
            prompt=prompt[:PROMPT_LENGTH] if isinstance(prompt, str) else None,
            map_index=map_index if isinstance(map_index, int) else None,
        )

    def samples_expected(self, generation_id: str) -> int | None:
        """Return the number of videos that the generating task requested."""
        samples = self.manifest(generation_id).get("samples_expected")
        return samples if isinstance(samples, int) else None

    def has_just_finished(self, generation_id: str, now: datetime) -> bool:
        """Return whether the generation was completed so recently that its files may lag behind.

        Where the manifest has no time of completion, the API's response decides: a failed one gets no files.
        """
        accepted, completed = (
            read_time(self.manifest(generation_id).get(name)) for name in ("accepted_at", "completed_at")
        )
        accepted_recently = accepted is not None and now - accepted < RECENT
        if completed is None:
            generation = self.request(generation_id)
            if generation is not None and generation.status is Status.FAILED:
                return False
            if generation is None or generation.status is not Status.COMPLETED:
                return accepted_recently
            completed = generation.completed_at
        return accepted_recently or completed is None or now - completed < RECENT
