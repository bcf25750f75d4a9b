"""DAG of ``benchmarks.campaign``: mapped generations in a pool of the size of the vendor's queue."""

from __future__ import annotations

import os

from airflow.sdk import DAG

from airflow_provider_veo3.operators.generate import Veo3TextToVideoOperator

with DAG("campaign", schedule=None, max_active_tasks=1000):
    Veo3TextToVideoOperator.partial(
        task_id="generate",
        pool="veo3",
        wait_for_completion=True,
        deferrable=True,
    ).expand(prompt=[f"Number {number}" for number in range(int(os.environ["VEO3_CAMPAIGN_VIDEOS"]))])
