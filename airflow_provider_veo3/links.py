"""XComs that tasks publish, and the links in Airflow's UI that read them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from airflow.providers.common.compat.sdk import BaseOperatorLink, XCom

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow.providers.common.compat.sdk import BaseOperator, Context, TaskInstanceKey

MANIFEST_KEY: Final = "generation"
"""XCom key of the manifest, which contains no link and no API key."""
STATUS_URL_KEY: Final = "generation_status_url"
"""XCom key of the generation's status URL."""
STORED_URIS_KEY: Final = "stored_video_uris"
"""XCom key of the stored videos' URIs."""

_SCRIPTS: Final = ("javascript:", "data:", "vbscript:")
"""Schemes that would run in the browser of the person who follows a link."""


def publish_manifest(context: Context, manifest: Mapping[str, Any]) -> None:
    """Push the manifest of a generation, with the map index of the task that has it."""
    ti = context["ti"]
    ti.xcom_push(key=MANIFEST_KEY, value={**manifest, "map_index": ti.map_index})


def publish_link(context: Context, base_url: str, generation_id: str) -> None:
    """Push the status URL of a generation, before a deferral if there is one."""
    context["ti"].xcom_push(key=STATUS_URL_KEY, value=status_url(base_url, generation_id))


def status_url(base_url: str, generation_id: str) -> str:
    """Return the URL of the API that reports the status of a generation."""
    return f"{base_url}/api/veo/status/{generation_id}"


def publish_stored(context: Context, uris: Sequence[str]) -> None:
    """Push the URIs of stored videos."""
    context["ti"].xcom_push(key=STORED_URIS_KEY, value=list(uris))


class Veo3GenerationLink(BaseOperatorLink):
    """Link to the status of the generation, for requests with the account's key."""

    name = "VEO3 status"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:  # noqa: ARG002 - Airflow's
        """Return the status URL, empty before there is a generation."""
        value = XCom.get_value(ti_key=ti_key, key=STATUS_URL_KEY)
        return value if isinstance(value, str) else ""


class Veo3StoredVideoLink(BaseOperatorLink):
    """Link to the first stored video."""

    name = "Stored video"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:  # noqa: ARG002 - Airflow's
        """Return the video's page or URI, empty before the video is stored."""
        value = XCom.get_value(ti_key=ti_key, key=STORED_URIS_KEY)
        first = value[0] if isinstance(value, list) and value else None
        return console_url(first) if isinstance(first, str) else ""


def console_url(uri: str) -> str:
    """Return an object's page in the cloud console; the URI itself where there is none."""
    from airflow_provider_veo3.storage.uri import ObjectUri

    parts = ObjectUri.parse(uri)
    bucket, key = quote(parts.authority), quote(parts.key)
    if parts.scheme in ("s3", "s3a"):
        return f"https://console.aws.amazon.com/s3/object/{bucket}?prefix={key}"
    if parts.scheme in ("gs", "gcs"):
        return f"https://console.cloud.google.com/storage/browser/_details/{bucket}/{key}"
    return "" if uri.strip().lower().startswith(_SCRIPTS) else uri
