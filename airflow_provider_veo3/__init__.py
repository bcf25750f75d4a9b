"""Apache Airflow provider for the VEO3 video generation API."""

from __future__ import annotations

__version__ = "0.1.0"
