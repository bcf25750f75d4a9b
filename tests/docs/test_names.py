"""Names, paths and links in the documentation: each exists."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import re
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest

import airflow_provider_veo3
from tests.support.airflow_versions import AIRFLOW
from tests.support.pages import CHECKOUT, PAGES, anchors, code_spans, links

if TYPE_CHECKING:
    from pathlib import Path

PACKAGE = CHECKOUT / "airflow_provider_veo3"
GENERATED = ("videos/", ".matrix/", "dist/", "requirements.txt")
"""Folders that commands create, and a file of the reader's own."""

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)

NEWER = ("retry_policy", "task_state_store")
"""Names that only a newer Airflow may have."""

NEWER_SECTIONS = {"state_store"} if AIRFLOW < (3, 3) else set[str]()
"""Sections of Airflow's configuration that this Airflow does not have."""

ELSEWHERE = {} if AIRFLOW >= (3, 3) else {"Veo3RetryPolicy": "airflow_provider_veo3.retry_policy"}
"""Classes in modules that this Airflow cannot import: see test_retry_policy."""


@cache
def modules() -> tuple[Any, ...]:
    """Return all modules of the package except those that run when imported."""
    found = pkgutil.walk_packages(airflow_provider_veo3.__path__, "airflow_provider_veo3.")
    names = {each.name for each in found if not each.name.endswith("__main__")}
    assert names >= set(ELSEWHERE.values())
    return tuple(importlib.import_module(name) for name in sorted(names - set(ELSEWHERE.values())))


@cache
def classes() -> dict[str, type]:
    """Return the classes of the package by name."""
    return {
        name: value
        for module in modules()
        for name, value in vars(module).items()
        if inspect.isclass(value) and value.__module__.startswith("airflow_provider_veo3")
    }


@cache
def words() -> frozenset[str]:
    """Return every name and word in the package's code, Airflow's tables, and parameters of its classes."""
    from airflow.sdk import DAG, BaseOperator, BaseSensorOperator
    from airflow.utils.db_cleanup import config_list

    found: set[str] = {*NEWER, *(table.table_name for table in config_list)}
    for cls in (DAG, BaseOperator, BaseSensorOperator):
        found.update(inspect.signature(cls).parameters)
        found.update(inspect.signature(cls.__init__).parameters)
    for file in (CHECKOUT / "airflow_provider_veo3").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Name | ast.arg | ast.keyword | ast.Attribute | ast.FunctionDef):
                for field in ("id", "arg", "attr", "name"):
                    found.add(str(getattr(node, field, "")))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.update(re.findall(r"\w+", node.value))
    return frozenset(found)


@each_page
def test_classes_and_their_attributes_exist(page: Path) -> None:
    missing = []
    for span in code_spans(page):
        for name, attribute in re.findall(r"\b(Veo3\w+|Emulator|Settings|Fault)\b(?:\.(\w+))?", span):
            if name in ELSEWHERE:
                continue
            cls = classes().get(name)
            if cls is None or (attribute and not hasattr(cls, attribute)):
                missing.append(span)
    assert missing == []


@each_page
def test_parameters_and_options_exist(page: Path) -> None:
    from airflow.configuration import conf

    missing = []
    for span in code_spans(page):
        option = re.fullmatch(r"\[(\w+)\] (\w+)( = .*)?", span)
        if option is not None:
            if option[1] not in NEWER_SECTIONS and not conf.has_option(option[1], option[2]):
                missing.append(span)
            continue
        name = re.match(r"([a-z]\w*)=", span) or re.fullmatch(r"([a-z][a-z0-9]*(?:_[a-z0-9]+)+)", span)
        if name is not None and name[1] not in words():
            missing.append(span)
    assert missing == []


@each_page
def test_make_targets_exist(page: Path) -> None:
    from tests.support.shell import MAKEFILE

    targets = [words.split()[1] for words in code_spans(page) if words.startswith("make ")]
    assert [name for name in targets if not re.search(rf"^{name}:", MAKEFILE, re.MULTILINE)] == []


@each_page
def test_links_have_targets(page: Path) -> None:
    dead = []
    for link in links(page):
        if re.match(r"https?:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            dead.append(link)
    assert dead == []


@each_page
def test_paths_exist(page: Path) -> None:
    missing = []
    for span in code_spans(page):
        path = re.match(r"[\w./-]+\.(?:py|md|toml|txt|csv)$|[a-z_][\w/-]*/$", span)
        if path is None or span in GENERATED:
            continue
        if not any((folder / span).exists() for folder in (CHECKOUT, PACKAGE)):
            missing.append(span)
    assert missing == []


@pytest.mark.skipif(AIRFLOW < (3, 3), reason="one Airflow is enough")
def test_the_reference_has_every_public_class() -> None:
    """Public are the classes that the provider info lists: operators, sensors, triggers, hooks, links."""
    info = airflow_provider_veo3.get_provider_info()
    named = [
        module
        for kind in ("operators", "sensors", "triggers", "hooks")
        for each in info.get(kind, ())
        for module in each["python-modules"]
    ]
    reference = (CHECKOUT / "docs" / "reference.md").read_text(encoding="utf-8")
    public = [
        f"{module}.{name}"
        for module in named
        for name, value in vars(importlib.import_module(module)).items()
        if inspect.isclass(value) and value.__module__ == module and not name.startswith("_")
    ]
    assert public
    assert [name for name in public + info["extra-links"] if name not in reference] == []


def test_the_guide_lists_every_option_of_the_api() -> None:
    from airflow_provider_veo3.parameters import OPTIONS

    text = (CHECKOUT / "docs" / "generate.md").read_text(encoding="utf-8")
    table = text[text.index("| Option | Takes | Default |") :].partition("\n\n")[0]
    assert re.findall(r"^\| `(\w+)`", table, re.MULTILINE) == list(OPTIONS)


def test_the_picture_of_the_house_has_every_floor() -> None:
    picture = (CHECKOUT / "docs" / "images" / "house.svg").read_text(encoding="utf-8")
    drawn = re.findall(r'<text class="m" [^>]*>([^<]+)</text>', picture)
    on_the_map = re.findall(r"^    ((?:\w+/? )+)", airflow_provider_veo3.__doc__ or "", re.MULTILINE)
    floors = [line.split() for line in on_the_map]
    assert [line.split() for line in drawn] == [*floors, ["emulator/"]]


def test_the_guide_lists_the_whole_control_api() -> None:
    from airflow_provider_veo3.emulator.http.control_app import PATHS, PREFIX

    text = next(page.read_text(encoding="utf-8") for page in PAGES if page.name == "testing.md")
    listed = re.findall(r"^\| `(/\S*)` \| ([A-Z, ]+) \|", text, re.MULTILINE)
    assert {PREFIX + path: methods.split(", ") for path, methods in listed} == {
        path: list(methods) for path, methods in PATHS.items()
    }
