"""The extras as pip resolves them, from its package index, with the Airflow of this environment."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
EXTRAS = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))["project"][
    "optional-dependencies"
]

BRINGS = {
    "azure": "adlfs",
    "emulator": "uvicorn",
    "gcs": "gcsfs",
    "openlineage": "openlineage-python",
    "s3": "s3fs",
}
"""Extras for users, and a distribution that each is there for."""

MOST_VERSIONS = 30
"""Versions of one distribution that pip may try. Airflow itself takes about 20 of fastapi."""

HANGS = 570
"""Seconds after which pip is ended. The number of versions is asserted; time depends on the machine."""


def test_every_extra_is_known_here() -> None:
    assert set(EXTRAS) == set(BRINGS)


@pytest.mark.parametrize("extra", sorted(BRINGS))
def test_pip_resolves_an_extra_without_a_long_search(extra: str, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    # as in an empty environment: what is installed here is not taken
    words = ["install", "--dry-run", "--ignore-installed", "--no-build-isolation", "--report", str(report)]
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pip", "--no-input", *words),
            f"{CHECKOUT}[{extra}]",
            f"apache-airflow=={version('apache-airflow')}",
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=HANGS,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]

    resolved = json.loads(report.read_text(encoding="utf-8"))["install"]
    names = {normalized(each["metadata"]["name"]) for each in resolved}
    assert {BRINGS[extra], "apache-airflow", "airflow-provider-veo3"} <= names

    tried = versions_tried(done.stdout)
    assert set(tried) & names, "the output of pip is not understood"
    searched = {name: sorted(found) for name, found in tried.items() if len(found) > MOST_VERSIONS}
    assert searched == {}, "lower bounds in pyproject.toml spare pip this search"


def versions_tried(output: str) -> dict[str, set[str]]:
    """Return the versions of each distribution that pip's output says were fetched."""
    tried: dict[str, set[str]] = {}
    for name, number in re.findall(
        r"^\s*(?:Downloading|Using cached) ([\w.]+)-(\d[^-\s]*?)(?:-|\.tar|\.zip)", output, re.MULTILINE
    ):
        tried.setdefault(normalized(name), set()).add(number)
    return tried


def normalized(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
