"""The provider beside Airflow's constraints, as pip resolves them: what managed services ask for."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.support.distributions import CHECKOUT

if TYPE_CHECKING:
    from pathlib import Path

FILES = {
    "3.0.6": "constraints/airflow-3.0.txt",
    "3.1.8": "constraints/airflow-3.1.txt",
    "3.2.2": "constraints/airflow-3.2.txt",
    "3.3.1": "constraints/airflow-3.3.1.txt",
    "3.3.2": "constraints.txt",
}
"""Constraints file of this repository by the Airflow that it pins."""

COMPAT = {"3.0.6": "1.7.3", "3.1.8": "1.14.0", "3.3.1": "1.18.0"}
"""Versions of the compatibility provider in Airflow's own files, as far as they are known."""

TOO_NEW = {"3.0.6": (3, 13)}
"""First Python that an Airflow does not support."""


def pins(airflow: str) -> dict[str, str]:
    """Return the pinned versions by name, without those for some Pythons only."""
    text = (CHECKOUT / FILES[airflow]).read_text(encoding="utf-8")
    found = re.findall(r"^([\w.-]+)==(\S+)$", text, re.MULTILINE)
    return {normalized(name): version for name, version in found}


def normalized(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.mark.parametrize("airflow", FILES)
def test_a_constraints_file_pins_its_airflow(airflow: str) -> None:
    assert pins(airflow)["apache-airflow"] == airflow


@pytest.mark.parametrize("airflow", COMPAT)
def test_nothing_is_newer_than_in_airflow_s_own_file(airflow: str) -> None:
    assert pins(airflow)["apache-airflow-providers-common-compat"] == COMPAT[airflow]


@pytest.mark.parametrize("airflow", FILES)
def test_pip_installs_the_provider_and_airflow_by_one_file(airflow: str, tmp_path: Path) -> None:
    if sys.version_info[:2] >= TOO_NEW.get(airflow, (4, 0)):
        pytest.skip(f"Airflow {airflow} does not support this Python")
    requirements, report = tmp_path / "requirements.txt", tmp_path / "report.json"
    requirements.write_text(f"apache-airflow=={airflow}\n{CHECKOUT}\n", encoding="utf-8")
    # as in an empty environment: what is installed here is not taken
    words = ["install", "--dry-run", "--ignore-installed", "--no-build-isolation", "--quiet"]
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pip", "--no-input", *words, "--report", str(report)),
            *("--requirement", str(requirements), "--constraint", str(CHECKOUT / FILES[airflow])),
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=570,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    resolved = {
        normalized(each["metadata"]["name"]): each["metadata"]["version"]
        for each in json.loads(report.read_text(encoding="utf-8"))["install"]
    }
    assert "airflow-provider-veo3" in resolved
    assert resolved["apache-airflow"] == airflow
    pinned = pins(airflow)
    unpinned = {name for name in resolved if name not in pinned}
    assert unpinned <= {"airflow-provider-veo3", "pyyaml-ft", "greenlet"}, "the file leaves versions open"
