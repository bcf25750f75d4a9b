"""A local Airflow and a local VEO3 API for demo, chaos, benchmarks and tests.

It imports none of those. Its own files, from top to bottom; each imports only from lower lines:

    local_airflow              Airflow's processes in a home folder of their own
    airflow_api  emulator      client of Airflow's REST API; the VEO3 emulator as a process
    servers                    PostgreSQL and Redis for one campaign or benchmark
    processes  console  video_file
"""

from __future__ import annotations
