"""What came from where, for OpenLineage; imported only when its provider asks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_veo3.storage.store import StoredVideo


def lineage_of(
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

    source = f"veo3://{urlsplit(base_url or '').netloc}"
    outputs = []
    for video in videos:
        namespace, name = dataset_of(video.uri, account)
        size = OutputStatisticsOutputDatasetFacet(size=video.size, fileCount=1)
        outputs.append(OutputDataset(namespace=namespace, name=name, outputFacets={"outputStatistics": size}))
    inputs = [InputDataset(namespace=source, name=name) for name in generation_ids if base_url is not None]
    return OperatorLineage(inputs=inputs, outputs=outputs)


def dataset_of(uri: str, account: str | None = None) -> tuple[str, str]:
    """Return namespace and name of a file by OpenLineage's naming, the Airflow connection left out.

    :param account: name of the Azure account; where it is not known, the container stands alone.
    """
    # not urlsplit: an object's name may hold ? and #
    scheme, _, rest = uri.partition("://")
    authority, _, key = rest.partition("/")
    authority = authority.rpartition("@")[2]
    match scheme:
        case "file" | "local":
            return "file", f"/{key}"
        case "s3" | "s3a" | "s3n":
            return f"s3://{authority}", key
        case "gs" | "gcs":
            return f"gs://{authority}", key
        case "abfs" | "abfss" if account is not None:
            return f"abfss://{authority}@{account}.dfs.core.windows.net", f"/{key}"
        case _:
            return f"{scheme}://{authority}", key
