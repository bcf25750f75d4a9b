"""XComs that tasks publish, and the links in Airflow's UI that read them."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import quote, urlencode, urlsplit

from airflow_provider_veo3.airflow_names import BaseOperatorLink, conf
from airflow_provider_veo3.exceptions import REASON_LENGTH, shown_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from airflow_provider_veo3.airflow_names import BaseOperator, Context, TaskInstanceKey
    from airflow_provider_veo3.api.clock import Clock

T = TypeVar("T")

log = logging.getLogger(__name__)

PATIENCE: Final = 60.0
"""Seconds for which a call to Airflow's own API is repeated before the task fails for it."""

FIRST_PAUSE: Final = 1.0
"""Seconds before the first repetition; doubles from there."""

MANIFEST_KEY: Final = "generation"
"""XCom key of the manifest, which contains no link and no API key."""
STORED_URIS_KEY: Final = "stored_video_uris"
"""XCom key of the stored videos' URIs."""

VIDEOS_PREFIX: Final = "/veo3"
"""Path below which Airflow's API server serves the Videos page."""
VIDEOS_ROUTE: Final = "veo3-videos"
"""Name of the Videos page among the plugins' pages of Airflow's UI."""

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
                "Airflow's API cannot be reached (%s); trying again in %.0f s.",
                shown_text(str(error), REASON_LENGTH),
                min(pause, left),
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
    map_index = context["ti"].map_index
    # a task that is mapped alike has most likely the manifest of the same index
    narrow = [map_index] if map_index is not None and map_index >= 0 else []
    for index in (*narrow, None):
        if wanted <= found.keys():
            break
        for manifest in generated_upstream(context, index):
            if manifest.get("id") in wanted:
                found[manifest["id"]] = manifest
    return found


def generated_upstream(context: Context, map_index: int | None = None) -> Iterator[Mapping[str, Any]]:
    """Yield the manifests of the generating tasks upstream in this run, failed ones too.

    :param map_index: instance of each task; ``None`` for all.
    """
    indexes: dict[str, Any] = {} if map_index is None else {"map_indexes": map_index}
    for task in context["task"].get_flat_relatives(upstream=True):
        if hasattr(getattr(task, "operator_class", type(task)), "generation_type"):
            pull = partial(context["ti"].xcom_pull, task_ids=task.task_id, key=MANIFEST_KEY, **indexes)
            pulled = patiently(pull)
            several = [pulled] if isinstance(pulled, Mapping) or pulled is None else pulled
            yield from (manifest for manifest in several if isinstance(manifest, Mapping))


def publish_stored(context: Context, uris: Sequence[str]) -> None:
    """Push the URIs of stored videos."""
    patiently(lambda: context["ti"].xcom_push(key=STORED_URIS_KEY, value=list(uris)))


class Veo3VideosLink(BaseOperatorLink):
    """Link to the videos of the task on the Videos page."""

    name = "Videos"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:  # noqa: ARG002 - Airflow's
        """Return the page's URL, empty on Airflow 3.0, which has no such page."""
        return videos_url(ti_key)


class Veo3StoredVideoLink(BaseOperatorLink):
    """Link to the first stored video."""

    name = "Stored video"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:  # noqa: ARG002 - Airflow's
        """Return the video's page or URI, empty before the video is stored."""
        # called in the worker, with the operator that ran: Airflow logs a missing XCom as an error
        return next(map(console_url, getattr(operator, "stored_uris", ())), "")


def videos_path() -> str:
    """Return the path of the Videos page, below the path that Airflow is served at."""
    return f"{urlsplit(_base_url()).path}{VIDEOS_PREFIX}/videos"


def videos_url(ti_key: Any) -> str:
    """Return the URL of the Videos page that shows one task instance; empty on Airflow 3.0."""
    from airflow import __version__

    version = tuple(int(part) for part in __version__.split(".")[:2])
    if version < (3, 1):
        return ""
    shown = {"dag_id": ti_key.dag_id, "run_id": ti_key.run_id, "task_id": ti_key.task_id}
    if ti_key.map_index is not None and ti_key.map_index >= 0:
        shown["map_index"] = str(ti_key.map_index)
    page = f"{videos_path()}?{urlencode(shown)}"
    # below its own frame, Airflow's UI opens a page with a query since 3.3
    frame = f"{_base_url()}/plugin/{VIDEOS_ROUTE}" if version >= (3, 3) else _origin()
    return f"{frame}{page}"


def _base_url() -> str:
    url: str = conf.get("api", "base_url", fallback="") or ""
    return url.rstrip("/")


def _origin() -> str:
    parts = urlsplit(_base_url())
    return f"{parts.scheme}://{parts.netloc}" if parts.netloc else ""


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
