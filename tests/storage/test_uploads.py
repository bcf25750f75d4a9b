"""What object stores show, and what is refused before they are asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from airflow.sdk.io.store import attach

from airflow_provider_veo3.exceptions import Veo3StorageError, Veo3ValidationError
from airflow_provider_veo3.storage.destination import Destination
from airflow_provider_veo3.storage.multipart import BLOCK, PARTS
from tests.support.object_store import Bucket, BucketFileSystem, StagedFile

if TYPE_CHECKING:
    from pathlib import Path

MIME = "video/mp4"


def test_an_object_is_seen_only_when_committed_and_knows_its_type(bucket: Bucket) -> None:
    destination = Destination("s3://my_s3@bucket/prefix/")
    sink = destination.open("a.mp4", MIME)
    for _ in range(12):
        sink.write(b"x" * 2**20)
        assert bucket.objects == {}
    sink.publish()
    ((path, (body, options)),) = bucket.objects.items()
    assert (path.lstrip("/"), len(body)) == ("bucket/prefix/a.mp4", 12 * 2**20)
    assert options["ContentType"] == MIME
    assert bucket.largest_part <= BLOCK + 2**20
    assert b"".join(destination.read("a.mp4")) == body


def test_a_file_that_another_worker_stored_meanwhile_is_found(bucket: Bucket) -> None:
    destination = Destination("s3://my_s3@bucket/prefix/")
    assert destination.size("a.mp4") is None
    bucket.objects["/bucket/prefix/a.mp4"] = (b"x" * 77, {})
    assert destination.size("a.mp4") == 77


@pytest.mark.parametrize("written", [0, 1000, 2 * BLOCK])
def test_a_discarded_object_is_never_seen_nor_begun_again(bucket: Bucket, written: int) -> None:
    sink = Destination("s3://my_s3@bucket/prefix/").open("a.mp4", MIME)
    sink.write(b"x" * written)
    begun = bucket.begun
    sink.discard()
    del sink  # fsspec closes, and thereby publishes, what is collected open
    assert bucket.objects == {}
    assert (bucket.begun, bucket.discarded) == (begun, 1)


def test_trouble_with_a_store_is_told_with_the_file_and_what_to_do(bucket: Bucket) -> None:
    bucket.full = True
    sink = Destination("s3://my_s3@bucket/prefix/").open("a.mp4", MIME)
    told = r"s3://my_s3@bucket/prefix/a\.mp4 could not be written: OSError: the bucket is full.*24 hours"
    sink.write(b"x" * BLOCK)  # the part is sent in the background, and so fails there
    with pytest.raises(Veo3StorageError, match=told):
        sink.write(b"x" * BLOCK)
    bucket.full = False
    with pytest.raises(Veo3StorageError, match=told):  # what is missing stays missing
        sink.publish()
    sink.discard()
    assert (bucket.objects, bucket.parts) == ({}, [])


def test_an_objects_uri_keeps_the_connection(bucket: Bucket) -> None:
    assert Destination("s3://my_s3@bucket/p").uri("a.mp4") == "s3://my_s3@bucket/p/a.mp4"


def test_a_destination_without_a_bucket_is_refused(bucket: Bucket) -> None:
    with pytest.raises(Veo3ValidationError, match="destination"):
        Destination("s3://my_s3@")


def test_leftovers_that_stay_are_logged_and_hide_no_other_error(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(self: StagedFile) -> None:
        raise OSError("the abort was refused")

    monkeypatch.setattr(StagedFile, "discard", fail)
    sink = Destination("s3://my_s3@bucket/prefix/").open("a.mp4", MIME)
    sink.write(b"half")
    sink.discard()
    assert "the abort was refused" in caplog.text
    assert bucket.objects == {}


@pytest.mark.parametrize("piece", [1000, 2**18, 3 * 2**20, 17 * 2**20])
def test_parts_of_an_upload_are_alike_however_the_bytes_come(bucket: Bucket, piece: int) -> None:
    body = bytes(range(256)) * (2**12 * 17) + b"the end"
    sink = Destination("s3://my_s3@bucket/prefix/").open("a.mp4", MIME)
    for start in range(0, len(body), piece):
        sink.write(body[start : start + piece])
    sink.publish()
    assert bucket.objects["/bucket/prefix/a.mp4"][0] == body
    assert bucket.parts == [BLOCK, BLOCK, BLOCK, len(body) - 3 * BLOCK]


def test_trouble_with_the_last_part_is_told_when_publishing(bucket: Bucket) -> None:
    sink = Destination("s3://my_s3@bucket/prefix/").open("a.mp4", MIME)
    sink.write(b"x" * (BLOCK + 1000))
    bucket.full = True
    with pytest.raises(Veo3StorageError, match="the bucket is full"):
        sink.publish()
    sink.discard()
    assert bucket.objects == {}


def test_a_store_that_takes_no_parts_is_refused_rather_than_given_nothing(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(StagedFile, "write", lambda self, data: len(data), raising=False)
    with pytest.raises(
        Veo3StorageError, match=r"a\.mp4 could not be written.*shows a file while it is written"
    ):
        Destination("s3://my_s3@bucket/p").open("a.mp4", MIME)


def test_only_an_object_store_takes_few_files_at_once(bucket: Bucket, tmp_path: Path) -> None:
    assert Destination("s3://my_s3@bucket/prefix/").most_at_once == PARTS
    assert Destination(str(tmp_path)).most_at_once is None


@pytest.mark.parametrize("scheme", ["s3", "gs", "abfs"])
def test_a_mistyped_connection_is_refused_before_the_store_is_asked(
    scheme: str, bucket: Bucket, airflow_db: None
) -> None:
    attach(scheme, "mistyped", fs=BucketFileSystem())  # serves without a connection, as Amazon's does
    with pytest.raises(Veo3ValidationError, match=r"destination=.*connection exists.*mistyped"):
        Destination(f"{scheme}://mistyped@bucket/prefix/")


def test_amazons_default_connection_may_be_missing(bucket: Bucket, airflow_db: None) -> None:
    """It then stands for the identity of the worker, which is Amazon's provider's own rule."""
    attach("s3", "aws_default", fs=BucketFileSystem())
    assert Destination("s3://aws_default@bucket/p").uri("a.mp4") == "s3://aws_default@bucket/p/a.mp4"
