"""DAGs that begin when something completes in an account, whoever submitted it."""

from __future__ import annotations

import os

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, Asset, AssetWatcher, task

from airflow_provider_veo3.operators.download import Veo3DownloadOperator
from airflow_provider_veo3.triggers.completed import Veo3CompletedGenerationsTrigger

ACCOUNT = "veo3_watched"


def watched(name: str, poll_interval: float) -> Asset:
    """Make an asset of what completes in the account."""
    trigger = Veo3CompletedGenerationsTrigger(veo3_conn_id=ACCOUNT, poll_interval=poll_interval)
    return Asset(f"veo3_completed_{name}", watchers=[AssetWatcher(name, trigger)])


completed = watched("often", 2)

with DAG("watched_often", schedule=[completed]):

    @task
    def ids(triggering_asset_events=None) -> list[str]:
        """Tell what the run was started for."""
        return [event.extra["payload"]["id"] for event in triggering_asset_events[completed]]

    Veo3DownloadOperator(
        task_id="download",
        generation_id=ids(),
        destination=os.environ["VEO3_DESTINATION"],
        veo3_conn_id=ACCOUNT,
    )

# an equal trigger, and one that by itself would not look again before the tests are over
for name, interval in (("equally", 2), ("seldom", 36000)):
    with DAG(f"watched_{name}", schedule=[watched(name, interval)]):
        EmptyOperator(task_id="nothing")
