"""Airflow plugin that puts the Videos page into Airflow's UI.

Every Airflow process imports this module, workers included. FastAPI and SQLAlchemy are imported by the first
request only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from airflow import __version__

from airflow_provider_veo3.airflow_names import AirflowPlugin, conf
from airflow_provider_veo3.links import VIDEOS_PREFIX, VIDEOS_ROUTE, videos_path

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

AIRFLOW: Final = tuple(int(part) for part in __version__.split(".")[:2])

IS_SUPPORTED: Final = AIRFLOW >= (3, 1)
"""Airflow 3.0 has no place for the page, and would not check a DAG id in a query."""

HAS_SCOPED_TABS: Final = AIRFLOW >= (3, 4)
"""Whether a tab can be limited to the DAGs with a tag."""

TAG: Final = "veo3"
"""Tag of the DAGs whose runs have the tab, where Airflow can limit it to them."""


class LazyApp:
    """ASGI app that its first request builds, which only API servers receive."""

    def __init__(self) -> None:
        self._app: Any = None

    async def __call__(
        self,
        scope: MutableMapping[str, Any],
        receive: Callable[[], Awaitable[MutableMapping[str, Any]]],
        send: Callable[[MutableMapping[str, Any]], Awaitable[None]],
    ) -> None:
        """Build the app once, and pass the request on."""
        if self._app is None:
            from airflow_provider_veo3.plugins.app import build_app

            self._app = build_app()
        await self._app(scope, receive, send)


def external_views() -> list[dict[str, Any]]:
    """Return the page in the Browse menu, and the tab of a run if configured."""
    icon = f"{videos_path().rpartition('/')[0]}/static/icon.svg"
    page = {
        "name": "VEO3 videos",
        "destination": "nav",
        "category": "browse",
        "url_route": VIDEOS_ROUTE,
        "href": videos_path(),
        "icon": icon,
        "icon_dark_mode": icon.replace("icon.svg", "icon-dark.svg"),
    }
    if not conf.getboolean("veo3", "gallery_run_tab", fallback=HAS_SCOPED_TABS):
        return [page]
    tab: dict[str, Any] = {
        "name": "Videos",
        "destination": "dag_run",
        "url_route": "veo3-run-videos",
        "href": f"{videos_path()}?dag_id={{DAG_ID}}&run_id={{RUN_ID}}",
    }
    if HAS_SCOPED_TABS:
        tab["applies_to"] = {"dag.tags.name": [TAG]}
    return [page, tab]


class Veo3VideosPlugin(AirflowPlugin):
    """The Videos page: in the Browse menu, and as a tab of a DAG run."""

    name = "veo3_videos"
    if IS_SUPPORTED:
        fastapi_apps = [{"app": LazyApp(), "url_prefix": VIDEOS_PREFIX, "name": "VEO3 videos"}]
        external_views = external_views()
