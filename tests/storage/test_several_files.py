"""Several files and generations: fetched together, and one that fails costs no other."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_veo3.exceptions import (
    Veo3ApiError,
    Veo3AuthenticationError,
    Veo3Error,
    Veo3GenerationNotFoundError,
    Veo3RateLimitError,
    Veo3StorageError,
    Veo3ValidationError,
    Veo3VideoNotReadyError,
)
from airflow_provider_veo3.storage.destination import CHUNK
from airflow_provider_veo3.storage.transfer import FRESH_LINKS
from tests.support.file_host import Reply, mp4
from tests.support.place import BIG, ONE, Place

if TYPE_CHECKING:
    from airflow_provider_veo3.storage.store import StoredVideo


def test_several_files_of_several_generations_are_fetched_together(place: Place) -> None:
    together = threading.Barrier(4, timeout=60)
    place.host.piece = 10**6

    def meet(sent: int) -> None:
        together.wait()

    place.host.watch = meet
    bodies: dict[str, bytes] = {}
    for each in ("veo_a", "veo_b"):
        for index in (0, 1):
            bodies[f"{each}_{index}.mp4"] = mp4(10_000 + len(bodies), seed=len(bodies))
        place.api.answers[each] = [
            [place.host.add(f"{each}_{index}.mp4", bodies[f"{each}_{index}.mp4"]) for index in (0, 1)]
        ]
    videos = place.store("veo_a", "veo_b")
    expected = [("veo_a", 0), ("veo_a", 1), ("veo_b", 0), ("veo_b", 1)]
    assert [(video.generation_id, video.index) for video in videos] == expected
    assert place.visible == bodies


@pytest.mark.parametrize("concurrency", [1, 2])
def test_no_more_are_fetched_at_once_than_allowed(place: Place, concurrency: int) -> None:
    links = [place.host.add(f"{index}.mp4", mp4(200_000, index)) for index in range(6)]
    place.api.answers["veo_1"] = [links]
    assert len(place.store(concurrency=concurrency)) == 6
    assert len(place.clock.threads - {threading.current_thread()}) <= concurrency


@pytest.mark.parametrize("value", [0, 17, True, 2.0, "4", None])
def test_a_concurrency_out_of_bounds_is_refused(place: Place, value: Any) -> None:
    with pytest.raises(Veo3ValidationError, match=r"max_concurrency=.*from 1 to 16"):
        place.store(concurrency=value)


def test_names_that_would_meet_are_refused_before_a_file_is_fetched(place: Place) -> None:
    with pytest.raises(Veo3ValidationError, match=r"filename='same\.mp4'"):
        place.store("veo_a", "veo_b", filename="same.mp4")
    assert place.api.asked == []
    place.api.answers["veo_1"] = [[place.host.add("a", ONE), place.host.add("b", ONE)]]
    with pytest.raises(Veo3ValidationError, match=r"two files got 'veo_1\.mp4'"):
        place.store(filename="{generation_id}.mp4")
    assert place.host.asked == []


def test_one_failure_costs_no_other_video_and_the_error_tells_all(place: Place) -> None:
    place.api.answers = {
        "veo_a": [[place.host.add("a0", ONE), place.host.add("a1", ONE, *[Reply(status=403)] * 9)]],
        "veo_b": [Veo3VideoNotReadyError("veo_b has not finished")],
        "veo_c": [[place.host.add("c0", ONE)]],
    }
    with pytest.raises(Veo3StorageError) as caught:
        place.store("veo_a", "veo_b", "veo_c")
    assert sorted(place.visible) == ["veo_a_0.mp4", "veo_c_0.mp4"]
    message = str(caught.value)
    for told in ("veo_a file 1", "403", "veo_b has not finished", "veo_a_0.mp4", "veo_c_0.mp4"):
        assert told in message
    place.api.answers["veo_a"] = [[place.host.link("a0"), place.host.add("a1", ONE)]]
    place.api.answers["veo_b"] = [[place.host.add("b0", ONE)]]
    place.host.watch = lambda sent: None
    videos = place.store("veo_a", "veo_b", "veo_c")
    assert [video.index for video in videos] == [0, 1, 0, 0]


def test_a_link_that_may_not_be_followed_costs_no_other_video(place: Place) -> None:
    links = ["", place.host.add("1.mp4", ONE)]
    place.api.answers["veo_1"] = [links]
    with pytest.raises(Veo3StorageError, match=r"veo_1 file 0.*may not be followed"):
        place.store()
    assert place.visible == {"veo_1_1.mp4": ONE}
    assert place.api.asked == ["veo_1"] * (1 + FRESH_LINKS)
    place.api.answers["veo_1"] = [links, [place.host.add("0.mp4", BIG), links[1]]]
    assert [video.index for video in place.store()] == [0, 1]
    assert place.visible == {"veo_1_0.mp4": BIG, "veo_1_1.mp4": ONE}


def test_the_only_failure_is_raised_as_it_is(place: Place) -> None:
    error = Veo3GenerationNotFoundError("no such generation")
    place.api.answers["veo_1"] = [error]
    with pytest.raises(Veo3GenerationNotFoundError) as caught:
        place.store()
    assert caught.value is error


def test_failures_that_no_retry_mends_fail_the_task_at_once(place: Place) -> None:
    for each in ("veo_a", "veo_b"):
        place.api.answers[each] = [Veo3GenerationNotFoundError(f"no {each}")]
    with pytest.raises(Veo3GenerationNotFoundError, match=r"a retry would fail alike.*no veo_a.*no veo_b"):
        place.store("veo_a", "veo_b")


@pytest.mark.parametrize("error", [Veo3AuthenticationError("refused"), Veo3RateLimitError("refused")])
def test_what_the_api_refuses_for_all_is_not_tried_for_every_generation(
    place: Place, error: Veo3ApiError
) -> None:
    place.api.answers = {name: [error] for name in ("veo_a", "veo_b", "veo_c")}
    with pytest.raises(type(error)):
        place.store("veo_a", "veo_b")
    assert place.api.asked == ["veo_a"]
    place.api.answers["veo_a"] = [[place.host.add("a0", ONE)]]
    with pytest.raises(Veo3Error, match=r"while 1 files were stored.*veo_b and 1 behind it: refused"):
        place.store("veo_a", "veo_b", "veo_c")
    assert list(place.visible) == ["veo_a_0.mp4"]
    assert "veo_c" not in place.api.asked


def test_two_tasks_storing_the_same_video_both_succeed(place: Place) -> None:
    place.offer(BIG)
    both = threading.Barrier(2, timeout=60)

    def meet(sent: int) -> None:
        if sent == CHUNK:
            both.wait()

    place.host.watch = meet
    results: list[list[StoredVideo]] = []
    threads = [threading.Thread(target=lambda: results.append(place.store())) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(300)
    assert len(results) == 2
    assert results[0] == results[1]
    assert place.visible == {"veo_1_0.mp4": BIG}
    assert place.hidden == []
