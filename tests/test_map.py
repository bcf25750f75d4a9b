"""The house map in the package's docstring matches the package's folders and imports."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import airflow_provider_veo3

if TYPE_CHECKING:
    from collections.abc import Iterator

NAME = airflow_provider_veo3.__name__
ROOT = Path(airflow_provider_veo3.__path__[0])
ALONE = "emulator"


def floors() -> list[list[str]]:
    """Return the rooms of each floor of the map, from top to bottom."""
    drawn = re.findall(r"^    ((?:\w+/? )+)", airflow_provider_veo3.__doc__ or "", re.MULTILINE)
    return [line.replace("/", "").split() for line in drawn]


def imports(file: Path) -> Iterator[str]:
    """Yield the modules of the package that a file imports, wherever and for whatever."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.partition(".")[0] == NAME)
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.partition(".")[0] == NAME:
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                is_module = (ROOT.parent / f"{whole.replace('.', '/')}.py").exists()
                is_package = (ROOT.parent / whole.replace(".", "/") / "__init__.py").exists()
                yield whole if is_module or is_package else node.module


def name_of(file: Path) -> str:
    return ".".join([NAME, *file.relative_to(ROOT).with_suffix("").parts]).removesuffix(".__init__")


def room_of(module: str) -> str:
    """Return the folder or top-level module that a module is in; of the package itself, its name."""
    return module.split(".")[1] if "." in module else module


@cache
def graph() -> dict[str, set[str]]:
    """Return the imports of each module of the package."""
    return {name_of(file): set(imports(file)) for file in ROOT.rglob("*.py")}


def test_the_map_shows_every_room() -> None:
    there = {
        path.name if path.is_dir() else path.stem
        for path in ROOT.iterdir()
        if path.suffix == ".py" or (path / "__init__.py").exists()
    }
    assert sorted(room for floor in floors() for room in floor) == sorted(there - {"__init__", ALONE})


def test_imports_run_downward() -> None:
    height = {room: -number for number, floor in enumerate(floors()) for room in floor}
    height[NAME] = -len(floors())
    upward = {
        f"{importer} imports {imported}"
        for importer, found in graph().items()
        for imported in found
        if ALONE not in (room_of(importer), room_of(imported))
        and height[room_of(imported)] >= height[room_of(importer)]
        and room_of(imported) != room_of(importer)
    }
    assert upward == set()


def test_no_files_import_each_other_in_a_circle() -> None:
    left = {module: found - {module} for module, found in graph().items()}
    while free := {module for module, found in left.items() if not found & left.keys()}:
        left = {module: found for module, found in left.items() if module not in free}
    assert left == {}
