"""Transfers that break: a file becomes visible only when whole, and resumes where it broke."""

from __future__ import annotations

import hashlib
import logging

import pytest

from airflow_provider_veo3.exceptions import Veo3CorruptVideoError
from airflow_provider_veo3.storage.sink import CHUNK_SIZE
from airflow_provider_veo3.storage.transfer import MAX_ATTEMPTS
from tests.support.file_host import Response, mp4
from tests.support.store_rig import BIG, ONE, StoreRig


def test_a_stored_video_is_returned_and_logged(rig: StoreRig, caplog: pytest.LogCaptureFixture) -> None:
    rig.offer(BIG)
    with caplog.at_level(logging.INFO):
        (video,) = rig.store()
    sha256 = hashlib.sha256(BIG).hexdigest()
    uri = f"file://{rig.folder}/veo_1_0.mp4"
    assert video.as_json() == {
        "generation_id": "veo_1",
        "index": 0,
        "uri": uri,
        "size": len(BIG),
        "sha256": sha256,
        "mime_type": "video/mp4",
        "samples": 1,
        "samples_expected": None,
        "prompt": None,
        "map_index": None,
    }
    assert rig.visible == {"veo_1_0.mp4": BIG}
    assert rig.hidden == []
    (message,) = (r.getMessage() for r in caplog.records if "Stored" in r.getMessage())
    assert uri in message
    assert sha256[:12] in message
    assert "secret" not in caplog.text


def test_an_observer_never_sees_a_part_of_a_file(rig: StoreRig) -> None:
    rig.host.piece_size = CHUNK_SIZE // 16  # observe often
    rig.offer(BIG, Response(cut=2 * CHUNK_SIZE))
    seen: list[dict[str, bytes]] = []
    rig.host.on_sent = lambda sent: seen.append(rig.visible)
    rig.store()
    assert len(seen) > 40
    # the last observation may come after the file was published
    assert all(files == {} for files in seen[:-1])
    assert seen[-1] in ({}, {"veo_1_0.mp4": BIG})
    assert rig.visible == {"veo_1_0.mp4": BIG}


def test_a_broken_connection_is_resumed_where_it_broke(rig: StoreRig) -> None:
    rig.offer(BIG, Response(cut=CHUNK_SIZE + 7), Response(cut=CHUNK_SIZE))
    (video,) = rig.store()
    assert video.sha256 == hashlib.sha256(BIG).hexdigest()
    assert rig.visible == {"veo_1_0.mp4": BIG}
    first, *others = rig.host.ranges("one.mp4")
    assert first is None
    starts = [int(each.removeprefix("bytes=").rstrip("-")) for each in others if each]
    assert 0 < starts[0] <= CHUNK_SIZE + 7 < starts[1] <= 2 * CHUNK_SIZE + 7
    etag = f'"{hashlib.md5(BIG, usedforsecurity=False).hexdigest()}"'
    assert [each.headers.get("if-range") for each in rig.host.requests] == [None, etag, etag]
    assert rig.clock.pauses == [1, 1]  # both attempts made progress


def test_a_body_of_unannounced_length_is_accepted_when_its_boxes_end_with_it(rig: StoreRig) -> None:
    rig.offer(BIG, Response(headers={"Content-Length": None}))
    rig.store()
    assert rig.visible == {"veo_1_0.mp4": BIG}


@pytest.mark.parametrize("length", [None, str(CHUNK_SIZE)])
def test_half_a_file_that_is_sent_as_the_whole_is_not_published(rig: StoreRig, length: str | None) -> None:
    half = Response(headers={"Content-Length": length}, cut=CHUNK_SIZE)
    rig.offer(BIG, half)
    rig.store()
    assert rig.visible == {"veo_1_0.mp4": BIG}
    (rig.folder / "veo_1_0.mp4").unlink()
    rig.offer(BIG, *[half] * MAX_ATTEMPTS)
    with pytest.raises(Veo3CorruptVideoError, match=r"cut off.*'mdat'"):
        rig.store()
    assert rig.is_empty


def test_without_an_etag_the_announced_length_allows_to_resume(rig: StoreRig) -> None:
    bare = {"ETag": None}
    rig.offer(BIG, Response(headers=bare, cut=CHUNK_SIZE + 7), Response(headers=bare))
    rig.store()
    assert rig.host.ranges("one.mp4")[0] is None
    assert rig.host.ranges("one.mp4")[1] is not None
    assert rig.visible == {"veo_1_0.mp4": BIG}


def test_a_host_that_ignores_the_range_sends_the_whole_file_again(rig: StoreRig) -> None:
    rig.offer(BIG, Response(cut=2 * CHUNK_SIZE), Response(ignore_range=True))
    rig.store()
    assert len(rig.host.requests) == 2
    assert rig.visible == {"veo_1_0.mp4": BIG}


def test_a_file_that_changed_meanwhile_is_downloaded_from_its_first_byte(rig: StoreRig) -> None:
    rig.offer(BIG, Response(cut=2 * CHUNK_SIZE))
    other = mp4(len(BIG), seed=1)

    def change(sent: int) -> None:
        if sent == 2 * CHUNK_SIZE:
            rig.host.files["/one.mp4"] = other

    rig.host.on_sent = change
    rig.store()
    assert rig.visible == {"veo_1_0.mp4": other}


@pytest.mark.parametrize(
    "wrong",
    [
        Response(status=206, body=BIG[9:], headers={"Content-Range": f"bytes 9-{len(BIG) - 1}/{len(BIG)}"}),
        Response(status=206, body=BIG[9:], headers={"Content-Range": None}),
        Response(status=416),
    ],
)
def test_a_wrong_range_discards_what_was_written(rig: StoreRig, wrong: Response) -> None:
    rig.offer(BIG, Response(cut=2 * CHUNK_SIZE), wrong)
    rig.store()
    assert [each is None for each in rig.host.ranges("one.mp4")] == [True, False, True]
    assert rig.visible == {"veo_1_0.mp4": BIG}


def test_a_video_that_never_reaches_its_length_is_corrupt(rig: StoreRig) -> None:
    longer = Response(headers={"Content-Length": str(len(ONE) + 1)})
    rig.offer(ONE, longer, *[Response(status=416), longer] * MAX_ATTEMPTS)
    with pytest.raises(Veo3CorruptVideoError, match=r"veo_1 file 0.*Nothing was stored.*24 hours"):
        rig.store()
    assert rig.visible == {}
    assert rig.hidden == []


def test_a_body_longer_than_announced_is_never_published(rig: StoreRig) -> None:
    start = 2 * CHUNK_SIZE
    too_long = Response(
        status=206,
        body=BIG[start:] + b"more" * 10 * CHUNK_SIZE,
        headers={"Content-Range": f"bytes {start}-{len(BIG) - 1}/{len(BIG)}", "Content-Length": None},
    )
    rig.offer(BIG, Response(cut=start), too_long)
    sizes: list[int] = []
    rig.host.on_sent = lambda sent: sizes.extend(file.stat().st_size for file in rig.folder.glob(".*"))
    rig.store()
    assert max(sizes) <= len(BIG) + CHUNK_SIZE  # a body without an end must not fill the disk
    assert rig.host.ranges("one.mp4") == [None, f"bytes={start}-", None]
    assert rig.visible == {"veo_1_0.mp4": BIG}


def test_memory_stays_flat_whatever_the_size(rig: StoreRig) -> None:
    import tracemalloc

    def peak(size: int) -> int:
        rig.api.responses["veo_1"] = [[rig.host.add(f"{size}.mp4", mp4(size))]]
        tracemalloc.reset_peak()
        held = tracemalloc.get_traced_memory()[0]
        rig.store(filename=f"{{generation_id}}_{size}.mp4")
        return tracemalloc.get_traced_memory()[1] - held

    rig.host.piece_size = CHUNK_SIZE
    peak(CHUNK_SIZE)  # imports and caches of the first use do not count
    tracemalloc.start()
    try:
        small, large = peak(64 * CHUNK_SIZE), peak(256 * CHUNK_SIZE)
    finally:
        tracemalloc.stop()
    assert large < small + 2 * CHUNK_SIZE
    assert large < 32 * CHUNK_SIZE
