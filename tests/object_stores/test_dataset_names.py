"""Names of files in buckets for lineage, with the Azure account of the connection."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_veo3.operators._lineage import dataset_of
from airflow_provider_veo3.storage.destination import Destination
from tests.support.servers import BUCKET, CONN_ID

if TYPE_CHECKING:
    from tests.support.servers import Store


def test_a_file_has_the_name_that_openlineage_gives_it(store: Store, airflow_bundles: None) -> None:
    destination = Destination(f"{store.scheme}://{CONN_ID}@{BUCKET}/made here/")
    namespace = {
        "s3": f"s3://{BUCKET}",
        "gs": f"gs://{BUCKET}",
        "abfs": f"abfss://{BUCKET}@veo3tests.dfs.core.windows.net",
    }[store.scheme]
    name = dataset_of(destination.uri("a.mp4"), destination.azure_account)
    assert name == (namespace, "made here/a.mp4")
