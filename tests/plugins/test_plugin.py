"""Registration of the Videos page in Airflow, and what it costs processes that never show it."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import entry_points

import pytest

from airflow_provider_veo3.plugins.plugin import Veo3VideosPlugin, external_views
from tests.support.airflow_versions import AIRFLOW

SCRIPT = """
import json, sys
import airflow.sdk.execution_time.task_runner  # what a worker has imported before any plugin
from airflow.plugins_manager import AirflowPlugin
before = set(sys.modules)
import airflow_provider_veo3.plugins.plugin
print(json.dumps(sorted(set(sys.modules) - before)))
"""

OWN = ["airflow_provider_veo3.plugins", "airflow_provider_veo3.plugins.plugin"]
HEAVY = {"fastapi", "starlette", "sqlalchemy", "pydantic", "requests", "httpx", "fsspec"}


def test_airflow_finds_the_plugin_by_its_entry_point() -> None:
    found = [each.load() for each in entry_points(group="airflow.plugins") if each.name == "veo3_videos"]
    assert found == [Veo3VideosPlugin]


def test_a_worker_imports_no_library_for_it() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    modules = json.loads(done.stdout.splitlines()[-1])
    assert {name.partition(".")[0] for name in modules} & HEAVY == set()
    assert [name for name in modules if name.startswith("airflow_provider_veo3.plugins")] == OWN


@pytest.mark.skipif(AIRFLOW >= (3, 1), reason="Airflow has the page since 3.1")
def test_nothing_is_registered_on_airflow_3_0() -> None:
    assert not Veo3VideosPlugin.fastapi_apps
    assert not getattr(Veo3VideosPlugin, "external_views", [])


@pytest.mark.skipif(AIRFLOW < (3, 1), reason="Airflow 3.0 has no Videos page")
def test_the_page_is_registered_and_the_tab_where_it_is_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [app["url_prefix"] for app in Veo3VideosPlugin.fastapi_apps] == ["/veo3"]
    monkeypatch.delenv("AIRFLOW__VEO3__GALLERY_RUN_TAB", raising=False)
    by_default = ["nav", "dag_run"] if AIRFLOW >= (3, 4) else ["nav"]
    assert [view["destination"] for view in external_views()] == by_default
    monkeypatch.setenv("AIRFLOW__VEO3__GALLERY_RUN_TAB", "True")
    page, tab = external_views()
    assert (page["category"], page["href"]) == ("browse", "/veo3/videos")
    assert tab["href"] == "/veo3/videos?dag_id={DAG_ID}&run_id={RUN_ID}"
    assert ("applies_to" in tab) == (AIRFLOW >= (3, 4))
    monkeypatch.setenv("AIRFLOW__VEO3__GALLERY_RUN_TAB", "False")
    assert [view["destination"] for view in external_views()] == ["nav"]


@pytest.mark.skipif(AIRFLOW < (3, 1), reason="Airflow 3.0 has no Videos page")
def test_the_page_is_below_the_path_of_airflow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://example.org/airflow/")
    assert external_views()[0]["href"] == "/airflow/veo3/videos"
