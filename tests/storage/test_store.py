"""Several files and generations: stored at the same time, and failing independently."""

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
from airflow_provider_veo3.storage.sink import CHUNK_SIZE
from airflow_provider_veo3.storage.transfer import MAX_FRESH_LINKS
from tests.support.file_host import Response, mp4
from tests.support.store_rig import BIG, ONE, StoreRig

if TYPE_CHECKING:
    from airflow_provider_veo3.storage.provenance import StoredVideo


def test_files_of_several_generations_are_downloaded_at_the_same_time(rig: StoreRig) -> None:
    together = threading.Barrier(4, timeout=60)
    rig.host.piece_size = 10**6

    def meet(sent: int) -> None:
        together.wait()

    rig.host.on_sent = meet
    bodies: dict[str, bytes] = {}
    for each in ("veo_a", "veo_b"):
        for index in (0, 1):
            bodies[f"{each}_{index}.mp4"] = mp4(10_000 + len(bodies), seed=len(bodies))
        rig.api.responses[each] = [
            [rig.host.add(f"{each}_{index}.mp4", bodies[f"{each}_{index}.mp4"]) for index in (0, 1)]
        ]
    videos = rig.store("veo_a", "veo_b")
    expected = [("veo_a", 0), ("veo_a", 1), ("veo_b", 0), ("veo_b", 1)]
    assert [(video.generation_id, video.index) for video in videos] == expected
    assert rig.visible == bodies


@pytest.mark.parametrize("concurrency", [1, 2])
def test_no_more_files_are_downloaded_at_once_than_allowed(rig: StoreRig, concurrency: int) -> None:
    links = [rig.host.add(f"{index}.mp4", mp4(200_000, index)) for index in range(6)]
    rig.api.responses["veo_1"] = [links]
    assert len(rig.store(concurrency=concurrency)) == 6
    assert len(rig.clock.threads - {threading.current_thread()}) <= concurrency


@pytest.mark.parametrize("value", [0, 17, True, 2.5, "four", None])
def test_a_concurrency_out_of_bounds_is_refused(rig: StoreRig, value: Any) -> None:
    with pytest.raises(Veo3ValidationError, match=r"max_concurrency=.*from 1 to 16"):
        rig.store(concurrency=value)


def test_equal_names_are_refused_before_a_file_is_downloaded(rig: StoreRig) -> None:
    with pytest.raises(Veo3ValidationError, match=r"filename='same\.mp4'"):
        rig.store("veo_a", "veo_b", filename="same.mp4")
    assert rig.api.requests == []
    rig.api.responses["veo_1"] = [[rig.host.add("a", ONE), rig.host.add("b", ONE)]]
    with pytest.raises(Veo3ValidationError, match=r"two files got 'veo_1\.mp4'"):
        rig.store(filename="{generation_id}.mp4")
    assert rig.host.requests == []


def test_a_failure_costs_no_other_video_and_the_error_names_them_all(rig: StoreRig) -> None:
    rig.api.responses = {
        "veo_a": [[rig.host.add("a0", ONE), rig.host.add("a1", ONE, *[Response(status=403)] * 9)]],
        "veo_b": [Veo3VideoNotReadyError("veo_b has not finished")],
        "veo_c": [[rig.host.add("c0", ONE)]],
    }
    with pytest.raises(Veo3StorageError) as caught:
        rig.store("veo_a", "veo_b", "veo_c")
    assert sorted(rig.visible) == ["veo_a_0.mp4", "veo_c_0.mp4"]
    message = str(caught.value)
    for part in ("veo_a file 1", "403", "veo_b has not finished", "veo_a_0.mp4", "veo_c_0.mp4"):
        assert part in message
    rig.api.responses["veo_a"] = [[rig.host.link("a0"), rig.host.add("a1", ONE)]]
    rig.api.responses["veo_b"] = [[rig.host.add("b0", ONE)]]
    rig.host.on_sent = lambda sent: None
    videos = rig.store("veo_a", "veo_b", "veo_c")
    assert [video.index for video in videos] == [0, 1, 0, 0]


def test_a_link_that_may_not_be_followed_costs_no_other_video(rig: StoreRig) -> None:
    links = ["", rig.host.add("1.mp4", ONE)]
    rig.api.responses["veo_1"] = [links]
    with pytest.raises(Veo3StorageError, match=r"veo_1 file 0.*may not be followed"):
        rig.store()
    assert rig.visible == {"veo_1_1.mp4": ONE}
    assert rig.api.requests == ["veo_1"] * (1 + MAX_FRESH_LINKS)
    rig.api.responses["veo_1"] = [links, [rig.host.add("0.mp4", BIG), links[1]]]
    assert [video.index for video in rig.store()] == [0, 1]
    assert rig.visible == {"veo_1_0.mp4": BIG, "veo_1_1.mp4": ONE}


def test_a_single_failure_is_raised_unchanged(rig: StoreRig) -> None:
    error = Veo3GenerationNotFoundError("no such generation")
    rig.api.responses["veo_1"] = [error]
    with pytest.raises(Veo3GenerationNotFoundError) as caught:
        rig.store()
    assert caught.value is error


def test_permanent_failures_fail_the_task_at_once(rig: StoreRig) -> None:
    for each in ("veo_a", "veo_b"):
        rig.api.responses[each] = [Veo3GenerationNotFoundError(f"no {each}")]
    with pytest.raises(
        Veo3GenerationNotFoundError, match=r"a retry would fail for the same reasons.*no veo_a.*no veo_b"
    ):
        rig.store("veo_a", "veo_b")


@pytest.mark.parametrize("error", [Veo3AuthenticationError("refused"), Veo3RateLimitError("refused")])
def test_an_error_that_concerns_every_generation_ends_the_requests(
    rig: StoreRig, error: Veo3ApiError
) -> None:
    rig.api.responses = {name: [error] for name in ("veo_a", "veo_b", "veo_c")}
    with pytest.raises(type(error)):
        rig.store("veo_a", "veo_b")
    assert rig.api.requests == ["veo_a"]
    rig.api.responses["veo_a"] = [[rig.host.add("a0", ONE)]]
    with pytest.raises(Veo3Error, match=r"1 error, 1 stored file;.*veo_b and 1 after it: refused"):
        rig.store("veo_a", "veo_b", "veo_c")
    assert list(rig.visible) == ["veo_a_0.mp4"]
    assert "veo_c" not in rig.api.requests


def test_two_tasks_storing_the_same_video_both_succeed(rig: StoreRig) -> None:
    rig.offer(BIG)
    both = threading.Barrier(2, timeout=60)

    def meet(sent: int) -> None:
        if sent == CHUNK_SIZE:
            both.wait()

    rig.host.on_sent = meet
    results: list[list[StoredVideo]] = []
    threads = [threading.Thread(target=lambda: results.append(rig.store())) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(300)
    assert len(results) == 2
    assert results[0] == results[1]
    assert rig.visible == {"veo_1_0.mp4": BIG}
    assert rig.hidden == []
