"""The emulator is a second reading of the vendor's pages: it shares nothing with the client it judges."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import airflow_provider_veo3

PACKAGE = "airflow_provider_veo3"
EMULATOR = f"{PACKAGE}.emulator"
ROOT = Path(airflow_provider_veo3.__file__).parent


def imports(path: Path) -> set[str]:
    """The modules of this package that a file imports, with what it takes from them."""
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


FILES = sorted(ROOT.rglob("*.py"))
OURS = [path for path in FILES if path.is_relative_to(ROOT / "emulator")]
OTHERS = [path for path in FILES if path not in OURS]


def test_the_imports_are_seen():
    assert f"{EMULATOR}.config.settings.Settings" in imports(ROOT / "emulator" / "emulator.py")
    assert len(OURS) > 20
    assert len(OTHERS) > 5


def test_the_emulator_imports_nothing_from_the_rest():
    assert [(path.name, name) for path in OURS for name in imports(path) if not inside(name)] == []


def test_the_rest_imports_nothing_from_the_emulator():
    assert [(path.name, name) for path in OTHERS for name in imports(path) if inside(name)] == []


def run(code: str) -> str:
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return answer.stdout.strip()


def test_importing_the_package_loads_nothing_of_the_extra():
    code = (
        f"import sys, {EMULATOR}\n"
        f"from {EMULATOR} import Settings\n"
        "print(sorted({'av', 'PIL', 'starlette', 'uvicorn'} & sys.modules.keys()))"
    )
    assert run(code) == "[]"


@pytest.mark.parametrize("missing", ["av", "PIL", "starlette", "uvicorn"])
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
