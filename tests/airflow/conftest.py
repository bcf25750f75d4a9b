"""What the tests of this folder run on."""

from __future__ import annotations

from airflow_fixtures import _one_emulator, _soon, airflow_bundles, emulator, pictures

__all__ = ["_one_emulator", "_soon", "airflow_bundles", "emulator", "pictures"]
