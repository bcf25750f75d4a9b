"""A local Airflow beside a local VEO3 API, for demo, chaos campaigns, benchmarks and tests."""

from __future__ import annotations
