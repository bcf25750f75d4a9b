"""The emulator imports nothing of the rest of the package, and its own floors downward only."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import airflow_provider_veo3
from airflow_provider_veo3 import emulator

PACKAGE = "airflow_provider_veo3"
EMULATOR = f"{PACKAGE}.emulator"
ROOT = Path(airflow_provider_veo3.__file__).parent


def imports(path: Path) -> set[str]:
    """Return the names that a file imports from this package, each with its module."""
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(parts[: -node.level]) if node.level else ""
            module = ".".join(part for part in (base, node.module) if part)
            found |= {f"{module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            # A module named in a text may be imported by name.
            found |= {node.value} if node.value.startswith(EMULATOR) else set()
    return {name for name in found if name == PACKAGE or name.startswith(f"{PACKAGE}.")}


def inside(name: str) -> bool:
    return name == EMULATOR or name.startswith(f"{EMULATOR}.")


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT.parent).with_suffix("").parts)


def room_of(name: str) -> str:
    """Return the folder or file of the emulator that a name is in, or ``emulator`` for the package itself."""
    below = name.removeprefix(f"{EMULATOR}.").partition(".")[0]
    return below if (ROOT / "emulator" / below).is_dir() or below == "__main__" else "emulator"


FILES = sorted(ROOT.rglob("*.py"))
OURS = [path for path in FILES if path.is_relative_to(ROOT / "emulator")]
OTHERS = [path for path in FILES if path not in OURS]
FLOORS = [
    line.replace("/", "").split()
    for line in re.findall(r"^    ((?:\w+/? )+)", emulator.__doc__ or "", re.MULTILINE)
]


def test_the_imports_are_seen():
    assert f"{EMULATOR}.config.settings.Settings" in imports(ROOT / "emulator" / "emulator.py")
    assert len(OURS) > 20
    assert len(OTHERS) > 5


def test_the_emulator_imports_nothing_from_the_rest():
    assert [(path.name, name) for path in OURS for name in imports(path) if not inside(name)] == []


def test_the_rest_imports_nothing_from_the_emulator():
    assert [(path.name, name) for path in OTHERS for name in imports(path) if inside(name)] == []


def test_the_docstring_shows_every_floor():
    there = {path.name if path.is_dir() else path.stem for path in (ROOT / "emulator").iterdir()}
    assert sorted(room for floor in FLOORS for room in floor) == sorted(there - {"__init__", "__pycache__"})


def test_imports_run_downward():
    height = {room: -number for number, floor in enumerate(FLOORS) for room in floor}
    upward = [
        (path.name, name)
        for path in OURS
        for name in imports(path) - {EMULATOR}  # that is the logger's name
        if height[room_of(name)] >= height[room_of(module_of(path))]
        and room_of(name) != room_of(module_of(path))
    ]
    assert upward == []


def run(code: str) -> str:
    response = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return response.stdout.strip()


def test_importing_the_package_loads_nothing_of_the_extra():
    code = (
        f"import sys, {EMULATOR}\n"
        f"from {EMULATOR} import Settings\n"
        "print(sorted({'av', 'PIL', 'starlette', 'uvicorn'} & sys.modules.keys()))"
    )
    assert run(code) == "[]"


@pytest.mark.parametrize("missing", ["av", "PIL", "pydantic", "starlette", "uvicorn"])
def test_a_missing_extra_is_named(missing):
    code = (
        f"import sys; sys.modules[{missing!r}] = None\n"
        f"import {EMULATOR}\n"
        "try:\n"
        f"    from {EMULATOR} import Emulator\n"
        "except ImportError as error:\n"
        "    print(error)"
    )
    assert run(code).endswith("pip install 'airflow-provider-veo3[emulator]'")
