"""What came from where, for OpenLineage's provider, which alone asks for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_veo3.storage.store import StoredVideo

AZURE: Final = ("abfs", "abfss")


def lineage_of_stored(
    base_url: str | None,
    generation_ids: Sequence[str],
    videos: Sequence[StoredVideo],
    account: str | None = None,
) -> Any:
    """Return the ``OperatorLineage`` of stored videos: generations go in, files come out.

    :param base_url: of the API; ``None`` when it was not come to.
    :param account: name of the Azure account that the files lie in.
    """
    from airflow.providers.common.compat.openlineage.facet import (
        InputDataset,
        OutputDataset,
        OutputStatisticsOutputDatasetFacet,
    )
    from airflow.providers.openlineage.extractors import OperatorLineage

    outputs = []
    for video in videos:
        namespace, name = dataset_of(video.uri, account)
        size = OutputStatisticsOutputDatasetFacet(size=video.size, fileCount=1)
        outputs.append(OutputDataset(namespace=namespace, name=name, outputFacets={"outputStatistics": size}))
    names = [] if base_url is None else [generation_of(base_url, each) for each in generation_ids]
    inputs = [InputDataset(namespace=namespace, name=name) for namespace, name in names]
    return OperatorLineage(inputs=inputs, outputs=outputs)


def lineage_of_generating(*, images: Sequence[Any], base_url: str | None, generation_id: str | None) -> Any:
    """Return the ``OperatorLineage`` of a generating task: its images and its generation.

    :param images: sources of the images.
    :param base_url: base URL of the API; ``None`` before there is a generation.
    :param generation_id: the generation; ``None`` before there is one.
    """
    from airflow.providers.common.compat.openlineage.facet import InputDataset, OutputDataset
    from airflow.providers.openlineage.extractors import OperatorLineage

    names = [_image(source) for source in images]
    inputs = [InputDataset(namespace=namespace, name=name) for namespace, name in filter(None, names)]
    outputs = []
    if base_url is not None and generation_id is not None:
        namespace, name = generation_of(base_url, generation_id)
        outputs.append(OutputDataset(namespace=namespace, name=name))
    return OperatorLineage(inputs=inputs, outputs=outputs)


def generation_of(base_url: str, generation_id: str) -> tuple[str, str]:
    """Return namespace and name of a generation."""
    return f"veo3://{urlsplit(base_url).netloc}", generation_id


def dataset_of(uri: str, account: str | None = None) -> tuple[str, str]:
    """Return namespace and name of a file by OpenLineage's naming, the Airflow connection left out.

    :param account: name of the Azure account; where it is not known, the container stands alone.
    """
    # not urlsplit: an object's name may hold ? and #
    scheme, _, rest = uri.partition("://")
    authority, _, key = rest.partition("/")
    authority = authority.rpartition("@")[2]
    if scheme in ("file", "local"):
        return "file", f"/{key}"
    if scheme in AZURE:
        return f"abfss://{authority}" + (f"@{account}.dfs.core.windows.net" if account else ""), key
    same = {"s3a": "s3", "s3n": "s3", "gcs": "gs"}
    return f"{same.get(scheme, scheme)}://{authority}", key


def _image(source: Any) -> tuple[str, str] | None:
    """Return the dataset that an image is; ``None`` where a failed task's is still a template's result."""
    from pathlib import Path

    from airflow.providers.common.compat.sdk import ObjectStoragePath

    from airflow_provider_veo3.storage.destination import account_of

    if not isinstance(source, str):
        return None
    if "://" not in source:
        return "file", str(Path(source).absolute())
    if source.startswith(tuple(f"{scheme}://" for scheme in AZURE)):
        return dataset_of(source, account_of(ObjectStoragePath(source).fs))
    return dataset_of(source)
