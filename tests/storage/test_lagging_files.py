"""Lists and links that lag behind the completion, and an API that is away: waited for within one try."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_veo3.api.models import Status
from airflow_provider_veo3.exceptions import (
    Veo3ApiError,
    Veo3CorruptVideoError,
    Veo3GenerationNotFoundError,
    Veo3NoAnswerError,
    Veo3NoVideosError,
    Veo3ServerError,
    Veo3StorageError,
    Veo3UnreadableAnswerError,
    Veo3VideoNotReadyError,
)
from airflow_provider_veo3.storage.response import PATIENCE
from airflow_provider_veo3.storage.transfer import MAX_FRESH_LINKS
from tests.support.file_host import Response, mp4
from tests.support.store_rig import NOW, ONE, StoreRig

if TYPE_CHECKING:
    from collections.abc import Callable

JUST_NOW = NOW - timedelta(seconds=5)
TWO = mp4(len(ONE), seed=2)
LAGGING = [
    Veo3NoVideosError("no file of veo_1"),
    Veo3VideoNotReadyError("veo_1 is not ready"),
    Veo3GenerationNotFoundError("veo_1 is unknown"),
]
AWAY = [
    Veo3NoAnswerError("no response about veo_1"),
    Veo3ServerError("503 about veo_1"),
    Veo3UnreadableAnswerError("a web page about veo_1"),
]


def no_file(rig: StoreRig, times: int) -> None:
    """The link answers 404."""
    rig.offer(ONE, *[Response(status=404)] * times)


def a_page(rig: StoreRig, times: int) -> None:
    """The link leads to a page that says to wait."""
    page = Response(headers={"Content-Type": "text/html"}, body=b"<p>soon</p>")
    rig.offer(ONE, *[page] * times)


def an_empty_file(rig: StoreRig, times: int) -> None:
    rig.offer(ONE, *[Response(body=b"")] * times)


def no_list(rig: StoreRig, times: int) -> None:
    link = rig.host.add("one.mp4", ONE)
    rig.api.responses["veo_1"] = [*[LAGGING[0]] * times, [link]]


def half_a_list(rig: StoreRig, times: int) -> None:
    """The API lists one of two, and counts them."""
    links = [rig.host.add("one.mp4", ONE), rig.host.add("two.mp4", TWO)]
    rig.api.responses["veo_1"] = [*[links[:1]] * times, links]
    rig.api.totals["veo_1"] = 2


def half_a_count(rig: StoreRig, times: int) -> None:
    """The API lists one of two, and does not know better."""
    half_a_list(rig, times)
    del rig.api.totals["veo_1"]
    rig.manifests["veo_1"] = {"samples_expected": 2}


LAGS = [no_file, a_page, an_empty_file, no_list, half_a_list, half_a_count]


@pytest.mark.parametrize("lag", LAGS, ids=lambda lag: lag.__name__)
def test_files_that_lag_behind_the_completion_are_waited_for(
    rig: StoreRig, lag: Callable[[StoreRig, int], None]
) -> None:
    rig.api.finished = JUST_NOW
    lag(rig, 6)
    videos = rig.store()
    bodies = [rig.visible[f"veo_1_{video.index}.mp4"] for video in videos]
    assert bodies == [ONE, TWO][: len(videos)]
    assert len(videos) == (2 if lag in (half_a_list, half_a_count) else 1)
    assert 0 < sum(rig.clock.pauses) < PATIENCE
    assert max(rig.clock.pauses) <= 15


@pytest.mark.parametrize("lag", LAGS, ids=lambda lag: lag.__name__)
@pytest.mark.parametrize("finished", [JUST_NOW, NOW - timedelta(minutes=11)], ids=["just now", "long ago"])
def test_the_wait_ends_after_two_minutes_and_begins_only_after_a_recent_completion(
    rig: StoreRig, lag: Callable[[StoreRig, int], None], finished: Any
) -> None:
    rig.api.finished = finished
    lag(rig, 1000)
    if lag in (half_a_list, half_a_count):
        (video,) = rig.store()
        assert (video.samples, video.samples_expected) == (1, 2)
    else:
        with pytest.raises((Veo3StorageError, Veo3NoVideosError)):
            rig.store()
        assert rig.is_empty
    assert sum(rig.clock.pauses) == (PATIENCE if finished == JUST_NOW else 0)
    assert len(rig.api.status_requests) == 1


@pytest.mark.parametrize("error", LAGGING, ids=lambda error: type(error).__name__)
def test_each_error_of_a_lagging_list_is_waited_out(rig: StoreRig, error: Veo3ApiError) -> None:
    rig.api.finished = JUST_NOW
    rig.api.responses["veo_1"] = [error, error, [rig.host.add("one.mp4", ONE)]]
    rig.store()
    assert rig.visible == {"veo_1_0.mp4": ONE}


@pytest.mark.parametrize("error", AWAY, ids=lambda error: type(error).__name__)
def test_an_api_that_is_away_is_waited_for_whenever_the_generation_finished(
    rig: StoreRig, error: Veo3ApiError
) -> None:
    rig.api.responses["veo_1"] = [*[error] * 5, [rig.host.add("one.mp4", ONE)]]
    rig.store()
    assert rig.visible == {"veo_1_0.mp4": ONE}
    rig.api.responses["veo_1"] = [error]
    with pytest.raises(type(error)):
        rig.store()


def test_an_api_that_stays_away_is_waited_for_once_not_for_each_generation(rig: StoreRig) -> None:
    rig.api.responses = {f"veo_{number}": [AWAY[1]] for number in range(20)}
    with pytest.raises(Veo3StorageError, match="20 errors"):
        rig.store(*rig.api.responses)
    assert sum(rig.clock.pauses) == PATIENCE


def test_lagging_generations_share_the_two_minutes(rig: StoreRig) -> None:
    rig.api.finished = JUST_NOW
    rig.api.responses = {f"veo_{number}": [LAGGING[0]] for number in range(20)}
    with pytest.raises(Veo3StorageError, match="20 errors"):
        rig.store(*rig.api.responses)
    assert sum(rig.clock.pauses) == PATIENCE


@pytest.mark.parametrize(
    ("manifest", "waits"),
    [
        ({"completed_at": JUST_NOW.isoformat()}, True),
        ({"completed_at": (NOW - timedelta(hours=2)).isoformat()}, False),
        ({"completed_at": (NOW - timedelta(hours=2)).isoformat(), "accepted_at": JUST_NOW.isoformat()}, True),
        ({"completed_at": JUST_NOW.replace(tzinfo=None).isoformat()}, True),
    ],
)
def test_the_manifest_tells_when_a_generation_finished(
    rig: StoreRig, manifest: dict[str, Any], waits: bool
) -> None:
    rig.manifests["veo_1"] = manifest
    rig.offer(ONE, *[Response(status=404)] * 99)
    with pytest.raises(Veo3StorageError):
        rig.store()
    assert rig.clock.pauses == [] or waits
    assert rig.api.status_requests == []
    assert (sum(rig.clock.pauses) == PATIENCE) is waits


@pytest.mark.parametrize(
    ("status", "waits"), [(Status.FAILED, False), (Status.PROCESSING, True), (Status.COMPLETED, True)]
)
def test_no_file_of_a_failed_generation_is_waited_for(rig: StoreRig, status: Status, waits: bool) -> None:
    """A task that only submits publishes when its generation was accepted, not how it ended."""
    rig.manifests["veo_1"] = {"status": "pending", "accepted_at": JUST_NOW.isoformat()}
    rig.api.status, rig.api.finished = status, JUST_NOW
    rig.api.responses["veo_1"] = [LAGGING[0]]
    with pytest.raises(Veo3NoVideosError):
        rig.store()
    assert sum(rig.clock.pauses) == (PATIENCE if waits else 0)
    assert rig.api.status_requests == ["veo_1"]


@pytest.mark.parametrize(
    "manifest", [{"completed_at": "yesterday"}, {"completed_at": 7, "accepted_at": None}]
)
def test_a_manifest_that_cannot_be_read_leaves_the_question_to_the_api(
    rig: StoreRig, manifest: dict[str, Any]
) -> None:
    rig.manifests["veo_1"] = manifest
    rig.offer(ONE, *[Response(status=404)] * 99)
    with pytest.raises(Veo3StorageError):
        rig.store()
    assert rig.api.status_requests == ["veo_1"]
    assert rig.clock.pauses == []


def test_a_completion_without_a_time_counts_as_recent(rig: StoreRig) -> None:
    rig.api.finished = None
    no_file(rig, 6)
    rig.store()
    assert rig.visible == {"veo_1_0.mp4": ONE}


def test_an_existing_file_is_not_waited_for(rig: StoreRig) -> None:
    rig.offer(ONE)
    first = rig.store()
    rig.api.finished = JUST_NOW
    no_file(rig, 99)
    assert rig.store() == first
    assert rig.clock.pauses == []


def test_a_refused_link_of_an_old_generation_is_renewed_at_once_and_no_more(rig: StoreRig) -> None:
    no_file(rig, 99)
    with pytest.raises(Veo3StorageError) as caught:
        rig.store()
    assert not isinstance(caught.value, Veo3CorruptVideoError)
    assert len(rig.host.requests) == 1 + MAX_FRESH_LINKS
    assert rig.clock.pauses == []
