"""The list of what a release needs, in the form of CycloneDX."""

from __future__ import annotations

import json

from airflow_provider_veo3 import __version__
from tests.support.distributions import CHECKOUT, run


def test_the_list_names_the_release_and_what_it_needs() -> None:
    run("make", "sbom", cwd=CHECKOUT)
    listed = json.loads((CHECKOUT / "dist" / "sbom.cdx.json").read_text(encoding="utf-8"))
    release = listed["metadata"]["component"]
    assert (release["name"], release["version"]) == ("airflow-provider-veo3", __version__)
    versions = {component["name"]: component["version"] for component in listed["components"]}
    assert {"apache-airflow", "asgiref", "httpx", "pendulum", "requests"} <= versions.keys()
    assert not {"pytest", "ruff", "mypy"} & versions.keys(), "what only a checkout needs"
