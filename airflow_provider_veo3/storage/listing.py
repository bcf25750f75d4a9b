"""Lists of a generation's files, requested with patience: the API may be away, or lag behind a completion."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from airflow_provider_veo3.api import flows
from airflow_provider_veo3.api.models import Generation, VideoList
from airflow_provider_veo3.api.retries import Retries
from airflow_provider_veo3.exceptions import (
    Veo3ApiError,
    Veo3GenerationNotFoundError,
    Veo3NoAnswerError,
    Veo3NoVideosError,
    Veo3RateLimitError,
    Veo3ServerError,
    Veo3UnreadableAnswerError,
    Veo3VideoNotReadyError,
    counted,
    shown_text,
)
from airflow_provider_veo3.storage.response import LAG_PAUSE, PATIENCE, backoff_seconds

if TYPE_CHECKING:
    from datetime import datetime

    from airflow_provider_veo3.api.protocol import ApiRequest
    from airflow_provider_veo3.hooks.veo3 import Veo3Hook
    from airflow_provider_veo3.storage.provenance import Provenance
    from airflow_provider_veo3.storage.transfer import StoppableClock

log = logging.getLogger(__name__)

GetVideos = Callable[[str], VideoList]
"""Request to the API for the files of a generation."""

GetGeneration = Callable[[str], Generation]
"""Request to the API for the status of a generation."""

_AWAY: Final = (Veo3NoAnswerError, Veo3ServerError, Veo3UnreadableAnswerError)
"""Errors of an API that does not work at the moment, whatever is requested."""

_LAGGING: Final = (Veo3NoVideosError, Veo3VideoNotReadyError, Veo3GenerationNotFoundError)
"""Errors of an API whose list of files lags behind the completion."""


@dataclass(frozen=True)
class LimitRetries(Retries):
    """Retries after a 429 alone; ``VideoLister`` itself decides on every other error."""

    def pause_after(self, request: ApiRequest, error: Veo3ApiError, attempt: int) -> float | None:
        """Return the seconds until the next try of a request; ``None`` to give up."""
        if not isinstance(error, Veo3RateLimitError):
            return None
        return super().pause_after(request, error, attempt)


def videos_of(hook: Veo3Hook, clock: StoppableClock) -> GetVideos:
    """Return the request for files that ``VideoLister`` repeats; the clock can stop it."""
    return lambda generation_id: hook.get_conn().run(
        flows.get_videos(generation_id, hook.settings.base_url, LimitRetries()), pause=clock.pause
    )


def generation_of(hook: Veo3Hook, clock: StoppableClock) -> GetGeneration:
    """Return the request for a generation of ``Provenance``; the clock can stop it."""
    return lambda generation_id: hook.get_conn().run(
        flows.get_generation(generation_id, hook.settings.base_url, Retries()), pause=clock.pause
    )


class VideoLister:
    """Patient requests for the files of generations, for all threads of a task.

    :param get_videos: requests the files of a generation from the API.
    :param provenance: what is known of the generations.
    :param clock: clock and stop signal.
    """

    def __init__(self, get_videos: GetVideos, provenance: Provenance, clock: StoppableClock) -> None:
        self._get_videos = get_videos
        self._provenance = provenance
        self._clock = clock
        self._lock = threading.Lock()  # a hook need not be made for threads
        self._begin = clock.now()
        self._away_since: datetime | None = None

    def request(self, generation_id: str) -> VideoList:
        """Return the files, as soon as the API lists as many as were requested.

        :return: fewer, if there are no more after ``PATIENCE``, or the generation finished long ago.
        :raises Veo3ApiError: the API does not list them.
        """
        pauses = 0
        while True:
            self._clock.pause(0)
            videos, error = VideoList(), None
            try:
                with self._lock:
                    videos = self._get_videos(generation_id)
            except Veo3ApiError as caught:
                self._clock.pause(0)  # a stop may be the cause of the error
                error = caught
            left = self._patience_left(generation_id, videos, error)
            if left <= 0:
                if error is not None:
                    raise error
                return videos
            pauses += 1
            seconds = min(left, LAG_PAUSE, backoff_seconds(pauses, None))
            reason = error or (
                f"The API lists {counted(len(videos), 'video')} of {shown_text(generation_id)} so far."
            )
            log.warning("%s Requesting them again in %.0f s.", reason, seconds)
            self._clock.pause(seconds)

    def expected(self, generation_id: str, videos: VideoList) -> int | None:
        """Return the number of files that the generation should have; ``None`` if unknown."""
        asked = self._provenance.samples_expected(generation_id)
        return max((number for number in (asked, videos.total) if number is not None), default=None)

    def lag_left(self, generation_id: str) -> float:
        """Return the seconds for which the files may still lag behind the completion; 0 or less for none.

        All generations of a task share them, since each was completed before the task began.
        """
        now = self._clock.now()
        left = PATIENCE - (now - self._begin).total_seconds()
        if left <= 0:
            return 0.0
        with self._lock:
            return left if self._provenance.has_just_finished(generation_id, now) else 0.0

    def request_generation(self, generation_id: str) -> Generation | None:
        """Return the generation as the API reports it; ``None`` if the API does not."""
        with self._lock:
            return self._provenance.request(generation_id)

    def _patience_left(self, generation_id: str, videos: VideoList, error: Veo3ApiError | None) -> float:
        if isinstance(error, _AWAY):
            now = self._clock.now()
            self._away_since = self._away_since or now
            return PATIENCE - (now - self._away_since).total_seconds()
        self._away_since = None
        if error is None and len(videos) >= (self.expected(generation_id, videos) or 0):
            return 0.0
        return self.lag_left(generation_id) if error is None or isinstance(error, _LAGGING) else 0.0
