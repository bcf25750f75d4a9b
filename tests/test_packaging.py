"""What a user gets from the package index: the wheel, installed apart from this checkout."""

from __future__ import annotations

import importlib.metadata
import json
import re
import sys
import zipfile
from email.parser import HeaderParser
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from airflow_provider_veo3 import __version__, get_provider_info
from tests.support.distributions import CHECKOUT, build_distributions, run

NAME = "airflow-provider-veo3"
PACKAGE = "airflow_provider_veo3"
DIST_INFO = f"{PACKAGE}-{__version__}.dist-info"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from the source distribution."""
    _, wheel = build_distributions(tmp_path_factory.mktemp("dist"))
    return wheel


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds the installed wheel and nothing else."""
    folder = tmp_path_factory.mktemp("installed")
    words = ["install", "--quiet", "--no-index", "--no-deps", "--target", str(folder), str(wheel)]
    run(sys.executable, "-m", "pip", *words)
    return folder


def python(installed: Path, *words: str) -> str:
    """Run Python with the installed wheel before this checkout, and away from it."""
    return run(sys.executable, *words, cwd=installed.parent, PYTHONPATH=str(installed))


LIST = """
import json, sys
from airflow.cli.cli_parser import get_parser
for command in json.loads(sys.argv[1]):
    print(f"<{command}>")
    arguments = get_parser().parse_args(["providers", *command.split(), "--output", "json"])
    arguments.func(arguments)
    sys.stdout.flush()
"""


@pytest.fixture(scope="module")
def listed(installed: Path) -> dict[str, list[dict[str, Any]]]:
    """What ``airflow providers`` prints with the installed wheel, by command; all in one process."""
    commands = ("list", f"get {NAME}", "hooks", "links", "triggers")
    printed = python(installed, "-c", LIST, json.dumps(commands))
    return {command: rows_of(printed.partition(f"<{command}>")[2]) for command in commands}


def rows_of(printed: str) -> list[dict[str, Any]]:
    """Return the first list in JSON of a text."""
    begin = re.search(r"^\[\s*\{", printed, re.MULTILINE)  # Airflow 3.0 prints its log there too
    assert begin is not None, printed
    rows: list[dict[str, Any]]
    rows, _ = json.JSONDecoder().raw_decode(printed, begin.start())
    return rows


def test_wheel_holds_the_package_and_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names} == {PACKAGE, DIST_INFO}
    files = {
        str(path.relative_to(CHECKOUT))
        for path in (CHECKOUT / PACKAGE).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert f"{PACKAGE}/py.typed" in files
    assert {name for name in names if name.startswith(f"{PACKAGE}/")} == files


def test_metadata(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        metadata = HeaderParser().parsestr(archive.read(f"{DIST_INFO}/METADATA").decode())
        entry_points = archive.read(f"{DIST_INFO}/entry_points.txt").decode()
        licence = archive.read(f"{DIST_INFO}/licenses/LICENSE").decode()
    assert metadata["Name"] == NAME
    assert metadata["Version"] == __version__
    assert metadata["License-Expression"] == "Apache-2.0"
    assert "Apache License" in licence
    assert metadata["Requires-Python"] == ">=3.11"
    assert metadata.get_all("Provides-Extra") == ["azure", "emulator", "gcs", "openlineage", "s3"]
    assert entry_points.split() == [
        "[airflow.plugins]",
        "veo3_videos",
        "=",
        f"{PACKAGE}.plugins.plugin:Veo3VideosPlugin",
        "[apache_airflow_provider]",
        "provider_info",
        "=",
        f"{PACKAGE}:get_provider_info",
    ]
    required = [line for line in metadata.get_all("Requires-Dist") or () if "extra ==" not in line]
    assert {line.split(">")[0] for line in required} == {
        "apache-airflow",
        "asgiref",
        "certifi",
        "httpcore[asyncio]",
        "pendulum",
    }


def test_provider_info_has_the_shape_that_airflow_demands() -> None:
    (entry_point,) = [
        point
        for point in importlib.metadata.entry_points(group="apache_airflow_provider")
        if point.module == PACKAGE
    ]
    info = entry_point.load()()
    airflow = Path(next(iter(__import__("airflow").__path__)))
    jsonschema.validate(info, json.loads((airflow / "provider_info.schema.json").read_text()))
    # Airflow's own schema of the fields of connection forms, which it reads but does not check at run time.
    full = json.loads((airflow / "provider.yaml.schema.json").read_text())
    jsonschema.validate(
        info["connection-types"],
        full["properties"]["connection-types"] | {"definitions": full.get("definitions", {})},
    )


def test_every_module_and_class_that_it_names_is_there(installed: Path) -> None:
    script = """
import importlib, pkgutil, airflow_provider_veo3
info = airflow_provider_veo3.get_provider_info()
for kind in ("hooks", "operators", "sensors", "triggers"):
    for entry in info[kind]:
        for module in entry["python-modules"]:
            print(importlib.import_module(module).__file__)
for entry in info["connection-types"]:
    pkgutil.resolve_name(entry["hook-class-name"])
for entry in info["task-decorators"]:
    pkgutil.resolve_name(entry["class-name"])
for link in info["extra-links"]:
    pkgutil.resolve_name(link)()
"""
    files = python(installed, "-c", script).splitlines()
    assert [file for file in files if not file.startswith(str(installed))] == []
    info = get_provider_info()
    kinds = ("hooks", "operators", "sensors", "triggers")
    assert len(files) == sum(len(entry["python-modules"]) for kind in kinds for entry in info[kind])


def test_airflow_lists_the_provider(listed: dict[str, list[dict[str, Any]]]) -> None:
    rows = {row["package_name"]: row for row in listed["list"]}
    assert rows[NAME]["version"] == __version__
    (got,) = listed[f"get {NAME}"]
    assert got["Version"] == __version__


def test_airflow_lists_hook_links_and_triggers(listed: dict[str, list[dict[str, Any]]]) -> None:
    hooks = {row["connection_type"]: row for row in listed["hooks"]}
    assert hooks["veo3"]["class"] == "airflow_provider_veo3.hooks.veo3.Veo3Hook"
    assert hooks["veo3"]["conn_id_attribute_name"] == "veo3_conn_id"
    links = {row["extra_link_class_name"] for row in listed["links"]}
    assert set(get_provider_info()["extra-links"]) <= links
    assert [row for row in listed["triggers"] if row["package_name"] == NAME] != []
