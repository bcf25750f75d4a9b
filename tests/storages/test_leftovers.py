"""Parts in S3 that nobody writes any more go; those that somebody is writing stay."""

from __future__ import annotations

from typing import TYPE_CHECKING

from servers import BUCKET, CONN_ID

from airflow_provider_veo3.storage.destination import Destination
from airflow_provider_veo3.storage.sink import BLOCK

if TYPE_CHECKING:
    from servers import Store

MIME = "video/mp4"


def test_only_what_got_no_part_meanwhile_is_removed(store: Store, airflow_bundles: None) -> None:
    destination = Destination(f"s3://{CONN_ID}@{BUCKET}/x")
    dead, alive, other = (destination.open(name, MIME) for name in ("a.mp4", "a.mp4", "a.mp4.b"))
    for sink in (dead, alive, other):
        sink.write(b"x" * BLOCK)
    assert store.unfinished() == ["x/a.mp4", "x/a.mp4", "x/a.mp4.b"]
    ours = destination.open("a.mp4", MIME)
    ours.write(b"y" * BLOCK)
    alive.write(b"x" * BLOCK)
    ours.publish()
    assert store.unfinished() == ["x/a.mp4", "x/a.mp4.b"]
    assert store.read("x/a.mp4") == b"y" * BLOCK
    alive.publish()
    assert store.read("x/a.mp4") == b"x" * BLOCK * 2
    other.discard()
    dead.discard()  # which has nothing left to abort
    assert store.unfinished() == []


test_only_what_got_no_part_meanwhile_is_removed.without = ("azure", "gcs")  # type: ignore[attr-defined]
