"""The map in the docstring of the package is of this package."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import TYPE_CHECKING

import airflow_provider_veo3

if TYPE_CHECKING:
    from collections.abc import Iterator

NAME = airflow_provider_veo3.__name__
ROOT = Path(airflow_provider_veo3.__path__[0])


def lines() -> list[list[str]]:
    """The modules and folders of each line of the map, from top to bottom."""
    drawn = re.findall(r"^    ((?:\w+/? )+)", airflow_provider_veo3.__doc__ or "", re.MULTILINE)
    return [line.split() for line in drawn]


def imports(file: Path) -> Iterator[str]:
    """What a file imports of the package, wherever it does; not what only type checkers read."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    for_types = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and id(node) not in for_types and node.module:
            package, _, inside = node.module.partition(".")
            if package == NAME:
                yield from [inside.partition(".")[0]] if inside else [alias.name for alias in node.names]


def test_it_has_every_module() -> None:
    there = {
        f"{path.name}/" if path.is_dir() else path.stem
        for path in ROOT.iterdir()
        if path.suffix == ".py" or (path / "__init__.py").exists()
    }
    assert sorted(name for line in lines() for name in line) == sorted(there - {"__init__"})


def test_imports_run_downward() -> None:
    height = {name.rstrip("/"): -number for number, line in enumerate(lines()) for name in line}
    upward = set()
    for file in ROOT.rglob("*.py"):
        importer = file.relative_to(ROOT).parts[0].removesuffix(".py")
        if importer not in ("__init__", "emulator"):
            upward |= {
                f"{importer} imports {name}"
                for name in imports(file)
                if name in height and height[name] > height[importer]
            }
    assert upward == set()
