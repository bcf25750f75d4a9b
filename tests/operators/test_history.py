"""What an account has generated is listed, and what is listed can be stored, by way of a real Airflow."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.connections import use_connection
from tests.support.waits import pages

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from airflow_provider_veo3.emulator import Emulator
    from tests.support.task_runs import Ended

_numbers = itertools.count()


@pytest.fixture
def emulator(monkeypatch: pytest.MonkeyPatch, airflow_bundles: None) -> Iterator[Emulator]:
    """One for each test: a clock that was advanced does not go back."""
    from airflow_provider_veo3.emulator import Emulator, Settings

    unlimited = dict.fromkeys(
        ("requests_per_minute", "requests_per_day", "concurrent_requests", "queue_limit")
    )
    settings = Settings(processing_seconds=0, pending_seconds=0, credits=10**6, file_size=4096, **unlimited)
    with Emulator(settings) as emulator:
        use_connection(monkeypatch, emulator)
        yield emulator


def generate(count: int, **options: Any) -> list[str]:
    from airflow_provider_veo3.hooks.veo3 import Veo3Hook

    hook = Veo3Hook()
    return [hook.text_to_video(f"Video {number}", **options).id for number in range(count)]


def listed(conf: dict[str, Any] | None = None, **options: Any) -> Ended:
    from airflow.sdk import DAG

    from airflow_provider_veo3.operators.history import Veo3ListGenerationsOperator
    from tests.support.task_runs import Run

    with DAG(f"list_{next(_numbers)}") as dag:
        Veo3ListGenerationsOperator(task_id="list", retries=3, retry_delay=timedelta(days=1), **options)
    return Run(dag, conf).attempt("list")


@pytest.mark.parametrize("order", ["newest", "oldest", "shuffled"])
def test_every_page_is_read_in_every_order(emulator: Emulator, order: str) -> None:
    emulator.configure(history_order=order)
    ids = generate(105)
    ended = listed()
    assert ended.state == "success", ended.error
    assert sorted(ended.value) == sorted(ids)
    assert pages(emulator) == 2
    assert emulator.ledger()["totals"]["accepted"] == 105


def test_only_those_of_the_window_the_oldest_first(emulator: Emulator) -> None:
    old = generate(2)
    emulator.advance(30 * 3600)
    new = []
    for _ in range(3):
        new += generate(1)
        emulator.advance(60)
    # the emulator's clock is ahead of ours now
    ahead = timedelta(hours=29, minutes=30)
    start = datetime.now(UTC) + ahead
    assert listed().value == [*old, *new]
    assert listed(since=start).value == new
    assert listed(since="{{ dag_run.conf['start'] }}", conf={"start": str(start)}).value == new
    assert listed(until=start.isoformat()).value == old
    assert listed(since=start, limit=2).value == new[1:]
    assert listed(limit="{{ 1 + 1 }}").value == new[1:]


def test_status_and_model(emulator: Emulator) -> None:
    fast = generate(2)
    (lite,) = generate(1, model="veo-3.1-lite-generate-001")
    emulator.configure(processing_seconds=3600)
    (running,) = generate(1)
    emulator.configure(model_ids_on_read="preview")
    assert sorted(listed().value) == sorted([*fast, lite])
    assert listed(status="processing").value == [running]
    assert listed(status="failed").value == []
    assert len(listed(status=None).value) == 4
    assert listed(model="veo-3.1-lite-generate-001").value == [lite]
    assert listed(model="{{ 'veo-3.1-lite-generate-preview' }}").value == [lite]


def test_trouble_is_retried_and_bad_values_are_not(emulator: Emulator) -> None:
    emulator.inject({"kind": "status", "status": 404, "endpoint": "history", "times": 1})
    assert listed().error is not None
    ended = listed(status="ready")
    assert (ended.error_name, ended.state) == ("Veo3ValidationError", "failed")
    before = pages(emulator)
    assert listed(since="{{ 'soon' }}").error_name == "Veo3ValidationError"
    assert pages(emulator) == before


@pytest.mark.parametrize("count", [0, 3])
def test_what_is_listed_is_stored_or_expanded_over(emulator: Emulator, tmp_path: Path, count: int) -> None:
    from airflow.sdk import DAG

    from airflow_provider_veo3.operators.download import Veo3DownloadOperator
    from airflow_provider_veo3.operators.history import Veo3ListGenerationsOperator
    from tests.support.task_runs import Run

    ids = generate(count)
    with DAG(f"list_store_{count}") as dag:
        listing = Veo3ListGenerationsOperator(task_id="list", since=timedelta(hours=23))
        Veo3DownloadOperator(task_id="all", generation_id=listing.output, destination=str(tmp_path / "all"))
        Veo3DownloadOperator.partial(task_id="each", destination=str(tmp_path / "each")).expand(
            generation_id=listing.output
        )
    ended = Run(dag).finish()
    assert [video["generation_id"] for video in ended["all"].value] == ids
    assert len(list((tmp_path / "all").glob("*.mp4"))) == count
    assert {name for name in ended if name.startswith("each")} == {f"each[{n}]" for n in range(count)}
    assert {end.state for end in ended.values()} == {"success"}
