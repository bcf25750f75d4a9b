"""Connections and files that the code blocks of the documentation name."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_provider_veo3.emulator import Emulator

PROMPTS = '\ufeffprompt;seed\r\n"A kite; over dunes";1\r\n;\r\n\r\nA kite over the sea;\r\n'
"""List of prompts as Excel writes it, with empty rows."""


@pytest.fixture
def account(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> Emulator:
    """Emulator behind every connection that the documentation names."""
    from tests.support.connections import use_connection

    use_connection(monkeypatch, emulator, "veo3_second")
    return emulator


@pytest.fixture
def bucket(tmp_path: Path) -> Path:
    """Folder in place of the bucket that the documentation names, with its pictures and prompts."""
    from PIL import Image

    bucket = tmp_path / "bucket"
    (bucket / "pictures").mkdir(parents=True)
    for name in ("balloon.jpg", "sunrise.png", "night.png"):
        Image.new("RGB", (32, 18), "navy").save(bucket / "pictures" / name)
    (bucket / "prompts.csv").write_text(PROMPTS, encoding="utf-8", newline="")
    return bucket
