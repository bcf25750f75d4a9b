"""Lineage of tasks, in the form that OpenLineage's provider requests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from airflow_provider_veo3.parameters import path_text
from airflow_provider_veo3.storage.uri import ObjectUri

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from airflow_provider_veo3.storage.provenance import StoredVideo

AZURE: Final = ("abfs", "abfss")
"""Schemes of Azure Blob Storage."""


def lineage_of_stored(
    base_url: str | None,
    generation_ids: Sequence[str],
    videos: Sequence[StoredVideo],
    azure_account: str | None = None,
) -> Any:
    """Return the ``OperatorLineage`` of stored videos: generations in, files out.

    :param base_url: base URL of the API; ``None`` when the task failed before it was known.
    :param azure_account: name of the Azure account that the files are in.
    """
    from airflow.providers.openlineage.extractors import OperatorLineage
    from openlineage.client.event_v2 import InputDataset, OutputDataset
    from openlineage.client.facet_v2 import output_statistics_output_dataset

    outputs = []
    for video in videos:
        namespace, name = dataset_of(video.uri, azure_account)
        size = output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(
            size=video.size, fileCount=1
        )
        outputs.append(OutputDataset(namespace=namespace, name=name, outputFacets={"outputStatistics": size}))
    names = [] if base_url is None else [generation_of(base_url, each) for each in generation_ids]
    inputs = [InputDataset(namespace=namespace, name=name) for namespace, name in names]
    return OperatorLineage(inputs=inputs, outputs=outputs)


def lineage_of_generating(images: Iterable[object], base_url: str | None, generation_id: str | None) -> Any:
    """Return the ``OperatorLineage`` of a generating task: images in, the generation out.

    :param images: sources of the images, as the task has them.
    :param base_url: base URL of the API; ``None`` when there is no generation.
    :param generation_id: generation of the task; ``None`` when it failed before there was one.
    """
    from airflow.providers.openlineage.extractors import OperatorLineage
    from openlineage.client.event_v2 import InputDataset, OutputDataset

    names = [_image_dataset(image) for image in map(path_text, images) if isinstance(image, str)]
    inputs = [InputDataset(namespace=namespace, name=name) for namespace, name in names]
    outputs = []
    if base_url is not None and generation_id is not None:
        namespace, name = generation_of(base_url, generation_id)
        outputs.append(OutputDataset(namespace=namespace, name=name))
    return OperatorLineage(inputs=inputs, outputs=outputs)


def generation_of(base_url: str, generation_id: str) -> tuple[str, str]:
    """Return namespace and name of a generation."""
    return f"veo3://{urlsplit(base_url).netloc}", generation_id


def dataset_of(uri: str, azure_account: str | None = None) -> tuple[str, str]:
    """Return namespace and name of a file by OpenLineage's naming, without the Airflow connection.

    :param azure_account: name of the Azure account; ``None`` leaves the container alone.
    """
    parts = ObjectUri.parse(uri)
    if parts.scheme in ("file", "local"):
        return "file", f"/{parts.key}"
    if parts.scheme in AZURE:
        host = f"@{azure_account}.dfs.core.windows.net" if azure_account else ""
        return f"abfss://{parts.authority}{host}", parts.key
    scheme = {"s3a": "s3", "s3n": "s3", "gcs": "gs"}.get(parts.scheme, parts.scheme)
    return f"{scheme}://{parts.authority}", parts.key


def _image_dataset(source: str) -> tuple[str, str]:
    """Return namespace and name of an image."""
    from pathlib import Path

    from airflow_provider_veo3.airflow_names import ObjectStoragePath
    from airflow_provider_veo3.storage.destination import azure_account_of

    scheme = ObjectUri.parse(source).scheme
    if not scheme:
        return "file", str(Path(source).absolute())
    if scheme in AZURE:
        return dataset_of(source, azure_account_of(ObjectStoragePath(source).fs))
    return dataset_of(source)
