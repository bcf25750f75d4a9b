"""XComs that tasks publish, and the links in Airflow's UI that read them."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import quote

from airflow.providers.common.compat.sdk import BaseOperatorLink, XCom

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.providers.common.compat.sdk import BaseOperator, Context, TaskInstanceKey

    from airflow_provider_veo3.api.clock import Clock

T = TypeVar("T")

log = logging.getLogger(__name__)

PATIENCE: Final = 60.0
"""Seconds for which a call to Airflow's own API is repeated before the task fails for it."""

FIRST_PAUSE: Final = 1.0
"""Seconds before the first repetition; doubles from there."""

MANIFEST_KEY: Final = "generation"
"""XCom key of the manifest, which contains no link and no API key."""
STATUS_URL_KEY: Final = "generation_status_url"
"""XCom key of the generation's status URL."""
STORED_URIS_KEY: Final = "stored_video_uris"
"""XCom key of the stored videos' URIs."""

_SCRIPTS: Final = ("javascript:", "data:", "vbscript:")
"""Schemes that would run in the browser of the person who follows a link."""


def patiently(call: Callable[[], T], *, clock: Clock = time, patience: float = PATIENCE) -> T:
    """Make a call to Airflow's own API, and repeat it through a short outage.

    Airflow's API server may be restarted while a task runs; a try of the task is not burnt for that.

    :param patience: seconds after which the error is raised.
    """
    until, pause = clock.time() + patience, FIRST_PAUSE
    while True:
        try:
            return call()
        except (TypeError, ValueError):  # a value that Airflow does not take, today or in a minute
            raise
        except Exception as error:
            left = until - clock.time()
            if left <= 0:
                raise
            log.warning(
                "Airflow's API cannot be reached (%s); trying again in %.0f s.", error, min(pause, left)
            )
        clock.sleep(min(pause, left))
        pause *= 2


def publish_manifest(context: Context, manifest: Mapping[str, Any]) -> None:
    """Push the manifest of a generation, with the map index of its task."""
    ti = context["ti"]
    value = {**manifest, "map_index": ti.map_index}
    patiently(lambda: ti.xcom_push(key=MANIFEST_KEY, value=value))


def upstream_manifests(context: Context, generation_ids: Iterable[str]) -> dict[str, Mapping[str, Any]]:
    """Return the manifests of generations by id, from the generating tasks of this run.

    Generations of other runs, and of tasks that are not upstream, are left out.
    """
    wanted, found = set(generation_ids), dict[str, Mapping[str, Any]]()
    ti = context["ti"]
    generating = [
        task
        for task in context["task"].get_flat_relatives(upstream=True)
        if hasattr(getattr(task, "operator_class", type(task)), "generation_type")
    ]
    # a task that is mapped alike has most likely the manifest of the same index
    narrow: list[dict[str, Any]] = [{"map_indexes": ti.map_index}] if (ti.map_index or 0) >= 0 else []
    for indexes in (*narrow, {}):
        for task in generating:
            if wanted <= found.keys():
                return found
            pulled = ti.xcom_pull(task_ids=task.task_id, key=MANIFEST_KEY, **indexes)
            for manifest in [pulled] if isinstance(pulled, Mapping) or pulled is None else pulled:
                if isinstance(manifest, Mapping) and manifest.get("id") in wanted:
                    found[manifest["id"]] = manifest
    return found


def publish_link(context: Context, base_url: str, generation_id: str) -> None:
    """Push the status URL of a generation, before a deferral if there is one."""
    url = status_url(base_url, generation_id)
    patiently(lambda: context["ti"].xcom_push(key=STATUS_URL_KEY, value=url))


def status_url(base_url: str, generation_id: str) -> str:
    """Return the URL of the API that reports the status of a generation."""
    return f"{base_url}/api/veo/status/{generation_id}"


def publish_stored(context: Context, uris: Sequence[str]) -> None:
    """Push the URIs of stored videos."""
    patiently(lambda: context["ti"].xcom_push(key=STORED_URIS_KEY, value=list(uris)))


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
