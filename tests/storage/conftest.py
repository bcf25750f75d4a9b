"""Video store on a folder with a file host, and an object store as ``s3://my_s3@bucket/``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from airflow.sdk.io.store import _STORE_CACHE, attach

from tests.support.file_host import running_file_host
from tests.support.object_store import Bucket, BucketFileSystem
from tests.support.store_rig import StoreRig

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    monkeypatch.setenv("AIRFLOW_CONN_MY_S3", "aws://")
    fs = BucketFileSystem()
    attach("s3", "my_s3", fs=fs)
    yield fs.bucket
    _STORE_CACHE.clear()


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[StoreRig]:
    with running_file_host() as host:
        yield StoreRig(host, tmp_path)
