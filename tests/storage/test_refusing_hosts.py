"""A file host that hands out something else, refuses a link, or is busy."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from airflow_provider_veo3.exceptions import (
    Veo3CorruptVideoError,
    Veo3GenerationNotFoundError,
    Veo3StorageError,
)
from airflow_provider_veo3.storage.destination import CHUNK
from airflow_provider_veo3.storage.transfer import FRESH_LINKS, TRIES
from tests.support.file_host import Reply
from tests.support.place import BIG, NOW, ONE, Place

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("headers", "body", "shown"),
    [
        ({"Content-Type": "text/html"}, ONE, "text/html that is no MP4 video and begins"),
        ({"Content-Type": "text/html"}, b"<h1>It works</h1>", "<h1>It works</h1>"),
        ({}, b"<html>Sign in at http://h/x?token=secret", "<html>Sign in at http://h/x"),
        ({"Content-Type": None}, b"\x00\x00\x00\x18moov" + b"\x00" * 40, "moov"),
        ({"Content-Encoding": "gzip"}, b"\x1f\x8b\x08" + b"\x00" * 40, "x1f"),
        ({}, b"", "empty"),
    ],
)
def test_what_is_no_video_is_refused_and_shown(
    place: Place, headers: dict[str, str | None], body: bytes, shown: str
) -> None:
    place.offer(ONE, *[Reply(headers=headers, body=body)] * 9)
    opened: list[Path] = []
    place.host.watch = lambda sent: opened.extend(place.folder.iterdir())
    with pytest.raises(Veo3CorruptVideoError) as caught:
        place.store()
    assert shown in str(caught.value)
    assert "secret" not in str(caught.value)
    assert opened == []  # not a byte of it was written anywhere
    assert place.is_empty
    assert len(place.api.asked) == 1 + FRESH_LINKS  # such a page may be what an old link leads to


def test_a_refused_link_is_asked_for_anew_and_the_file_continued(place: Place) -> None:
    first = place.host.add("old.mp4", BIG, Reply(cut=2 * CHUNK), Reply(status=403))
    place.api.answers["veo_1"] = [[first], [place.host.add("new.mp4", BIG)]]
    place.store()
    assert place.api.asked == ["veo_1", "veo_1"]
    assert place.host.ranges("new.mp4") == [f"bytes={2 * CHUNK}-"]
    assert place.visible == {"veo_1_0.mp4": BIG}


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410])
def test_links_that_stay_refused_end_it_with_what_is_left_to_do(place: Place, status: int) -> None:
    place.offer(ONE, *[Reply(status=status)] * 9)
    with pytest.raises(Veo3StorageError, match=rf"veo_1 file 0.*\({status}\).*24 hours.*paid") as caught:
        place.store()
    assert not isinstance(caught.value, Veo3CorruptVideoError)
    assert len(place.host.asked) == 1 + FRESH_LINKS
    assert "secret" not in str(caught.value)


def test_a_link_about_to_expire_is_replaced_before_it_is_used(place: Place) -> None:
    place.api.answers["veo_1"] = [[place.host.add("old.mp4", ONE)], [place.host.add("new.mp4", ONE)]]
    place.api.expires = [NOW + timedelta(seconds=30), NOW + timedelta(hours=24)]
    place.store()
    assert [each.path.partition("?")[0] for each in place.host.asked] == ["/new.mp4"]


def test_a_link_that_is_always_called_expired_is_tried_nevertheless(place: Place) -> None:
    place.offer(ONE)
    place.api.expires = [NOW - timedelta(hours=1)] * 9
    place.store()
    assert place.visible == {"veo_1_0.mp4": ONE}


def test_a_fresh_list_of_links_may_have_lost_the_file(place: Place) -> None:
    links = [place.host.add("a", ONE), place.host.add("b", ONE, Reply(status=403))]
    place.api.answers["veo_1"] = [links, links[:1]]
    with pytest.raises(Veo3StorageError, match=r"veo_1 file 1.*lists 1 files"):
        place.store()
    assert sorted(place.visible) == ["veo_1_0.mp4"]


def test_trouble_with_the_api_while_a_link_is_renewed_is_told(place: Place) -> None:
    link = place.host.add("a", ONE, Reply(status=403))
    place.api.answers["veo_1"] = [[link], Veo3GenerationNotFoundError("gone")]
    with pytest.raises(Veo3GenerationNotFoundError):
        place.store()


def test_a_busy_host_is_waited_for_as_it_asks(place: Place) -> None:
    busy = [Reply(status=503), Reply(status=429, headers={"Retry-After": "7"}), Reply(status=500)]
    place.offer(ONE, *busy)
    place.store()
    assert place.clock.pauses == [1, 7, 4]
    assert place.visible == {"veo_1_0.mp4": ONE}


def test_a_host_that_stays_busy_is_given_up(place: Place) -> None:
    place.offer(ONE, *[Reply(status=503)] * 9)
    with pytest.raises(Veo3StorageError, match=r"503.*retry of this task"):
        place.store()
    assert len(place.host.asked) == TRIES
    assert place.clock.pauses == [1, 2, 4, 8]


def test_the_key_is_never_sent_to_the_file_host(place: Place) -> None:
    place.offer(BIG, Reply(cut=CHUNK), Reply(status=403))
    place.store()
    for asked in place.host.asked:
        assert "authorization" not in asked.headers
        assert "veo3_" not in str(asked.headers)
