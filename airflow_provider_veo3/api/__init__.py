"""The VEO3 protocol: no Airflow, no connection, no DAG."""

from __future__ import annotations
