"""Descriptions beside stored videos."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_veo3.exceptions import Veo3StorageError, Veo3ValidationError
from airflow_provider_veo3.storage.destination import Destination
from airflow_provider_veo3.storage.listing import VideoLister
from airflow_provider_veo3.storage.provenance import Provenance, StoredVideo
from airflow_provider_veo3.storage.sidecar import Sidecar
from tests.support.file_host import Response, mp4
from tests.support.store_rig import NOW, ONE, StoreRig

if TYPE_CHECKING:
    from tests.support.object_store import Bucket

TWO = mp4(200_000, seed=2)

MANIFEST = {
    "version": 1,
    "id": "veo_1",
    "type": "text-to-video",
    "model": "veo-3.1-fast-generate-001",
    "prompt": "Ein Gezeitentümpel",
    "negative_prompt": None,
    "duration_seconds": 8,
    "aspect_ratio": "16:9",
    "generate_audio": True,
    "enhance_prompt": False,
    "person_generation": "allow_adult",
    "extra_options": {"style": "film"},
    "seed": 7,
    "samples_expected": 1,
    "credits_used": 190,
    "credits_remaining": 810,
    "status": "completed",
    "accepted_at": "2026-01-02T03:00:00+00:00",
    "created_at": "2026-01-02T03:00:01+00:00",
    "completed_at": "2026-01-02T03:01:01+00:00",
    "map_index": 3,
}


def described(rig: StoreRig, name: str = "veo_1_0.mp4") -> Any:
    return json.loads((rig.folder / f"{name}.json").read_text())


def test_a_description_has_the_file_its_generation_and_the_task(rig: StoreRig) -> None:
    rig.offer(ONE)
    rig.manifests["veo_1"] = MANIFEST
    (video,) = rig.store(sidecar=True)
    kept = {
        name: value for name, value in MANIFEST.items() if name not in ("id", "credits_remaining", "status")
    }
    assert described(rig) == {
        **video.as_json(),
        **kept,
        "version": 1,
        "stored_at": NOW.isoformat(),
        "stored_by": {"dag_id": "d", "run_id": "r", "task_id": "t", "map_index": -1},
    }
    assert rig.api.status_requests == []
    assert rig.hidden == []
    text = (rig.folder / "veo_1_0.mp4.json").read_text()
    assert "Signature" not in text
    assert rig.host.url not in text


def test_what_no_manifest_tells_is_requested_from_the_api(rig: StoreRig) -> None:
    rig.api.responses["veo_1"] = [[rig.host.add("one.mp4", ONE), rig.host.add("two.mp4", ONE)]]
    rig.store(sidecar=True)
    found = described(rig, "veo_1_1.mp4")
    assert (found["prompt"], found["credits_used"], found["seed"]) == ("A tide pool", 190, None)
    assert rig.api.status_requests == ["veo_1"]


def test_without_being_asked_for_there_is_none(rig: StoreRig) -> None:
    rig.offer(ONE)
    rig.store()
    assert list(rig.visible) == ["veo_1_0.mp4"]
    assert rig.api.status_requests == []


def test_a_description_comes_after_its_video_and_only_whole(rig: StoreRig) -> None:
    rig.offer(ONE)
    seen: list[list[str]] = []
    original = rig.api.get_generation

    def observe(generation_id: str) -> Any:
        seen.append(sorted(rig.visible))
        return original(generation_id)

    rig.api.get_generation = observe  # type: ignore[method-assign]
    rig.store(sidecar=True)
    assert seen == [["veo_1_0.mp4"]]


def test_a_retry_adds_a_missing_description_and_keeps_an_existing_one(rig: StoreRig) -> None:
    rig.offer(ONE)
    rig.store()
    rig.store(sidecar=True)
    first = (rig.folder / "veo_1_0.mp4.json").stat()
    rig.store(sidecar=True)
    assert (rig.folder / "veo_1_0.mp4.json").stat() == first


@pytest.mark.parametrize(
    "other",
    [
        b'{"generation_id": "veo_1", "sha256": "another"}',
        b'{"generation_id": "veo_2", "sha256": "%s"}' % hashlib.sha256(ONE).hexdigest().encode(),
        b"{}",
        b"[]",
        b"cut of{",
        b"\xff",
        b" " * 2**20 + b" ",
    ],
)
def test_a_description_of_another_video_is_replaced(rig: StoreRig, other: bytes) -> None:
    rig.offer(ONE)
    rig.store(filename="latest.mp4")
    (rig.folder / "latest.mp4.json").write_bytes(other)
    (video,) = rig.store(filename="latest.mp4", sidecar=True)
    found = described(rig, "latest.mp4")
    assert (found["generation_id"], found["sha256"]) == ("veo_1", video.sha256)


def test_a_replaced_video_gets_a_new_description(rig: StoreRig) -> None:
    rig.offer(ONE)
    rig.store(filename="latest.mp4", sidecar=True)
    rig.api.responses["veo_2"] = [[rig.host.add("two.mp4", TWO)]]
    (video,) = rig.store("veo_2", filename="latest.mp4", sidecar=True, overwrite=True)
    assert rig.visible["latest.mp4"] == TWO
    found = described(rig, "latest.mp4")
    assert (found["generation_id"], found["sha256"]) == ("veo_2", video.sha256)


def test_a_video_in_the_way_keeps_its_description(rig: StoreRig) -> None:
    rig.offer(ONE)
    rig.store(filename="latest.mp4", sidecar=True)
    before = rig.visible
    rig.api.responses["veo_2"] = [[rig.host.add("two.mp4", TWO)]]
    with pytest.raises(Veo3ValidationError):
        rig.store("veo_2", filename="latest.mp4", sidecar=True)
    assert rig.visible == before


def test_there_is_no_description_of_a_video_that_was_not_stored(rig: StoreRig) -> None:
    rig.offer(ONE, *[Response(status=403)] * 9)
    with pytest.raises(Veo3StorageError):
        rig.store(sidecar=True)
    assert rig.is_empty


def test_a_name_too_long_for_its_description_is_refused_before_anything_is_requested(rig: StoreRig) -> None:
    rig.offer(ONE)
    with pytest.raises(Veo3ValidationError, match=r"^filename=.*too long"):
        rig.store(filename="x" * 251, sidecar=True)
    assert rig.api.requests == []
    rig.store(filename="x" * 251)


def test_an_object_store_has_it_as_one_object_of_its_media_type(rig: StoreRig, bucket: Bucket) -> None:
    destination = Destination("s3://my_s3@bucket/prefix/")
    provenance = Provenance({"veo_1": MANIFEST}, rig.api.get_generation)
    lister = VideoLister(rig.api.get_videos, provenance, rig.clock)
    video = StoredVideo("veo_1", 0, destination.uri("a.mp4"), 7, "hash", "video/mp4")
    Sidecar(destination, lister, provenance, {}, rig.clock).write(video, "a.mp4", is_new=True)
    ((path, (body, options)),) = bucket.objects.items()
    assert path.lstrip("/") == "bucket/prefix/a.mp4.json"
    assert json.loads(body)["uri"] == "s3://my_s3@bucket/prefix/a.mp4"
    assert "application/json" in options.values()


def test_a_description_that_cannot_be_written_is_retried(rig: StoreRig) -> None:
    rig.offer(ONE)
    (rig.folder / "veo_1_0.mp4.json").mkdir()
    with pytest.raises(Veo3StorageError, match=r"veo_1_0\.mp4\.json could not be written"):
        rig.store(sidecar=True)
    assert (rig.folder / "veo_1_0.mp4").read_bytes() == ONE
    assert rig.hidden == []
    (rig.folder / "veo_1_0.mp4.json").rmdir()
    rig.store(sidecar=True)
    assert described(rig)["sha256"] == rig.store()[0].sha256


def test_a_prompt_in_an_unusual_script_survives(rig: StoreRig) -> None:
    rig.offer(ONE)
    rig.manifests["veo_1"] = {**MANIFEST, "prompt": "日本 🎬 \u2028"}
    rig.store(sidecar=True)
    assert described(rig)["prompt"] == "日本 🎬 \u2028"
    assert "日本 🎬" in (rig.folder / "veo_1_0.mp4.json").read_text()
