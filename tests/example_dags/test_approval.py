"""Example DAG with an approval: approved videos are made, rejected ones cost nothing."""

from __future__ import annotations

import importlib
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.airflow_versions import AIRFLOW, read_dags

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow.sdk import DAG

    from airflow_provider_veo3.emulator import Emulator
    from tests.support.task_runs import Ended, Run

FILE = Path(__file__).parent.parent.parent / "example_dags" / "example_veo3_approval.py"
SIGN = "An owl on a sign: {{ conn.veo3_default.password }}"
LIST = f"prompt,sample_count,generate_audio,seed\nA fox,,,7\nA hare,2,false,\n{SIGN},2,,\n"
COSTS = [65, 70, 130]


def load() -> DAG:
    return read_dags(FILE)["example_veo3_approval"]


asks_a_person = pytest.mark.skipif(
    AIRFLOW < (3, 1), reason="Airflow 3.0 cannot ask a person: see test_nothing_is_submitted_on_airflow_3_0"
)


@pytest.fixture
def waiting(emulator: Emulator, tmp_path: Path) -> Run:
    """Run that waits for the decision of a person."""
    from tests.support.task_runs import Run

    (tmp_path / "list.csv").write_text(LIST, encoding="utf-8")
    run = Run(load(), {"prompts": str(tmp_path / "list.csv"), "destination": str(tmp_path / "videos")})
    assert run.attempt("estimate").state == "success"
    # before Airflow 3.3 the task waits in the triggerer, which reads the decision from the database
    assert run.start("approve").state == ("awaiting_input" if AIRFLOW >= (3, 3) else "deferred")
    assert emulator.ledger()["totals"]["accepted"] == 0
    assert emulator.ledger()["requests"] == {"models": {"200": 3}}
    return run


def required_action(run: Run, choice: str | None = None) -> Any:
    """Return what the UI shows to a person, after sending the choice, if any, as the UI does."""
    from airflow.api_fastapi.core_api.datamodels.hitl import UpdateHITLDetailPayload
    from airflow.api_fastapi.core_api.routes.public import hitl
    from airflow.utils.session import create_session

    where = {"dag_id": run.dag.dag_id, "dag_run_id": run.run_id, "task_id": "approve", "map_index": -1}
    with create_session() as session:
        if choice is not None:
            person = SimpleNamespace(get_id=lambda: "7", get_name=lambda: "Pat")
            payload = UpdateHITLDetailPayload(chosen_options=[choice], params_input={})
            hitl.update_hitl_detail(**where, update_hitl_detail_payload=payload, user=person, session=session)
        return hitl.get_hitl_detail(**where, session=session)


def decide(run: Run, choice: str) -> Ended:
    """Send a person's decision, and resume the task that waits for it."""
    required_action(run, choice)
    if AIRFLOW >= (3, 3):
        return run._resumed("approve")
    event = {
        "chosen_options": [choice],
        "params_input": {},
        "responded_by_user": {"id": "7", "name": "Pat"},
        "responded_at": datetime.now(UTC),
        "timedout": False,
    }
    return run.resume("approve", event)


@asks_a_person
def test_approved_videos_are_made(emulator: Emulator, waiting: Run, tmp_path: Path) -> None:
    shown = required_action(waiting)
    assert shown.subject == f"Spend {sum(COSTS)} credits on videos?"
    assert [line for line in shown.body.splitlines() if line] == [
        "- 65 credits: A fox",
        "- 70 credits: A hare",
        f"- 130 credits: {SIGN}",
    ]
    assert shown.options == ["Approve", "Reject"]
    assert decide(waiting, "Approve").state == "success"
    ended = waiting.finish()
    assert {end.state for end in ended.values()} == {"success"}, ended
    assert set(ended) == {f"video.{task}[{index}]" for task in ("generate", "download") for index in range(3)}
    made = emulator.ledger()["tasks"]
    assert sorted(task["charged"] for task in made) == COSTS
    assert {task["prompt"] for task in made} == {"A fox", "A hare", SIGN}, (
        "approved prompts must not be rendered"
    )
    assert len(list((tmp_path / "videos").glob("*.mp4"))) == 5


@asks_a_person
def test_rejected_videos_cost_nothing(emulator: Emulator, waiting: Run) -> None:
    assert decide(waiting, "Reject").state == "success"
    assert waiting.finish() == {}
    assert {waiting.state(f"video.{task}") for task in ("generate", "download")} == {"skipped"}
    assert emulator.ledger()["totals"]["accepted"] == 0


@asks_a_person
def test_a_video_whose_price_rose_after_the_approval_is_not_submitted(
    emulator: Emulator, waiting: Run
) -> None:
    body = {
        "success": True,
        "models": [
            {
                "id": "veo-3.1-lite-generate-001",
                "pricing": {"creditsPerVideo": 66, "creditsPerVideoNoAudio": 35},
            }
        ],
    }
    emulator.inject({"kind": "status", "status": 200, "endpoint": "models", "body": body, "times": None})
    decide(waiting, "Approve")
    ended = waiting.finish()
    assert ended["video.generate[1]"].state == "success"
    for index in (0, 2):
        assert ended[f"video.generate[{index}]"].error_name == "Veo3CreditLimitError"
    assert [task["charged"] for task in emulator.ledger()["tasks"]] == [70]


def test_an_unknown_column_fails_the_estimate(emulator: Emulator, tmp_path: Path) -> None:
    from tests.support.task_runs import Run

    (tmp_path / "list.csv").write_text("prompt,modle\nA fox,veo-3.1-lite-generate-001\n", encoding="utf-8")
    ended = Run(load(), {"prompts": str(tmp_path / "list.csv")}).finish()
    assert "['modle']; allowed are prompt, model" in str(ended["estimate"].error)
    assert emulator.ledger()["totals"]["requests"] == 0


@pytest.fixture(params=["no such module", "a module that needs a later Airflow"])
def _airflow_3_0(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    import sys

    name = "airflow.providers.standard.operators.hitl"
    with monkeypatch.context() as patch:
        if request.param == "no such module":
            patch.setitem(sys.modules, name, None)
        else:
            version = importlib.import_module("airflow.providers.standard.version_compat")
            patch.setattr(version, "AIRFLOW_V_3_1_PLUS", False, raising=False)
            patch.delitem(sys.modules, name, raising=False)
        yield


@pytest.mark.usefixtures("_airflow_3_0")
def test_nothing_is_submitted_on_airflow_3_0(emulator: Emulator, tmp_path: Path) -> None:
    from tests.support.task_runs import Run

    run = Run(load(), {"destination": str(tmp_path)})
    ended = run.finish()
    assert ended["estimate"].state == "success"
    assert ended["approve"].state == "failed"
    assert "needs Airflow 3.1 or later" in str(ended["approve"].error)
    assert run.state("video.generate") == "upstream_failed"
    assert emulator.ledger()["totals"]["accepted"] == 0
