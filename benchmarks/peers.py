"""Environment with the peers: other providers and an S3 server, which the benchmarks compare with.

It is built in ``.bench-venv`` from ``peers.txt`` when it is first needed, and again when that file changes.
This checkout is measured in the same environment, from the working directory.
"""

from __future__ import annotations

import functools
import subprocess
import sys
from pathlib import Path
from typing import Final

from benchmarks.harness import REPOSITORY, show_progress

PINS: Final = Path(__file__).with_name("peers.txt")
FOLDER: Final = REPOSITORY / ".bench-venv"


@functools.cache
def python() -> str:
    """Return the interpreter of the environment, and build that if necessary, which takes minutes."""
    interpreter = FOLDER / "bin" / "python"
    stamp = FOLDER / "installed.txt"
    if not stamp.exists() or stamp.read_text() != PINS.read_text():
        show_progress(f"installing {PINS.name} into {FOLDER.name}, which takes some minutes")
        subprocess.run([sys.executable, "-m", "venv", FOLDER], check=True)
        (FOLDER / ".gitignore").write_text("*\n")
        # without dependencies: all packages are pinned, and resolving them would take pip very long
        pip = [
            str(interpreter),
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--no-deps",
        ]
        subprocess.run([*pip, "-r", str(PINS)], check=True)
        stamp.write_text(PINS.read_text())
    return str(interpreter)


def versions(*names: str) -> str:
    """Return the pinned versions of packages: ``moto 5.2.5, s3fs 2026.9.0``."""
    pinned = dict(
        line.split(";")[0].strip().split("==") for line in PINS.read_text().splitlines() if "==" in line
    )
    return ", ".join(f"{name.removeprefix('apache-airflow-providers-')} {pinned[name]}" for name in names)
