"""Connections and files that the snippets of the docs name."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_provider_veo3.emulator import Emulator

PROMPTS = 'prompt,seed\n"A kite over dunes",1\n"A kite over the sea",\n'


@pytest.fixture
def account(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> Emulator:
    """An emulator that the connections which the docs name lead to."""
    from tests.support.connections import use_connection

    use_connection(monkeypatch, emulator, "veo3_second")
    return emulator


@pytest.fixture
def bucket(tmp_path: Path) -> Path:
    """A folder that stands for the bucket the docs name, with what they expect in it."""
    from PIL import Image

    bucket = tmp_path / "bucket"
    (bucket / "pictures").mkdir(parents=True)
    for name in ("balloon.jpg", "sunrise.png", "night.png"):
        Image.new("RGB", (32, 18), "navy").save(bucket / "pictures" / name)
    (bucket / "prompts.csv").write_text(PROMPTS, encoding="utf-8")
    return bucket
