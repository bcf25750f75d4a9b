"""The distributions as a package index receives them, judged by Python's own tools."""

from __future__ import annotations

import re
import sys
import zipfile
from email import message_from_bytes
from pathlib import Path
from typing import NamedTuple

import pytest

from airflow_provider_veo3 import __version__
from tests.support.distributions import CHECKOUT, build_distributions, run

TOOLS = Path(sys.executable).parent
CHANGELOG = (CHECKOUT / "CHANGELOG.md").read_text(encoding="utf-8")


class Distributions(NamedTuple):
    sdist: Path
    wheel: Path


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Distributions:
    return Distributions(*build_distributions(tmp_path_factory.mktemp("dist")))


@pytest.fixture(scope="module")
def page(built: Distributions) -> str:
    """The text that a package index shows."""
    with zipfile.ZipFile(built.wheel) as archive:
        (metadata,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        text = message_from_bytes(archive.read(metadata)).get_payload(decode=True)
    assert isinstance(text, bytes)
    return text.decode()


def test_twine_accepts_both(built: Distributions) -> None:
    run(sys.executable, "-m", "twine", "check", "--strict", *map(str, built))


def test_the_wheel_holds_what_a_wheel_should_hold(built: Distributions) -> None:
    assert "OK" in run(str(TOOLS / "check-wheel-contents"), str(built.wheel))


def test_pyroma_misses_nothing_but_an_address(built: Distributions) -> None:
    """The project has no address of its own for the author's e-mail, and invents none: 8 of 10."""
    printed = run(str(TOOLS / "pyroma"), "--min", "8", str(built.sdist))
    assert re.findall(r"^(?:Your|You|The|Specifying) .*", printed, re.MULTILINE) == [
        "Your package does not have author-email data."
    ]


def test_two_builds_are_the_same(built: Distributions, tmp_path: Path) -> None:
    again = Distributions(*build_distributions(tmp_path))
    assert [path.read_bytes() for path in again] == [path.read_bytes() for path in built]


def test_the_page_of_an_index_links_to_no_file(page: str) -> None:
    """An index has neither the other pages nor the pictures."""
    readme = (CHECKOUT / "README.md").read_text(encoding="utf-8")
    assert re.search(r"\]\((?!https?:)", readme)
    assert re.findall(r"!?\[[^\]]*\]\((?!https?:)[^)]*\)", page) == []


def test_the_page_of_an_index_keeps_the_text_of_its_links(page: str) -> None:
    assert page.startswith("# airflow-provider-veo3\n")
    assert "| Files are streamed, resumed, checked, and visible only when whole | downloading |" in page
    assert "(https://airflow.apache.org/" in page


def test_the_changelog_describes_this_version() -> None:
    assert re.findall(r"^## \[([\d.]+)\]", CHANGELOG, re.MULTILINE)[0] == __version__
