"""Images read from local files and object stores."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk import ObjectStoragePath
from airflow.sdk.io.store import _STORE_CACHE, attach
from fsspec.implementations.memory import MemoryFileSystem

from airflow_provider_veo3.api.request import MAX_IMAGE_BYTES
from airflow_provider_veo3.exceptions import Veo3StorageError, Veo3ValidationError
from airflow_provider_veo3.storage.images import read_image

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PNG = b"\x89PNG\r\n\x1a\n" + b"p" * 20
JPEG = b"\xff\xd8\xff\xe0" + b"j" * 20


@pytest.mark.parametrize(("data", "mime"), [(PNG, "image/png"), (JPEG, "image/jpeg")])
@pytest.mark.parametrize("as_uri", [False, True])
def test_a_local_file_is_read_whatever_its_name(tmp_path: Path, data: bytes, mime: str, as_uri: bool) -> None:
    path = tmp_path / "my cat.gif"
    path.write_bytes(data)
    image = read_image("image", path.as_uri().replace("%20", " ") if as_uri else str(path))
    assert (image.field, image.data, image.mime_type) == ("image", data, mime)


@pytest.mark.parametrize("source", [None, "", "  ", 5, b"x", ["a.png"], {"path": "a"}])
def test_a_source_that_is_no_path_is_refused(source: Any) -> None:
    with pytest.raises(Veo3ValidationError, match=r"^first_frame=.*path or object storage URI"):
        read_image("first_frame", source)


@pytest.mark.parametrize(
    "source", ["{tmp}/none.png", "{tmp}", "{tmp}/cat.png/x", "{tmp}/\x00.png", "nosuch://b/k.png"]
)
def test_a_file_that_does_not_exist_is_refused(tmp_path: Path, source: str) -> None:
    (tmp_path / "cat.png").write_bytes(PNG)
    with pytest.raises(Veo3ValidationError, match=r"^image=.*a JPEG or PNG file that exists"):
        read_image("image", source.format(tmp=tmp_path))


@pytest.mark.parametrize("source", ["s3://AKIA:s3cr3t@bucket/k.png", "s3://AKIA:s3cr3t@[bucket/k.png"])
def test_credentials_in_a_uri_are_refused_and_not_shown(source: str) -> None:
    with pytest.raises(Veo3ValidationError, match=r"^image=.*bucket/k.png") as caught:
        read_image("image", source)
    error: BaseException | None = caught.value
    while error is not None:
        assert "s3cr3t" not in str(error)
        error = error.__cause__ or error.__context__


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", r"1 to 20971520 bytes \(this one has 0\)"),
        (b"GIF89a", "starts with 47 49 46 38 39 61"),
        (b"\x89", "starts with 89"),
    ],
)
def test_a_file_that_is_neither_jpeg_nor_png_is_refused(
    tmp_path: Path, data: bytes, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # the message cuts a long path
    (tmp_path / "cat.png").write_bytes(data)
    with pytest.raises(Veo3ValidationError, match=why) as caught:
        read_image("last_frame", "cat.png")
    assert caught.value.field == "last_frame"
    assert "cat.png" in str(caught.value)


def test_a_file_of_20_mib_is_read_and_a_larger_one_is_not_opened(tmp_path: Path) -> None:
    path = tmp_path / "cat.png"
    path.write_bytes(PNG + bytes(MAX_IMAGE_BYTES - len(PNG)))
    assert len(read_image("image", str(path)).data) == MAX_IMAGE_BYTES
    with path.open("r+b") as file:
        file.truncate(50 * 2**30)  # sparse: reading it would take the machine's memory
    with pytest.raises(Veo3ValidationError, match=r"this one has 53687091200\)"):
        read_image("image", str(path))


@pytest.mark.parametrize(
    "source",
    ["data:image/png;base64," + "A" * 460_000, "/pictures/" + "x" * 300_000, "file:///" + "y" * 300_000],
    ids=["data URI", "path", "URI"],
)
def test_a_value_that_is_no_path_is_refused_for_good_and_cut_in_the_error(source: str) -> None:
    with pytest.raises(Veo3ValidationError, match=r"^image=") as caught:
        read_image("image", source)
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize("source", ["None", " null ", "nan", "undefined", "", None])
def test_a_source_that_a_template_rendered_to_nothing_is_refused(source: str | None) -> None:
    with pytest.raises(Veo3ValidationError, match=r"^last_frame=.*a template that finds nothing renders so"):
        read_image("last_frame", source)


@pytest.mark.parametrize(
    "name",
    [
        "file://{tmp}/cat.png?",
        "file://{tmp}/cat.png#",
        "file://{tmp}/cat?#.png",
        "s3://bucket/cat.png?versionId=2",
        "s3://bucket/cat.png#",
    ],
)
def test_a_name_that_would_be_cut_off_is_refused(name: str, tmp_path: Path, store: Store) -> None:
    for each in ("cat.png", name.rpartition("/")[2]):
        (tmp_path / each).write_bytes(PNG)
    store.pipe("/bucket/cat.png", PNG)
    with pytest.raises(Veo3ValidationError, match=r"^image=.*cuts its name off .* rename the file"):
        read_image("image", name.format(tmp=tmp_path))


@pytest.mark.parametrize("name", ["cat.png?", "cat.png#", "cat?#.png", "100%25 cat.png"])
def test_a_local_path_is_read_whatever_its_characters(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).write_bytes(PNG)
    assert read_image("image", name).data == PNG
    assert read_image("image", tmp_path / name).data == PNG


def test_a_local_uri_with_such_a_character_inside_is_read(tmp_path: Path) -> None:
    (tmp_path / "take #1?a.png").write_bytes(PNG)
    assert read_image("image", f"file://{tmp_path}/take #1?a.png").data == PNG


def test_path_objects_are_read(tmp_path: Path, store: Store) -> None:
    (tmp_path / "cat.png").write_bytes(PNG)
    store.pipe("/bucket/cat.png", JPEG)
    assert read_image("image", tmp_path / "cat.png").data == PNG
    assert read_image("image", ObjectStoragePath(f"file://{tmp_path}/cat.png")).data == PNG
    assert read_image("image", ObjectStoragePath("s3://bucket/cat.png")).data == JPEG


def test_an_azure_uri_as_other_tools_write_it_is_explained(airflow_db: None) -> None:
    attach("abfs", fs=Store())
    with pytest.raises(Veo3ValidationError, match=r"^image=.*'abfs://connection@container/folder/'"):
        read_image("image", "abfs://box@account.dfs.core.windows.net/cat.png")


class Store(MemoryFileSystem):  # type: ignore[misc]
    """Object store that may raise errors, or report an outdated size."""

    protocol = "s3"
    cachable = False
    store: dict[str, Any] = {}  # noqa: RUF012 - the base class shares it too
    pseudo_dirs = [""]  # noqa: RUF012
    error: Exception | None = None
    outdated_size: int | None = None

    def info(self, path: str, **kwargs: Any) -> dict[str, Any]:
        if self.error is not None:
            raise self.error
        info: dict[str, Any] = super().info(path, **kwargs)
        return info if self.outdated_size is None else {**info, "size": self.outdated_size}


@pytest.fixture
def store() -> Iterator[Store]:
    store = Store()
    attach("s3", fs=store)
    yield store
    store.store.clear()
    _STORE_CACHE.clear()


def test_an_object_is_read(store: Store) -> None:
    store.pipe("/bucket/cat.png", PNG)
    assert read_image("image", "s3://bucket/cat.png").data == PNG


def test_a_mistyped_connection_is_refused_before_the_store_is_asked(store: Store, airflow_db: None) -> None:
    store.pipe("/bucket/cat.png", PNG)
    attach("s3", conn_id="mistyped", fs=store)  # serves without a connection, as Amazon's does
    with pytest.raises(Veo3ValidationError, match=r"^image='s3://mistyped@bucket/cat.png'.*mistyped"):
        read_image("image", "s3://mistyped@bucket/cat.png")


@pytest.mark.parametrize(
    "error", [PermissionError("denied"), OSError("down"), RuntimeError("odd"), TimeoutError()]
)
def test_an_error_of_the_store_may_be_retried(store: Store, error: Exception) -> None:
    store.error = error
    with pytest.raises(Veo3StorageError, match=r"^image='s3://bucket/cat.png' cannot be read now") as caught:
        read_image("image", "s3://bucket/cat.png")
    assert "Nothing was submitted or spent" in str(caught.value)
    assert caught.value.__cause__ is error


def test_an_object_that_grew_is_read_no_further_than_the_limit(store: Store) -> None:
    store.pipe("/bucket/cat.png", PNG + bytes(MAX_IMAGE_BYTES))
    store.outdated_size = 100
    with pytest.raises(Veo3ValidationError, match=f"this one has {MAX_IMAGE_BYTES + 1}"):
        read_image("image", "s3://bucket/cat.png")
