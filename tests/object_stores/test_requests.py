"""Requests to S3 for a video."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_veo3.storage.destination import Destination
from airflow_provider_veo3.storage.upload import PART_SIZE
from tests.support.servers import BUCKET, CONN_ID

if TYPE_CHECKING:
    from tests.support.servers import Store


SIZE = PART_SIZE - 1


def test_a_video_of_one_part_takes_two_requests(store: Store, airflow_bundles: None) -> None:
    root = f"s3://{CONN_ID}@{BUCKET}/x"
    destination = Destination(root)
    assert destination.size("a.mp4") is None
    sent = record_requests(root)
    assert destination.size("b/a.mp4") is None
    sink = destination.open("b/a.mp4", "video/mp4")
    sink.write(b"x" * SIZE)
    sink.publish()
    assert sent == ["HeadObject", "PutObject"]
    assert destination.size("b/a.mp4") == SIZE
    assert destination.size("b") is None  # a folder is no video
    assert set(sent) == {"HeadObject", "PutObject"}


test_a_video_of_one_part_takes_two_requests.without = ("azure", "gcs")  # type: ignore[attr-defined]


def record_requests(root: str) -> list[str]:
    """Return a list that gets the name of each request to S3 from now on."""
    from airflow.sdk import ObjectStoragePath

    sent: list[str] = []

    def record(model: Any, **_: Any) -> None:
        sent.append(model.name)

    ObjectStoragePath(root).fs.s3.meta.events.register("before-call.s3", record)
    return sent
