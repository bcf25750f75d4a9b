"""File hosts that send something else, refuse a link, or are busy."""

from __future__ import annotations

import gzip
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from airflow_provider_veo3.exceptions import (
    Veo3CorruptVideoError,
    Veo3GenerationNotFoundError,
    Veo3StorageError,
)
from airflow_provider_veo3.storage.response import PATIENCE
from airflow_provider_veo3.storage.sink import CHUNK_SIZE
from airflow_provider_veo3.storage.transfer import MAX_ATTEMPTS, MAX_FRESH_LINKS
from tests.support.file_host import Response
from tests.support.store_rig import BIG, NOW, ONE, StoreRig

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("headers", "body", "shown"),
    [
        ({"Content-Type": "text/plain"}, ONE[4:], "text/plain that is no MP4 video and starts"),
        ({"Content-Type": "text/html"}, b"<h1>It works</h1>", "<h1>It works</h1>"),
        ({}, b"<html>Sign in at http://h/x?token=secret", "<html>Sign in at http://h/x"),
        ({"Content-Type": None}, b"\x00\x00\x00\x18moov" + b"\x00" * 40, "moov"),
        ({"Content-Encoding": "gzip"}, b"\x1f\x8b\x08" + b"\x00" * 40, "not the gzip its headers announce"),
        ({"Content-Encoding": "gzip"}, gzip.compress(b"<h1>It works</h1>", mtime=0), "<h1>It works</h1>"),
        ({"Content-Encoding": "br"}, b"\x8b" * 40, "Content-Encoding 'br', which cannot be decoded here"),
        ({}, b"", "empty"),
    ],
)
def test_a_body_that_is_no_video_is_refused_and_quoted(
    rig: StoreRig, headers: dict[str, str | None], body: bytes, shown: str
) -> None:
    rig.offer(ONE, *[Response(headers=headers, body=body)] * 9)
    written: list[Path] = []
    rig.host.on_sent = lambda sent: written.extend(rig.folder.iterdir())
    with pytest.raises(Veo3CorruptVideoError) as caught:
        rig.store()
    assert shown in str(caught.value)
    assert "secret" not in str(caught.value)
    assert written == []
    assert rig.is_empty
    assert len(rig.api.requests) == 1 + MAX_FRESH_LINKS  # an old link may lead to such a page


def test_a_refused_link_is_renewed_and_the_file_resumed(rig: StoreRig) -> None:
    first = rig.host.add("old.mp4", BIG, Response(cut=2 * CHUNK_SIZE), Response(status=403))
    rig.api.responses["veo_1"] = [[first], [rig.host.add("new.mp4", BIG)]]
    rig.store()
    assert rig.api.requests == ["veo_1", "veo_1"]
    assert rig.host.ranges("new.mp4") == [f"bytes={2 * CHUNK_SIZE}-"]
    assert rig.visible == {"veo_1_0.mp4": BIG}


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410])
def test_links_that_stay_refused_fail_with_the_next_step(rig: StoreRig, status: int) -> None:
    rig.offer(ONE, *[Response(status=status)] * 9)
    with pytest.raises(
        Veo3StorageError, match=rf"veo_1 file 0.*\({status}\).*credits are spent.*24 hours.*paid"
    ) as caught:
        rig.store()
    assert not isinstance(caught.value, Veo3CorruptVideoError)
    assert len(rig.host.requests) == 1 + MAX_FRESH_LINKS
    assert "secret" not in str(caught.value)


def test_a_link_about_to_expire_is_replaced_before_it_is_used(rig: StoreRig) -> None:
    rig.api.responses["veo_1"] = [[rig.host.add("old.mp4", ONE)], [rig.host.add("new.mp4", ONE)]]
    rig.api.expiry_times = [NOW + timedelta(seconds=30), NOW + timedelta(hours=24)]
    rig.store()
    assert [each.path.partition("?")[0] for each in rig.host.requests] == ["/new.mp4"]


def test_a_link_that_the_api_always_calls_expired_is_used_all_the_same(rig: StoreRig) -> None:
    rig.offer(ONE)
    rig.api.expiry_times = [NOW - timedelta(hours=1)] * 9
    rig.store()
    assert rig.visible == {"veo_1_0.mp4": ONE}


def test_a_fresh_list_of_links_may_have_lost_the_file(rig: StoreRig) -> None:
    links = [rig.host.add("a", ONE), rig.host.add("b", ONE, Response(status=403))]
    rig.api.responses["veo_1"] = [links, links[:1]]
    with pytest.raises(Veo3StorageError, match=r"veo_1 file 1.*lists 1 files"):
        rig.store()
    assert sorted(rig.visible) == ["veo_1_0.mp4"]


def test_an_api_error_while_a_link_is_renewed_is_raised(rig: StoreRig) -> None:
    link = rig.host.add("a", ONE, Response(status=403))
    rig.api.responses["veo_1"] = [[link], Veo3GenerationNotFoundError("gone")]
    with pytest.raises(Veo3GenerationNotFoundError):
        rig.store()


def test_a_busy_host_is_retried_after_the_pause_it_asks_for(rig: StoreRig) -> None:
    busy = [Response(status=503), Response(status=429, headers={"Retry-After": "7"}), Response(status=500)]
    rig.offer(ONE, *busy)
    rig.store()
    assert rig.clock.pauses == [1, 7, 4]
    assert rig.visible == {"veo_1_0.mp4": ONE}


def test_a_host_that_stays_busy_fails_the_transfer(rig: StoreRig) -> None:
    rig.offer(ONE, *[Response(status=503)] * 99)
    with pytest.raises(Veo3StorageError, match=r"503.*Retry this task"):
        rig.store()
    assert rig.clock.pauses == [1, 2, 4, 8, 16, 32, 57]
    assert sum(rig.clock.pauses) == PATIENCE


def test_a_host_that_is_away_for_two_minutes_costs_no_try(rig: StoreRig) -> None:
    rig.offer(ONE, *[Response(status=502)] * 7)
    rig.store()
    assert rig.visible == {"veo_1_0.mp4": ONE}
    assert sum(rig.clock.pauses) == PATIENCE


def test_a_host_that_answers_with_wrong_bytes_is_not_waited_for_as_long(rig: StoreRig) -> None:
    rig.offer(BIG, *[Response(cut=CHUNK_SIZE, headers={"Content-Length": str(CHUNK_SIZE)})] * 99)
    with pytest.raises(Veo3CorruptVideoError, match="cut off"):
        rig.store()
    assert len(rig.host.requests) == MAX_ATTEMPTS
    assert rig.clock.pauses == [1, 2, 4, 8]


@pytest.mark.parametrize("content_type", ["text/plain", "application/xml", "text/html", "image/png", None])
def test_the_bytes_decide_not_the_media_type(rig: StoreRig, content_type: str | None) -> None:
    rig.offer(ONE, Response(headers={"Content-Type": content_type}))
    (video,) = rig.store()
    assert rig.visible == {"veo_1_0.mp4": ONE}
    assert video.mime_type == "video/mp4"


def test_the_key_is_never_sent_to_the_file_host(rig: StoreRig) -> None:
    rig.offer(BIG, Response(cut=CHUNK_SIZE), Response(status=403))
    rig.store()
    for request in rig.host.requests:
        assert "authorization" not in request.headers
        assert "veo3_" not in str(request.headers)
