"""Example DAG in which a person watches a video before it is published."""

from __future__ import annotations

import importlib
import runpy
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.airflow_versions import read_dags
from tests.support.required_actions import WAITING, asks_a_person, decide, required_action

if TYPE_CHECKING:
    from airflow_provider_veo3.emulator import Emulator
    from tests.support.task_runs import Run

FILE = Path(__file__).parent.parent.parent / "example_dags" / "example_veo3_review.py"
FOLDERS = {"Publish": "published", "Reject": "rejected"}
TASKS = {"Publish": "publish", "Reject": "reject"}


@pytest.fixture
def waiting(emulator: Emulator, tmp_path: Path) -> Run:
    """Run whose video is stored and waits for the decision of a person."""
    from tests.support.task_runs import Run

    run = Run(read_dags(FILE)["example_veo3_review"], {"destination": f"file://{tmp_path}/"})
    for task_id in ("generate", "store"):
        assert run.attempt(task_id).state == "success"
    assert run.start("review").state == WAITING
    assert emulator.ledger()["totals"]["fetched_files"] == 1
    return run


def stored(folder: Path) -> list[str]:
    """Return the files below a folder."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@asks_a_person
def test_the_person_gets_a_link_to_the_stored_video(waiting: Run, tmp_path: Path) -> None:
    (video,) = waiting.xcom("store")
    assert stored(tmp_path) == [f"review/{video['generation_id']}_0.mp4"]
    shown = required_action(waiting, "review")
    assert shown.subject == "Publish this video?"
    assert shown.options == ["Publish", "Reject"]
    assert f"[Watch the video]({video['uri']})" in shown.body
    assert f"- {video['uri']} (0.0 MB)" in shown.body
    assert "The prompt: A lighthouse sends its beam" in shown.body


@asks_a_person
@pytest.mark.parametrize("choice", FOLDERS)
def test_the_decision_moves_the_video(emulator: Emulator, waiting: Run, tmp_path: Path, choice: str) -> None:
    (video,) = waiting.xcom("store")
    content = Path(video["uri"].removeprefix("file://")).read_bytes()
    assert decide(waiting, "review", choice).state == "success"
    ended = waiting.finish()
    assert {name: end.state for name, end in ended.items()} == {TASKS[choice]: "success"}
    (other,) = set(TASKS.values()) - {TASKS[choice]}
    assert waiting.state(other) == "skipped"
    name = f"{video['generation_id']}_0.mp4"
    assert stored(tmp_path) == [f"{FOLDERS[choice]}/{name}"]
    target = tmp_path / FOLDERS[choice] / name
    assert target.read_bytes() == content
    assert ended[TASKS[choice]].value == [{**video, "uri": f"file://{target}"}]
    assert emulator.ledger()["totals"]["accepted"] == 1


@asks_a_person
def test_a_repeated_publication_finds_the_video_where_it_is(waiting: Run, tmp_path: Path) -> None:
    decide(waiting, "review", "Publish")
    first, again = waiting.attempt("publish"), waiting.attempt("publish")
    assert (first.state, again.state) == ("success", "success")
    assert first.value == again.value
    assert len(stored(tmp_path)) == 1


@asks_a_person
def test_a_video_that_is_nowhere_fails_its_publication(waiting: Run, tmp_path: Path) -> None:
    decide(waiting, "review", "Publish")
    (name,) = stored(tmp_path)
    (tmp_path / name).unlink()
    ended = waiting.attempt("publish")
    assert ended.state == "up_for_retry"
    assert "is gone" in str(ended.error)
    assert "clear the task 'store'" in str(ended.error)


@pytest.mark.parametrize("kind", ["no such module", "a module that needs a later Airflow"])
def test_the_file_defines_no_dag_on_airflow_3_0(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    name = "airflow.providers.standard.operators.hitl"
    if kind == "no such module":
        monkeypatch.setitem(sys.modules, name, None)
    else:
        version = importlib.import_module("airflow.providers.standard.version_compat")
        monkeypatch.setattr(version, "AIRFLOW_V_3_1_PLUS", False, raising=False)
        monkeypatch.delitem(sys.modules, name, raising=False)
    assert "dag" not in runpy.run_path(str(FILE))
