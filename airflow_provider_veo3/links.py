"""What a task shows in the Airflow UI: links, and the XComs they and the next tasks read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from airflow.providers.common.compat.sdk import BaseOperatorLink, XCom

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow.providers.common.compat.sdk import BaseOperator, Context, TaskInstanceKey

MANIFEST_KEY: Final = "generation"
"""XCom key of the manifest: id, type, model, status, credits, times; never a link or a key."""
STATUS_URL_KEY: Final = "generation_status_url"
STORED_URIS_KEY: Final = "stored_video_uris"


def publish_manifest(context: Context, manifest: Mapping[str, Any]) -> None:
    """Push the manifest of a generation, with the map index of the task that has it."""
    ti = context["ti"]
    ti.xcom_push(key=MANIFEST_KEY, value={**manifest, "map_index": ti.map_index})


def publish_link(context: Context, base_url: str, generation_id: str) -> None:
    """Push where the API tells how a generation stands: before a deferral, so that it is seen early."""
    context["ti"].xcom_push(key=STATUS_URL_KEY, value=status_url(base_url, generation_id))


def status_url(base_url: str, generation_id: str) -> str:
    """Return where the API tells how a generation stands."""
    return f"{base_url}/api/veo/status/{generation_id}"


def publish_stored(context: Context, uris: Sequence[str]) -> None:
    """Push where the videos lie."""
    context["ti"].xcom_push(key=STORED_URIS_KEY, value=list(uris))


class Veo3GenerationLink(BaseOperatorLink):
    """Where the API tells how the generation stands; it answers to the account's key only."""

    name = "VEO3 status"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:  # noqa: ARG002 - Airflow's
        """Return the address of the status, empty before there is a generation."""
        value = XCom.get_value(ti_key=ti_key, key=STATUS_URL_KEY)
        return value if isinstance(value, str) else ""


class Veo3StoredVideoLink(BaseOperatorLink):
    """Where the first stored video can be looked at."""

    name = "Stored video"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:  # noqa: ARG002 - Airflow's
        """Return the page of the video in its cloud's console, or its URI; empty before it is stored."""
        value = XCom.get_value(ti_key=ti_key, key=STORED_URIS_KEY)
        first = value[0] if isinstance(value, list) and value else None
        return console_url(first) if isinstance(first, str) else ""


def console_url(uri: str) -> str:
    """Return the page of a stored object in its cloud's console; the URI where there is no such page."""
    # not urlsplit: an object's name may hold ? and #
    scheme, _, rest = uri.partition("://")
    authority, _, key = rest.partition("/")
    bucket = authority.rpartition("@")[2]
    if scheme in ("s3", "s3a"):
        return f"https://console.aws.amazon.com/s3/object/{quote(bucket)}?prefix={quote(key)}"
    if scheme in ("gs", "gcs"):
        return f"https://console.cloud.google.com/storage/browser/_details/{quote(bucket)}/{quote(key)}"
    # what comes from an XCom must not run in the browser of whoever clicks on it
    return "" if uri.strip().lower().startswith(("javascript:", "data:", "vbscript:")) else uri
