"""Destinations: the URIs they accept, and those they give to files."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk import ObjectStoragePath
from airflow.sdk.io.store import _STORE_CACHE, attach
from fsspec.implementations.memory import MemoryFileSystem  # type: ignore[import-untyped]

from airflow_provider_veo3.airflow_names import BaseHook
from airflow_provider_veo3.exceptions import Veo3StorageError, Veo3ValidationError
from airflow_provider_veo3.storage.destination import Destination
from airflow_provider_veo3.storage.multipart import MAX_PARTS
from tests.support.airflow_versions import AIRFLOW, filesystems
from tests.support.object_store import Bucket, BucketFileSystem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Attach = Callable[[MemoryFileSystem], None]
    ServeGoogle = Callable[[Callable[[str | None], MemoryFileSystem]], None]

MIME = "video/mp4"


@pytest.fixture
def serve_google() -> Iterator[ServeGoogle]:
    """Registers what makes the file system of ``gs`` URIs."""
    registry = filesystems()

    def serve(factory: Callable[[str | None], MemoryFileSystem]) -> None:
        registry._register_filesystems()["gs"] = factory  # type: ignore[index]

    yield serve
    registry._register_filesystems.cache_clear()
    _STORE_CACHE.clear()


@pytest.fixture
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def memory() -> Iterator[Attach]:
    """Serves ``memory`` URIs; the function gives them another file system."""

    def serve(fs: MemoryFileSystem) -> None:
        _STORE_CACHE.clear()
        attach("memory", fs=fs)

    attach("memory", fs=MemoryFileSystem())
    yield serve
    MemoryFileSystem.store.clear()
    _STORE_CACHE.clear()


def test_a_file_that_another_worker_stored_meanwhile_is_found(bucket: Bucket) -> None:
    destination = Destination("s3://my_s3@bucket/prefix/")
    assert destination.size("a.mp4") is None
    bucket.objects["/bucket/prefix/a.mp4"] = (b"x" * 77, {})
    assert destination.size("a.mp4") == 77


def test_an_objects_uri_keeps_the_connection(bucket: Bucket) -> None:
    assert Destination("s3://my_s3@bucket/p").uri("a.mp4") == "s3://my_s3@bucket/p/a.mp4"


def test_a_destination_without_a_bucket_is_refused(bucket: Bucket) -> None:
    with pytest.raises(Veo3ValidationError, match="destination"):
        Destination("s3://my_s3@")


def test_only_an_object_store_limits_the_files_written_at_once(bucket: Bucket, tmp_path: Path) -> None:
    assert Destination("s3://my_s3@bucket/prefix/").max_concurrency == MAX_PARTS
    assert Destination(str(tmp_path)).max_concurrency is None


@pytest.mark.parametrize("scheme", ["s3", "gs", "abfs"])
def test_a_mistyped_connection_is_refused_before_the_store_is_asked(
    scheme: str, bucket: Bucket, airflow_db: None
) -> None:
    attach(scheme, "mistyped", fs=BucketFileSystem())  # serves without a connection, as Amazon's does
    with pytest.raises(Veo3ValidationError, match=r"destination=.*connection exists.*mistyped"):
        Destination(f"{scheme}://mistyped@bucket/prefix/")


def test_amazons_default_connection_may_be_missing(bucket: Bucket, airflow_db: None) -> None:
    """Identity of the worker, as in Amazon's own provider."""
    attach("s3", "aws_default", fs=BucketFileSystem())
    assert Destination("s3://aws_default@bucket/p").uri("a.mp4") == "s3://aws_default@bucket/p/a.mp4"


@pytest.mark.parametrize(
    ("given", "uri"),
    [
        ("file:///videos/", "file:///videos/a/b.mp4"),
        ("/videos", "file:///videos/a/b.mp4"),
        ("videos", f"file://{Path.cwd()}/videos/a/b.mp4"),
        ("file://conn@/videos", "file://conn@/videos/a/b.mp4"),
        ("/with space#and?marks%20", "file:///with space#and?marks%20/a/b.mp4"),
    ],
)
@pytest.mark.parametrize("has_conn_id", [True, False], ids=["as since Airflow 3.2", "as before"])
def test_the_uri_of_a_file_opens_it_and_keeps_the_connection(
    given: str, uri: str, has_conn_id: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    destination = Destination(given)
    if not has_conn_id:
        monkeypatch.delattr(ObjectStoragePath, "conn_id", raising=AIRFLOW >= (3, 2))
    assert destination.uri("a/b.mp4") == uri
    path = ObjectStoragePath(uri)
    assert path.path == uri.removeprefix("file://").removeprefix("conn@")


@pytest.mark.parametrize(
    "uri",
    ["", "  ", None, 7, "nonsense://bucket/x", "http://host/x", "s3://bucket/x", "s3://[bucket]x/"],
)
def test_a_destination_that_nothing_serves_is_refused(uri: Any) -> None:
    with pytest.raises(Veo3ValidationError, match=r"destination=.*allowed: a local folder") as caught:
        Destination(uri)
    assert caught.value.field == "destination"


@pytest.mark.parametrize(
    "uri",
    [
        "None",
        "./None/",
        "videos/None/x",
        "videos/null",
        "/videos/nan/",
        "videos/Undefined/x",
        "videos//x",
        "//videos",
        "videos/ /x",
        "s3://my_s3@bucket/None",
        "s3://my_s3@bucket//x",
        "s3://my_s3@bucket/x//",
        "s3://my_s3@None/x",
        "s3://None@bucket/x",
        "s3://@bucket/x",
        "file:///videos/<NA>/",
        "",
        "\n",
    ],
)
def test_a_part_that_a_template_rendered_to_nothing_is_refused(uri: str, bucket: Bucket) -> None:
    with pytest.raises(
        Veo3ValidationError, match=r"(?s)^destination=.*template that finds nothing renders so"
    ):
        Destination(uri)


@pytest.mark.parametrize("uri", ["nanny/none-yet/x", "s3://my_s3@bucket/nullable/undefined_1", "."])
def test_a_part_that_only_contains_such_a_word_is_kept(uri: str, bucket: Bucket) -> None:
    name = uri.removeprefix("s3://my_s3@").removeprefix(".")
    assert Destination(uri).uri("a.mp4").endswith(f"{name}/a.mp4")


@pytest.mark.parametrize(
    ("uri", "reason"),
    [
        ("s3://my_s3@bucket/../other/", r"'\.\.' leads to another folder"),
        ("s3://my_s3@bucket/a/../../b", "leads to another folder"),
        ("s3://my_s3@bucket/%2e%2E/other/", "leads to another folder"),
        ("s3://my_s3@bucket/./x", r"'\.' leads to another folder"),
        ("s3://my_s3@bucket/a/%2E", "leads to another folder"),
        ("a/../../b", "leads to another folder"),
        ("file:///a/..", "leads to another folder"),
        ("s3://my_s3@bucket/a?b/", r"a '\?', which"),
        ("s3://my_s3@bucket/a?versionId=1", r"a '\?', which"),
        ("memory://bucket/a#b/", "a '#', which"),
        ("memory://bucket/a?b/", r"a '\?', which"),
        ("s3://my_s3@bucket/a./b", "ends with a dot"),
        ("s3://my_s3@bucket/a /b", "begins or ends with a blank"),
        ("/videos/a\nb", "cannot be printed"),
        ("s3://my_s3@bucket/a\x00b", "cannot be printed"),
        ("s3://my_s3@bucket/a\\b", "backslash"),
        ("~/videos", "'~' is not expanded.*'/home/airflow/videos'"),
        ("~airflow/videos", "'~' is not expanded"),
        ("file:///~/videos", "'~' is not expanded"),
        ("$HOME/videos", r"'\$HOME' has a variable of the shell"),
        ("/data/${USER}/videos", "has a variable of the shell"),
        ("s3://my_s3@bucket/$(date)/", "has a variable of the shell"),
        ("/data/{{ ds }}/", "a template that was not rendered"),
        ("/data/{generation_id}/", "belongs in `filename`"),
        ("file://host/videos", "three slashes"),
        ("file://~/videos", "is not expanded|three slashes"),
        ("/videos/" + "x" * 256, "too long: at most 255 bytes a part"),
        ("s3://my_s3@bucket/" + "x/" * 600, "too long: at most 1024 bytes below the bucket"),
    ],
)
def test_a_destination_that_would_be_read_otherwise_is_refused_with_the_reason(
    uri: str, reason: str, bucket: Bucket, memory: Attach, empty_folder: Path
) -> None:
    with pytest.raises(Veo3ValidationError, match=rf"(?s)^destination=.*{reason}") as caught:
        Destination(uri)
    assert caught.value.field == "destination"
    assert not any(empty_folder.iterdir())
    assert bucket.objects == {}


@pytest.mark.parametrize(
    ("uri", "name"),
    [
        ("s3://my_s3@bucket/x", "veo_1?versionId=0.mp4"),
        ("s3://my_s3@bucket/x", "what?/0.mp4"),
        ("memory://bucket/x", "take #0.mp4"),
        ("/videos", "ä" * 128),
        ("/videos", "take?"),
        ("/videos", "take?#1"),
        ("s3://my_s3@bucket/x", "take#"),
        ("s3://my_s3@bucket/x", "y/" * 511 + "a"),
    ],
)
def test_a_name_that_would_be_read_otherwise_is_refused_before_anything_is_written(
    uri: str, name: str, bucket: Bucket, memory: Attach
) -> None:
    destination = Destination(uri)
    for use in (destination.check_name, destination.size, lambda name: destination.open(name, MIME)):
        with pytest.raises(
            Veo3ValidationError, match=r"^filename=.*(a '[?#]', which|too long|reads it otherwise)"
        ):
            use(name)
    assert bucket.objects == {}


def test_a_local_path_keeps_characters_that_other_storages_cut_off(tmp_path: Path) -> None:
    destination = Destination(f"{tmp_path}/ends in ?")
    sink = destination.open("take #1?.mp4", MIME)
    sink.write(b"whole")
    sink.publish()
    assert (tmp_path / "ends in ?" / "take #1?.mp4").read_bytes() == b"whole"
    assert destination.size("take #1?.mp4") == 5
    assert destination.size("take ") is None


def test_a_name_that_the_storage_itself_calls_too_long_is_not_retried(memory: Attach) -> None:
    class Short(MemoryFileSystem):  # type: ignore[misc]
        def info(self, path: str, **kwargs: Any) -> dict[str, Any]:
            raise OSError(errno.ENAMETOOLONG, "File name too long", path)

    memory(Short())
    with pytest.raises(Veo3ValidationError, match=r"^filename=.*shorter"):
        Destination("memory://bucket/x").size("x" * 200)


@pytest.mark.parametrize("uri", ["s3://my_s3@bucket/a b/x", "s3://my_s3@bucket/take #1/x/"])
def test_an_object_storage_path_keeps_its_connection(uri: str, bucket: Bucket) -> None:
    destination = Destination(ObjectStoragePath(uri))
    assert destination.uri("a.mp4") == f"{uri.removesuffix('/')}/a.mp4"


def test_local_path_objects_are_taken(tmp_path: Path) -> None:
    expected = f"file://{tmp_path}/a.mp4"
    assert Destination(tmp_path).uri("a.mp4") == expected
    assert Destination(ObjectStoragePath(f"file://{tmp_path}")).uri("a.mp4") == expected
    assert Destination(ObjectStoragePath(str(tmp_path))).uri("a.mp4") == expected


@pytest.mark.parametrize(
    "uri", ["abfs://box@account.dfs.core.windows.net/x", "abfs://box@account/x", "abfss://box@account/x"]
)
def test_an_azure_uri_as_other_tools_write_it_is_explained(
    uri: str, bucket: Bucket, airflow_db: None
) -> None:
    attach("abfs", fs=BucketFileSystem())
    with pytest.raises(Veo3ValidationError, match=r"destination=.*'abfss?://connection@container/folder/'"):
        Destination(uri)


def test_a_bucket_that_is_no_host_name_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_CONN", "aws://")
    with pytest.raises(Veo3ValidationError, match="Invalid IPv6"):
        Destination("s3://conn@[bucket/x")


@pytest.mark.parametrize("uri", ["s3:/bucket/x", "s3:bucket", "file:/videos", "gs:"])
def test_a_scheme_without_slashes_is_refused(uri: str) -> None:
    with pytest.raises(Veo3ValidationError, match=r"destination=.*a scheme is followed by '://'"):
        Destination(uri)


@pytest.mark.parametrize("bucket", ["bucket", "[bucket", "buc?ket", "buc#ket"])
def test_credentials_in_a_destination_are_refused_and_not_repeated(bucket: str) -> None:
    with pytest.raises(Veo3ValidationError, match="credentials belong in the connection") as caught:
        Destination(f"s3://AKIA123:s3cr3t@{bucket}/x")
    assert "s3cr3t" not in str(caught.value)
    assert "AKIA123" not in str(caught.value)


def test_a_missing_connection_is_refused_by_name(serve_google: ServeGoogle, airflow_db: None) -> None:
    serve_google(lambda conn_id: MemoryFileSystem(BaseHook.get_connection(conn_id or "")))
    with pytest.raises(Veo3ValidationError, match=r"no_such_conn.*connection"):
        Destination("gs://no_such_conn@bucket/x")


def test_a_folder_that_cannot_be_written_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(Veo3StorageError, match=r"file/sub/a\.mp4 could not be written.*credits are spent"):
        Destination(str(tmp_path / "file/sub")).open("a.mp4", MIME)


def test_storage_that_cannot_be_reached_is_worth_a_retry(
    serve_google: ServeGoogle, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(conn_id: str | None) -> MemoryFileSystem:
        raise ConnectionError("no route to the store")

    monkeypatch.setenv("AIRFLOW_CONN_CONN", "google-cloud-platform://")
    serve_google(unreachable)
    with pytest.raises(Veo3StorageError, match="no route to the store"):
        Destination("gs://conn@bucket/x")
