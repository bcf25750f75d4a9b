"""A file is shown whole or not at all, and taken up where a connection broke."""

from __future__ import annotations

import hashlib
import logging

import pytest

from airflow_provider_veo3.exceptions import Veo3CorruptVideoError
from airflow_provider_veo3.storage.destination import CHUNK
from airflow_provider_veo3.storage.transfer import TRIES
from tests.support.file_host import Reply, mp4
from tests.support.place import BIG, ONE, Place


def test_a_video_is_stored_and_told(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    place.offer(BIG)
    with caplog.at_level(logging.INFO):
        (video,) = place.store()
    sha256 = hashlib.sha256(BIG).hexdigest()
    uri = f"file://{place.folder}/veo_1_0.mp4"
    assert video.as_json() == {
        "generation_id": "veo_1",
        "index": 0,
        "uri": uri,
        "size": len(BIG),
        "sha256": sha256,
        "mime_type": "video/mp4",
    }
    assert place.visible == {"veo_1_0.mp4": BIG}
    assert place.hidden == []
    (line,) = (r.getMessage() for r in caplog.records if "Stored" in r.getMessage())
    assert uri in line
    assert sha256[:12] in line
    assert "secret" not in caplog.text


def test_an_observer_never_sees_a_part_of_a_file(place: Place) -> None:
    place.host.piece = CHUNK // 16  # look often
    place.offer(BIG, Reply(cut=2 * CHUNK))
    seen: list[dict[str, bytes]] = []
    place.host.watch = lambda sent: seen.append(place.visible)
    place.store()
    assert len(seen) > 40
    # the last look may come after the last byte was taken, and the file published
    assert all(files == {} for files in seen[:-1])
    assert seen[-1] in ({}, {"veo_1_0.mp4": BIG})
    assert place.visible == {"veo_1_0.mp4": BIG}


def test_a_broken_connection_is_resumed_where_it_broke(place: Place) -> None:
    place.offer(BIG, Reply(cut=CHUNK + 7), Reply(cut=CHUNK))
    (video,) = place.store()
    assert video.sha256 == hashlib.sha256(BIG).hexdigest()
    assert place.visible == {"veo_1_0.mp4": BIG}
    first, *others = place.host.ranges("one.mp4")
    assert first is None
    starts = [int(each.removeprefix("bytes=").rstrip("-")) for each in others if each]
    assert 0 < starts[0] <= CHUNK + 7 < starts[1] <= 2 * CHUNK + 7
    etag = f'"{hashlib.md5(BIG, usedforsecurity=False).hexdigest()}"'
    assert [each.headers.get("if-range") for each in place.host.asked] == [None, etag, etag]
    assert place.clock.pauses == [1, 1]  # both tries brought something new


def test_a_body_of_unannounced_length_is_accepted_when_its_boxes_end_with_it(place: Place) -> None:
    place.offer(BIG, Reply(headers={"Content-Length": None}))
    place.store()
    assert place.visible == {"veo_1_0.mp4": BIG}


@pytest.mark.parametrize("length", [None, str(CHUNK)])
def test_half_a_file_that_is_sent_as_a_whole_one_is_not_published(place: Place, length: str | None) -> None:
    half = Reply(headers={"Content-Length": length}, cut=CHUNK)
    place.offer(BIG, half)
    place.store()
    assert place.visible == {"veo_1_0.mp4": BIG}
    (place.folder / "veo_1_0.mp4").unlink()
    place.offer(BIG, *[half] * TRIES)
    with pytest.raises(Veo3CorruptVideoError, match=r"cut off.*'mdat'"):
        place.store()
    assert place.is_empty


def test_without_an_etag_the_announced_length_allows_to_resume(place: Place) -> None:
    bare = {"ETag": None}
    place.offer(BIG, Reply(headers=bare, cut=CHUNK + 7), Reply(headers=bare))
    place.store()
    assert place.host.ranges("one.mp4")[0] is None
    assert place.host.ranges("one.mp4")[1] is not None
    assert place.visible == {"veo_1_0.mp4": BIG}


def test_a_host_that_ignores_the_range_sends_it_all_once_more(place: Place) -> None:
    place.offer(BIG, Reply(cut=2 * CHUNK), Reply(ignore_range=True))
    place.store()
    assert len(place.host.asked) == 2
    assert place.visible == {"veo_1_0.mp4": BIG}


def test_a_file_that_changed_meanwhile_is_taken_from_its_beginning(place: Place) -> None:
    place.offer(BIG, Reply(cut=2 * CHUNK))
    other = mp4(len(BIG), seed=1)

    def change(sent: int) -> None:
        if sent == 2 * CHUNK:
            place.host.files["/one.mp4"] = other

    place.host.watch = change
    place.store()
    assert place.visible == {"veo_1_0.mp4": other}


@pytest.mark.parametrize(
    "wrong",
    [
        Reply(status=206, body=BIG[9:], headers={"Content-Range": f"bytes 9-{len(BIG) - 1}/{len(BIG)}"}),
        Reply(status=206, body=BIG[9:], headers={"Content-Range": None}),
        Reply(status=416),
    ],
)
def test_a_wrong_part_is_thrown_away_with_what_it_was_to_continue(place: Place, wrong: Reply) -> None:
    place.offer(BIG, Reply(cut=2 * CHUNK), wrong)
    place.store()
    assert [each is None for each in place.host.ranges("one.mp4")] == [True, False, True]
    assert place.visible == {"veo_1_0.mp4": BIG}


def test_a_length_that_is_never_reached_is_a_corrupt_video(place: Place) -> None:
    longer = Reply(headers={"Content-Length": str(len(ONE) + 1)})
    place.offer(ONE, longer, *[Reply(status=416), longer] * TRIES)
    with pytest.raises(Veo3CorruptVideoError, match=r"veo_1 file 0.*Nothing was stored.*24 hours"):
        place.store()
    assert place.visible == {}
    assert place.hidden == []


def test_a_part_that_runs_beyond_the_end_is_never_published(place: Place) -> None:
    start = 2 * CHUNK
    spill = Reply(
        status=206,
        body=BIG[start:] + b"more" * 10 * CHUNK,
        headers={"Content-Range": f"bytes {start}-{len(BIG) - 1}/{len(BIG)}", "Content-Length": None},
    )
    place.offer(BIG, Reply(cut=start), spill)
    sizes: list[int] = []
    place.host.watch = lambda sent: sizes.extend(file.stat().st_size for file in place.folder.glob(".*"))
    place.store()
    assert max(sizes) <= len(BIG) + CHUNK  # a body without an end must not fill the disk
    assert place.host.ranges("one.mp4") == [None, f"bytes={start}-", None]
    assert place.visible == {"veo_1_0.mp4": BIG}


def test_memory_stays_flat_whatever_the_size(place: Place) -> None:
    import tracemalloc

    def peak(size: int) -> int:
        place.api.answers["veo_1"] = [[place.host.add(f"{size}.mp4", mp4(size))]]
        tracemalloc.reset_peak()
        held = tracemalloc.get_traced_memory()[0]
        place.store(filename=f"{{generation_id}}_{size}.mp4")
        return tracemalloc.get_traced_memory()[1] - held

    place.host.piece = CHUNK
    peak(CHUNK)  # what is imported and cached at first use is no part of it
    tracemalloc.start()
    try:
        small, large = peak(4 * CHUNK), peak(64 * CHUNK)
    finally:
        tracemalloc.stop()
    assert large < small + 2 * CHUNK
    assert large < 8 * CHUNK
