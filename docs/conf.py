"""Sphinx configuration of the site that `make docs` builds from this folder."""

from __future__ import annotations

import logging
import os
import re
import tempfile
from typing import TYPE_CHECKING

# importing operators makes Airflow write its configuration, which must not go to the home folder
os.environ.setdefault("AIRFLOW_HOME", tempfile.mkdtemp(prefix="veo3-docs-"))
os.environ.setdefault("AIRFLOW__CORE__HOSTNAME_CALLABLE", "socket.gethostname")

import airflow_provider_veo3

if TYPE_CHECKING:
    from sphinx.application import Sphinx

logging.getLogger("airflow").setLevel(logging.WARNING)  # it logs the path of its configuration

project = "airflow-provider-veo3"
author = "the authors of airflow-provider-veo3"
version = release = airflow_provider_veo3.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc"]
exclude_patterns = ["_build"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
python_maximum_signature_line_length = 100  # longer signatures have a line for each parameter

html_theme = "furo"
html_title = "VEO3 provider for Apache Airflow"
html_copy_source = False
html_show_sphinx = False
html_show_copyright = False


RESULTS = "\n```{include} ../benchmarks/RESULTS.md\n:heading-offset: 1\n```\n"
"""End of the page about performance, where a checkout has links to the file instead."""


def prepare_page(_app: Sphinx, page: str, source: list[str]) -> None:
    """Add the results of the benchmarks, and replace links to files that are no pages by their text."""
    if page == "performance":
        source[0] += RESULTS
    source[0] = re.sub(r"\[([^\]]+)\]\(\.\./[^)]+\.md(#[^)]*)?\)", r"\1", source[0])


def describe_tables(
    _app: Sphinx, _what: str, name: str, _documented: object, _options: object, lines: list[str]
) -> None:
    """Add the emulator's options and faults to their entries in the reference."""
    from airflow_provider_veo3.emulator import Settings
    from airflow_provider_veo3.emulator.config.options import choices_of
    from airflow_provider_veo3.emulator.service.faults import EVERYWHERE, KINDS

    if name.endswith(".Settings"):
        for option, field in Settings.model_fields.items():
            explained = [re.sub(r"([_*])", r"\\\1", field.description or "")]  # no markup
            if choices_of(field):
                explained.append(f"one of {', '.join(f'``{choice}``' for choice in choices_of(field))}")
            lines.append(f":param {option}: {'; '.join(explained)}. Default ``{field.default!r}``.")
    elif name.endswith(".Fault"):
        for kind, rule in KINDS.items():
            where = "anywhere" if rule.endpoints == EVERYWHERE else ", ".join(rule.endpoints)
            lines += ["", f"``{kind}`` ({where})", f"    {rule.does}"]
    lines.append("")


def setup(app: Sphinx) -> None:
    """Register the functions above; called by Sphinx."""
    app.connect("source-read", prepare_page)
    app.connect("autodoc-process-docstring", describe_tables)
