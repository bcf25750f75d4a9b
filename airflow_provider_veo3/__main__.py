"""``python -m airflow_provider_veo3``: the commands of ``airflow veo3``, for every Airflow version."""

from __future__ import annotations

import sys

from airflow_provider_veo3.cli.definition import main

if __name__ == "__main__":
    sys.exit(main())
