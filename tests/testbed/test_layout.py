"""Imports of testbed, demo, chaos and benchmarks: only the testbed is shared."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

import pytest

from testbed.local_airflow import CHECKOUT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FOLDERS = ("testbed", "demo", "chaos", "benchmarks")
OURS = (*FOLDERS, "tests")
ALLOWED = {"testbed": set[str](), "demo": {"testbed"}, "chaos": {"testbed"}, "benchmarks": {"testbed"}}


def module_name(file: Path) -> str:
    return ".".join(file.relative_to(CHECKOUT).with_suffix("").parts).removesuffix(".__init__")


def is_module(name: str) -> bool:
    path = CHECKOUT / name.replace(".", "/")
    return path.with_suffix(".py").exists() or (path / "__init__.py").exists()


def imported_modules(file: Path) -> Iterator[str]:
    """Yield all modules that a file imports, also inside functions and for type checking."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            for alias in node.names:
                name = f"{module}.{alias.name}"
                yield name if is_module(name) else module


def graph(folder: str) -> dict[str, set[str]]:
    """Return the imports of each module in a folder."""
    files = sorted((CHECKOUT / folder).rglob("*.py"))
    assert files
    return {module_name(file): set(imported_modules(file)) for file in files}


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_folder_imports_none_but_itself_and_the_testbed(folder: str) -> None:
    forbidden = set(OURS) - ALLOWED[folder] - {folder}
    found = {
        f"{importer} imports {name}"
        for importer, names in graph(folder).items()
        for name in names
        if name.split(".")[0] in forbidden
    }
    assert found == set()


@pytest.mark.parametrize("folder", FOLDERS)
def test_imports_are_absolute(folder: str) -> None:
    assert [name for names in graph(folder).values() for name in names if name.startswith(".")] == []


@pytest.mark.parametrize("folder", FOLDERS)
def test_no_files_of_a_folder_import_each_other_in_a_circle(folder: str) -> None:
    left = {module: names - {module} for module, names in graph(folder).items()}
    while free := {module for module, names in left.items() if not names & left.keys()}:
        left = {module: names for module, names in left.items() if module not in free}
    assert left == {}


def drawn_floors(folder: str) -> list[list[str]]:
    """Return the files of each floor in a package's docstring, from top to bottom."""
    docstring = ast.get_docstring(ast.parse((CHECKOUT / folder / "__init__.py").read_text())) or ""
    lines = [line.strip() for line in docstring.splitlines() if line.startswith("    ")]
    return [line.split("   ")[0].split() for line in lines]


@pytest.mark.parametrize("folder", ["testbed", "chaos", "benchmarks"])
def test_imports_run_down_the_floors_that_the_docstring_draws(folder: str) -> None:
    height = {
        f"{folder}.{name}": -number for number, floor in enumerate(drawn_floors(folder)) for name in floor
    }
    imports = {
        module: {name for name in names if name.startswith(f"{folder}.")}
        for module, names in graph(folder).items()
        if module != folder and not module.startswith(f"{folder}.dags.")
    }
    assert height.keys() == imports.keys()
    upward = {
        (module, name)
        for module, names in imports.items()
        for name in names
        if height[name] >= height[module]
    }
    assert upward == set()
