"""`make demo` and `make ui`: the example DAGs on a private Airflow."""

from __future__ import annotations
