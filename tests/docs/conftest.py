"""What the tests of tests/airflow run on, and the data that the snippets of the docs name."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from types import ModuleType

    from airflow_provider_veo3.emulator import Emulator

BESIDE = Path(__file__).parent.parent / "airflow"
sys.path.append(str(BESIDE))  # task_runs, connections

PROMPTS = 'prompt,seed\n"A kite over dunes",1\n"A kite over the sea",\n'


def _load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("airflow_fixtures", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


fixtures = _load(BESIDE / "conftest.py")
airflow_bundles = fixtures.airflow_bundles
_one_emulator = fixtures._one_emulator
emulator = fixtures.emulator


@pytest.fixture
def account(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> Emulator:
    """An emulator that the connections which the docs name lead to."""
    from connections import use_connection

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
