"""What `make demo`, `make ui` and the end-to-end tests run: a private Airflow and the example DAGs."""

from __future__ import annotations
