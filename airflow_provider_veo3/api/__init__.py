"""The VEO3 protocol, without Airflow: requests, responses, retries and transports."""

from __future__ import annotations
