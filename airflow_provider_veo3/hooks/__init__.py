"""The hook, and the Airflow connection it reads."""

from __future__ import annotations
