"""Names of Airflow that the package takes from Airflow itself."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from airflow_provider_veo3 import airflow_names
from tests.support.pages import CHECKOUT, blocks

if TYPE_CHECKING:
    from collections.abc import Iterator

COMPAT = "airflow.providers.common.compat"
SOURCES = sorted(
    path for folder in ("airflow_provider_veo3", "example_dags") for path in (CHECKOUT / folder).rglob("*.py")
)


def imported(source: str) -> Iterator[str]:
    """Yield the modules that a source imports, wherever and for whatever."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def typed_names() -> list[str]:
    """Return the names that a type checker sees."""
    source = Path(airflow_names.__file__).read_text(encoding="utf-8")
    (block,) = [
        node
        for node in ast.parse(source).body
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name)
    ]
    return [alias.name for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names]


@pytest.mark.parametrize("name", sorted({*airflow_names.__all__} - {"conf"}))
def test_this_airflow_has_every_name(name: str) -> None:
    assert getattr(airflow_names, name).__name__ == {"XCom": "BaseXCom"}.get(name, name)


def test_the_configuration_is_the_installed_airflow_s() -> None:
    assert airflow_names.conf.get("core", "dags_folder")


def test_a_type_checker_knows_the_same_names() -> None:
    assert sorted(typed_names()) == sorted(airflow_names.__all__)


def test_other_names_are_refused() -> None:
    with pytest.raises(ImportError, match="BaseHok"):
        from airflow_provider_veo3.airflow_names import BaseHok  # type: ignore[attr-defined] # noqa: F401


def test_nothing_imports_the_compatibility_provider() -> None:
    """Airflow's constraints hold it back, so that a release which needs a newer one cannot be installed."""
    found = {
        str(path.relative_to(CHECKOUT)): [
            name for name in imported(path.read_text(encoding="utf-8")) if name.startswith(COMPAT)
        ]
        for path in SOURCES
    }
    found |= {str(block): [COMPAT] for block in blocks() if COMPAT in block.text}
    assert {file: names for file, names in found.items() if names} == {}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(CHECKOUT).as_posix())
def test_no_private_name_is_looked_up_by_its_text(path: Path) -> None:
    """The linter finds private names only where they are written as attributes."""
    looked_up = [
        node.args[1].value
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and ast.unparse(node.func).endswith(("getattr", "hasattr", "setattr"))
        and len(node.args) > 1
        and isinstance(node.args[1], ast.Constant)
    ]
    assert [name for name in looked_up if name.startswith("_") and not name.endswith("__")] == []
