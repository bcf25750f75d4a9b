"""What is read from the tasks' logs."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

from airflow_provider_veo3.submission import submitter as exactly_once
from chaos.facts import RESCUES, rescues

if TYPE_CHECKING:
    from pathlib import Path


def test_the_operator_still_says_what_is_counted() -> None:
    source = inspect.getsource(exactly_once)
    assert all(words in source for words in RESCUES.values())


def test_rescues_are_counted_over_all_attempts(tmp_path: Path) -> None:
    folder = tmp_path / "logs" / "dag_id=veo3_chaos" / "run_id=1" / "task_id=generate"
    folder.mkdir(parents=True)
    found, known = RESCUES.values()
    (folder / "attempt=1.log").write_text(f"Going on with generation veo_1, {found}.\n")
    (folder / "attempt=2.log").write_text(f"Going on with generation veo_1, {known}.\n")
    (folder / "attempt=3.log").write_text(f"Going on with generation veo_1, {known}.\n")
    assert list(rescues(tmp_path).values()) == [1, 2]
