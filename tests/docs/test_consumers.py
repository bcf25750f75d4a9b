"""Consumers of asset events in the documentation: each stored file is read once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.docs.test_snippets import FOLDER, read
from tests.support.pages import CHECKOUT, blocks_of
from tests.support.task_runs import Run

if TYPE_CHECKING:
    from pathlib import Path

    from airflow.sdk import DAG

    from airflow_provider_veo3.emulator import Emulator


@pytest.fixture
def dags(account: Emulator, tmp_path: Path) -> dict[str, DAG]:
    """DAGs of the page."""
    texts = [block.text for block in blocks_of(CHECKOUT / "docs" / "assets.md") if block.language == "python"]
    found = {}
    for number, text in enumerate(texts):
        file = tmp_path / f"assets_{number}.py"
        file.write_text(text.replace(FOLDER, f"file://{tmp_path}/videos"), encoding="utf-8")
        found.update({dag.dag_id: dag for dag in read(file)})
    return found


def hand_over(producer: Run, consumer: Run) -> int:
    """Let a run consume all events of another, as the scheduler does, and return their number."""
    from airflow.models.asset import AssetEvent
    from airflow.utils.session import create_session
    from sqlalchemy import select

    rows = select(AssetEvent).where(AssetEvent.source_run_id == producer.run_id).order_by(AssetEvent.id)
    with create_session() as session:
        events = list(session.scalars(rows))
        run = consumer._dag_run(session)
        run.consumed_asset_events.extend(events)
        return len(events)


@pytest.mark.parametrize(
    ("producers", "events"),
    [
        pytest.param(["makes_trailers"], 1, id="an asset"),
        pytest.param(["aliased"], 2, id="an alias"),
        pytest.param(["makes_trailers", "aliased"], 3, id="both"),
    ],
)
def test_the_consumer_of_both_kinds_reads_each_file_once(
    dags: dict[str, DAG], producers: list[str], events: int
) -> None:
    consumer = Run(dags["publishes_files"])
    stored, number = [], 0
    for name in producers:
        producer = Run(dags[name])
        stored += [file["uri"] for file in producer.finish()["download"].value]
        number += hand_over(producer, consumer)
    assert number == events
    assert sorted(consumer.finish()["publish"].value) == sorted(stored)
