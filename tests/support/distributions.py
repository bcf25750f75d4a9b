"""The distributions of this checkout, built as an installer would build them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]


def build_distributions(folder: Path) -> tuple[Path, Path]:
    """Build the source distribution, and from it the wheel; return the two files."""
    _build(CHECKOUT, "sdist", folder)
    sdist = next(folder.glob("*.tar.gz"))
    source = folder / "source"
    run(sys.executable, "-m", "tarfile", "-e", str(sdist), str(source))
    _build(next(source.iterdir()), "wheel", folder)
    return sdist, next(folder.glob("*.whl"))


def _build(project: Path, target: str, folder: Path) -> None:
    run(sys.executable, "-m", "hatchling", "build", "-t", target, "-d", str(folder), cwd=project)


def run(*words: str, cwd: Path | None = None, **env: str) -> str:
    """Run a command, and return what it prints to its standard output."""
    done = subprocess.run(words, cwd=cwd, env=os.environ | env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{words} ended with status {done.returncode}:\n{done.stdout}\n{done.stderr}"
    return done.stdout
