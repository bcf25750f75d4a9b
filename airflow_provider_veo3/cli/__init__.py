"""Commands for a terminal: ``airflow veo3 ...`` and ``python -m airflow_provider_veo3 ...``."""

from __future__ import annotations
