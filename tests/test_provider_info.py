"""The provider's description for Airflow: entry point, schema, form, classes by name."""

from __future__ import annotations

import importlib
import json
from importlib.metadata import entry_points
from importlib.resources import files
from importlib.util import find_spec
from typing import Any

import jsonschema
import pytest

from airflow_provider_veo3 import __version__, get_provider_info
from airflow_provider_veo3.hooks.connection_form import CONNECTION_TYPE
from tests.support.airflow_versions import AIRFLOW


@pytest.fixture(scope="module")
def manager() -> Any:
    from airflow.providers_manager import ProvidersManager

    return ProvidersManager()


def test_the_entry_point_leads_to_valid_provider_info() -> None:
    (entry,) = [
        entry
        for entry in entry_points(group="apache_airflow_provider")
        if entry.dist is not None and entry.dist.name == "airflow-provider-veo3"
    ]
    info = entry.load()()
    assert info == get_provider_info()
    assert entry.dist is not None
    assert info["package-name"] == entry.dist.name
    for name in ("provider_info.schema.json", "provider.yaml.schema.json"):
        schema = json.loads(files("airflow").joinpath(name).read_text())
        if name == "provider.yaml.schema.json":  # only its part on forms is for third parties
            schema = {
                "definitions": schema.get("definitions", {}),
                **schema["properties"]["connection-types"],
            }
            jsonschema.validate(info["connection-types"], schema)
        else:
            jsonschema.validate(info, schema)


def test_every_named_module_and_class_exists() -> None:
    info = get_provider_info()
    package = "airflow_provider_veo3"
    for kind in ("hooks", "operators", "sensors", "triggers"):
        modules = [name for entry in info[kind] for name in entry["python-modules"]]
        assert modules
        for name in modules:
            assert name.startswith(f"{package}.{kind}.")
            importlib.import_module(name)
    folder = files(package)
    for kind in ("hooks", "operators", "sensors", "triggers"):
        listed = {name.rpartition(".")[2] for entry in info[kind] for name in entry["python-modules"]}
        there = {path.name.removesuffix(".py") for path in folder.joinpath(kind).iterdir()}
        assert listed <= there
    for decorator in info["task-decorators"]:
        module, _, function = decorator["class-name"].rpartition(".")
        assert callable(getattr(importlib.import_module(module), function))
    from airflow.sdk import BaseOperatorLink

    for name in info["extra-links"]:
        module, _, cls = name.rpartition(".")
        assert issubclass(getattr(importlib.import_module(module), cls), BaseOperatorLink)


def test_airflow_lists_the_provider(manager: Any) -> None:
    provider = manager.providers["airflow-provider-veo3"]
    assert provider.version == __version__
    assert provider.data["name"] == "VEO3"
    assert {"airflow_provider_veo3.links.Veo3VideosLink"} <= set(manager.extra_links_class_names)


def hooks() -> Any:
    """Return Airflow's hooks by connection type, as tasks have them."""
    if AIRFLOW < (3, 2):
        from airflow.providers_manager import ProvidersManager

        return ProvidersManager().hooks
    from airflow.sdk.providers_manager_runtime import ProvidersManagerTaskRuntime

    return ProvidersManagerTaskRuntime().hooks


def test_airflow_finds_the_hook_and_its_connection_type() -> None:
    from airflow_provider_veo3.hooks.veo3 import Veo3Hook

    found = hooks()["veo3"]
    assert found.hook_class_name == "airflow_provider_veo3.hooks.veo3.Veo3Hook"
    assert (found.hook_name, found.connection_id_attribute_name) == ("VEO3", "veo3_conn_id")
    assert found.package_name == "airflow-provider-veo3"
    assert found.connection_testable
    assert Veo3Hook.conn_type == found.connection_type == "veo3"


@pytest.mark.skipif(AIRFLOW < (3, 2), reason="the form is drawn from the provider's info since Airflow 3.2")
def test_the_form_in_the_ui_matches_the_provider_info(manager: Any) -> None:
    behaviour = CONNECTION_TYPE["ui-field-behaviour"]
    shown = manager.field_behaviours["veo3"]
    assert list(shown["hidden_fields"]) == behaviour["hidden-fields"]
    assert shown["relabeling"] == behaviour["relabeling"]
    assert shown["placeholders"] == behaviour["placeholders"]
    widgets = {
        name.removeprefix("extra__veo3__"): widget.field
        for name, widget in manager.connection_form_widgets.items()
        if name.startswith("extra__veo3__")
    }
    assert set(widgets) == set(CONNECTION_TYPE["conn-fields"])
    for name, spec in CONNECTION_TYPE["conn-fields"].items():
        field = widgets[name]
        assert field["schema"] == {**spec["schema"], "title": spec["label"]}
        assert field["value"] == spec["schema"].get("default")
        assert field["description"] == spec["description"]


def test_the_defaults_of_the_form_pass_its_own_rules() -> None:
    for spec in CONNECTION_TYPE["conn-fields"].values():
        if "default" in spec["schema"]:
            jsonschema.validate(spec["schema"]["default"], spec["schema"])


@pytest.mark.skipif(AIRFLOW >= (3, 2), reason="Airflow draws the form without the hook")
@pytest.mark.skipif(
    bool(find_spec("flask_appbuilder")), reason="Flask-AppBuilder lets the hook draw its form"
)
def test_an_older_airflow_offers_the_type_and_draws_its_usual_fields() -> None:
    """Without Flask-AppBuilder the extras are given as JSON; only an INFO line reports it."""
    from airflow.api_fastapi.core_api.services.ui.connections import HookMetaService

    (shown,) = [each for each in HookMetaService.hook_meta_data() if each.connection_type == "veo3"]
    assert shown.hook_name == "VEO3"
    assert (shown.standard_fields, shown.extra_fields) == (None, None)


def test_the_forms_of_older_airflow_match_the_provider_info() -> None:
    from airflow_provider_veo3.hooks.veo3 import Veo3Hook

    behaviour = Veo3Hook.get_ui_field_behaviour()
    assert {name.replace("_", "-"): value for name, value in behaviour.items()} == CONNECTION_TYPE[
        "ui-field-behaviour"
    ]
