"""Generations with fewer videos than were asked and charged for."""

from __future__ import annotations

import logging

import pytest

from airflow_provider_veo3.exceptions import Veo3MissingVideosError, Veo3StorageError
from tests.support.file_host import Response
from tests.support.store_rig import ONE, StoreRig


@pytest.fixture
def rig(rig: StoreRig) -> StoreRig:
    """``veo_1`` was asked for two videos, long ago, and has one."""
    rig.offer(ONE)
    rig.manifests["veo_1"] = {"samples_expected": 2, "completed_at": "2025-01-01T00:00:00+00:00"}
    return rig


def test_a_missing_video_is_a_warning(rig: StoreRig, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        (video,) = rig.store()
    assert (video.samples, video.samples_expected) == (1, 2)
    (warning,) = [record.getMessage() for record in caplog.records]
    for part in (
        "Generation veo_1 has 1 of the 2 videos",
        "all were charged",
        video.uri,
        "require_all_samples",
    ):
        assert part in warning


def test_where_all_are_required_the_task_stores_what_is_there_and_fails(rig: StoreRig) -> None:
    with pytest.raises(Veo3MissingVideosError) as caught:
        rig.store(require_all_samples=True)
    assert rig.visible == {"veo_1_0.mp4": ONE}
    for part in ("veo_1 has 1 of the 2 videos", "all were charged", "veo_1_0.mp4", "costs no credits"):
        assert part in str(caught.value)


def test_a_retry_finds_the_missing_video_and_downloads_nothing_twice(rig: StoreRig) -> None:
    with pytest.raises(Veo3MissingVideosError):
        rig.store(require_all_samples=True)
    rig.api.responses["veo_1"] = [[rig.host.link("one.mp4"), rig.host.add("two.mp4", ONE)]]
    before = (rig.folder / "veo_1_0.mp4").stat().st_ino
    first, second = rig.store(require_all_samples=True)
    assert (first.samples, second.samples) == (2, 2)
    assert (rig.folder / "veo_1_0.mp4").stat().st_ino == before


def test_other_generations_are_stored_and_named(rig: StoreRig) -> None:
    rig.api.responses["veo_2"] = [[rig.host.add("other.mp4", ONE)]]
    with pytest.raises(Veo3MissingVideosError, match=r"veo_2_0\.mp4.*Failed: veo_1: Generation veo_1 has 1"):
        rig.store("veo_1", "veo_2", require_all_samples=True)
    assert sorted(rig.visible) == ["veo_1_0.mp4", "veo_2_0.mp4"]


def test_another_failure_comes_first(rig: StoreRig) -> None:
    rig.api.responses["veo_2"] = [[rig.host.add("other.mp4", ONE, *[Response(status=403)] * 9)]]
    with pytest.raises(
        Veo3StorageError, match=r"(?s)stored: 2 errors, 1 stored file;.*veo_2 file 0.*veo_1 has 1"
    ) as caught:
        rig.store("veo_1", "veo_2", require_all_samples=True)
    assert not isinstance(caught.value, Veo3MissingVideosError)


@pytest.mark.parametrize("total", [None, 1])
def test_as_many_as_asked_for_are_enough(
    rig: StoreRig, total: int | None, caplog: pytest.LogCaptureFixture
) -> None:
    rig.manifests["veo_1"]["samples_expected"] = 1
    if total is not None:
        rig.api.totals["veo_1"] = total
    (video,) = rig.store(require_all_samples=True)
    assert (video.samples, video.samples_expected) == (1, 1)
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


def test_without_a_manifest_the_count_of_the_api_tells(rig: StoreRig) -> None:
    rig.manifests.clear()
    rig.api.totals["veo_1"] = 2
    with pytest.raises(Veo3MissingVideosError, match="veo_1 has 1 of the 2 videos"):
        rig.store(require_all_samples=True)
