"""DAGs that start when a generation of an account completes, regardless of who submitted it."""

from __future__ import annotations

import os

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, Asset, AssetWatcher, task

from airflow_provider_veo3.operators.download import Veo3DownloadOperator
from airflow_provider_veo3.triggers.completed import Veo3CompletedGenerationsTrigger

ACCOUNT = "veo3_watched"


def watched(name: str, poll_interval: float) -> Asset:
    """Return an asset whose events are completed generations of the account."""
    trigger = Veo3CompletedGenerationsTrigger(veo3_conn_id=ACCOUNT, poll_interval=poll_interval)
    return Asset(f"veo3_completed_{name}", watchers=[AssetWatcher(name, trigger)])


completed = watched("often", 2)

with DAG("watched_often", schedule=[completed]):

    @task
    def ids(triggering_asset_events=None) -> list[str]:
        """Return the ids of the generations that started the run."""
        return [event.extra["payload"]["id"] for event in triggering_asset_events[completed]]

    Veo3DownloadOperator(
        task_id="download",
        generation_id=ids(),
        destination=os.environ["VEO3_DESTINATION"],
        veo3_conn_id=ACCOUNT,
    )

# another with a trigger of its own, and one with an interval longer than the tests
for name, interval in (("also", 3), ("seldom", 36000)):
    with DAG(f"watched_{name}", schedule=[watched(name, interval)]):
        EmptyOperator(task_id="nothing")
