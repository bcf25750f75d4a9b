"""Airflow connection to VEO3 transport."""

from __future__ import annotations
