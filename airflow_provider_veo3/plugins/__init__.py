"""The Videos page in Airflow's UI."""

from __future__ import annotations
