"""What docs/alerts.md sends to a person: failures, missed deadlines, links that end."""

from __future__ import annotations

import asyncio
import importlib
import re
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from tests.docs.test_snippets import FOLDER, plugins, read, write_modules
from tests.support.airflow_versions import AIRFLOW
from tests.support.pages import CHECKOUT, blocks_of
from tests.support.task_runs import Run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from airflow.sdk import DAG

    from airflow_provider_veo3.emulator import Emulator

PAGE = CHECKOUT / "docs" / "alerts.md"
ALLOWED_WORDS = re.compile(r"[Nn]o credits were spent|refund")

__all__ = ["plugins"]


@pytest.fixture
def sent(plugins: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Texts that the page's module has sent."""
    write_modules(PAGE, plugins)
    texts: list[str] = []
    monkeypatch.setattr(importlib.import_module("veo3_alerts"), "send", texts.append)
    return texts


@pytest.fixture
def dag_of(sent: list[str], tmp_path: Path) -> Callable[..., DAG]:
    """Load a DAG of the page by its id, with changes to its text."""

    def dag_of(dag_id: str, **changes: str) -> DAG:
        (block,) = [block for block in blocks_of(PAGE) if f'dag_id="{dag_id}"' in block.text]
        text = block.text.replace(FOLDER, f"file://{tmp_path}/videos")
        for old, new in changes.items():
            assert f"{old}=" in text
            text = re.sub(rf"{old}=timedelta\(\w+=\d+\)", f"{old}={new}", text)
        file = tmp_path / "alerting.py"
        file.write_text(text, encoding="utf-8")
        (dag,) = read(file)
        return dag

    return dag_of


def test_a_failure_is_sent_with_all_parts_of_its_error(
    account: Emulator, dag_of: Callable[..., DAG], sent: list[str]
) -> None:
    account.inject({"kind": "refuse", "code": "CONTENT_POLICY_VIOLATION", "error": "No.", "times": None})
    run = Run(dag_of("told_of_failures"))
    ended = run.finish()
    assert ended["make"].state == "failed"
    (text,) = sent
    assert text.startswith(f"told_of_failures, run {run.run_id}: task make, map index -1, failed.\n")
    assert ended["make"].error_name is not None
    assert f"\n{ended['make'].error_name}: {ended['make'].error}\n" in text
    assert ALLOWED_WORDS.search(text)


def test_a_failed_generation_is_sent_with_its_id(
    account: Emulator, dag_of: Callable[..., DAG], sent: list[str]
) -> None:
    account.inject({"kind": "fail_generation", "times": None})
    dag = dag_of("told_of_failures")
    for task in dag.tasks:
        task.retries = 0
    Run(dag).finish()
    (text,) = sent
    (accepted,) = account.ledger()["tasks"]
    assert accepted["id"] in text
    assert "refund" in text


def test_a_task_that_airflow_lost_is_sent_without_an_error(sent: list[str]) -> None:
    ti = SimpleNamespace(dag_id="d", run_id="r", task_id="t", map_index=3)
    importlib.import_module("veo3_alerts").FailureNotifier()({"ti": ti, "dag": None})
    (text,) = sent
    assert text.startswith("d, run r: task t, map index 3, failed.\nNo error: Airflow lost the task. ")


@pytest.mark.skipif(AIRFLOW < (3, 3), reason="the page's deadline needs Airflow 3.3")
def test_a_run_that_misses_its_deadline_is_sent(
    account: Emulator, dag_of: Callable[..., DAG], sent: list[str]
) -> None:
    from airflow.models.deadline import Deadline
    from airflow.models.trigger import Trigger
    from airflow.utils.session import create_session
    from airflow.utils.state import DagRunState
    from airflow.utils.types import DagRunTriggeredByType, DagRunType
    from sqlalchemy import select

    from tests.support.airflow_versions import import_string

    scheduler_dag = Run(dag_of("told_in_time")).scheduler_dag
    date = datetime(2026, 1, 1, tzinfo=UTC)
    with create_session() as session:
        queued = scheduler_dag.create_dagrun(
            run_id="late",
            logical_date=date,
            data_interval=(date, date),
            run_after=date,
            run_type=DagRunType.MANUAL,
            triggered_by=DagRunTriggeredByType.TEST,
            state=DagRunState.QUEUED,
            session=session,
        )
        session.flush()
        deadline = session.scalars(select(Deadline).where(Deadline.dagrun_id == queued.id)).one()
        assert deadline.deadline_time - queued.queued_at == timedelta(hours=20)
        deadline.handle_miss(session)
        session.flush()
        trigger_id = deadline.callback.trigger.id
    with create_session() as session:
        row = session.get(Trigger, trigger_id)
        trigger: Any = import_string(row.classpath)(**row.kwargs)

    async def events() -> list[Any]:
        return [event async for event in trigger.run()]

    assert asyncio.run(events())[-1].payload["state"] == "success"
    assert sent == [
        "told_in_time, run late: The run has not ended. Links of its videos end 24 hours after completion."
    ]


def test_a_video_that_is_not_stored_is_sent_before_its_link_ends(
    account: Emulator, dag_of: Callable[..., DAG], sent: list[str], tmp_path: Path
) -> None:
    from airflow_provider_veo3.hooks.veo3 import Veo3Hook

    hook = Veo3Hook()
    stored, missing = (hook.text_to_video(prompt).id for prompt in ("A kite", "A boat"))
    for generation_id in (stored, missing):
        hook.get_generation(generation_id)
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos" / f"{stored}_0.mp4").touch()
    ended = Run(dag_of("links_that_end", until="None")).finish()
    assert ended["all_are_stored"].state == "failed"
    (text,) = sent
    assert missing in text
    assert stored not in text
    assert "To store them costs no credits" in text
    assert account.ledger()["totals"]["accepted"] == 2
    sent.clear()
    (tmp_path / "videos" / f"{missing}_0.mp4").touch()
    ended = Run(dag_of("links_that_end", until="None")).finish()
    assert {end.state for end in ended.values()} == {"success"}
    assert sent == []
