"""Removal of abandoned uploads, beside uploads that still run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_veo3.storage.destination import Destination
from airflow_provider_veo3.storage.upload import PART_SIZE
from tests.support.servers import BUCKET, CONN_ID

if TYPE_CHECKING:
    from tests.support.servers import S3, Store

MIME = "video/mp4"


def test_only_uploads_without_a_new_part_are_removed(store: S3, airflow_bundles: None) -> None:
    destination = Destination(f"s3://{CONN_ID}@{BUCKET}/x")
    dead, alive, other = (destination.open(name, MIME) for name in ("a.mp4", "a.mp4", "a.mp4.b"))
    for sink in (dead, alive, other):
        sink.write(b"x" * PART_SIZE)
    while store.parts() != [1, 1, 1]:  # parts are sent in the background
        pass
    assert store.unfinished_uploads() == ["x/a.mp4", "x/a.mp4", "x/a.mp4.b"]
    ours = destination.open("a.mp4", MIME)
    ours.write(b"y" * PART_SIZE)
    while store.parts() != [1, 1, 1, 1]:  # ours has begun
        pass
    alive.write(b"x" * PART_SIZE)
    while 2 not in store.parts():
        pass
    ours.publish()
    assert store.unfinished_uploads() == ["x/a.mp4", "x/a.mp4.b"]
    assert store.read("x/a.mp4") == b"y" * PART_SIZE
    alive.publish()
    assert store.read("x/a.mp4") == b"x" * PART_SIZE * 2
    other.discard()
    dead.discard()  # its upload is already aborted
    assert store.unfinished_uploads() == []


test_only_uploads_without_a_new_part_are_removed.without = ("azure", "gcs")  # type: ignore[attr-defined]


def test_an_upload_aborted_while_a_part_is_being_sent_leaves_nothing(
    store: Store, airflow_bundles: None
) -> None:
    destination = Destination(f"{store.scheme}://{CONN_ID}@{BUCKET}/x")
    for parts in (1, 2):
        sink = destination.open("a.mp4", MIME)
        sink.write(b"x" * PART_SIZE * parts)
        sink.discard()  # at once: the last part is still being sent
    assert store.names() == []
    assert store.unfinished_uploads() == [] or not store.abort_removes_parts
