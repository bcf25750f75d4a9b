"""Example DAG with an approval: approved videos are made, rejected ones cost nothing."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.airflow_versions import read_dags
from tests.support.required_actions import WAITING, asks_a_person, decide, required_action

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow.sdk import DAG

    from airflow_provider_veo3.emulator import Emulator
    from tests.support.task_runs import Run

FILE = Path(__file__).parent.parent.parent / "example_dags" / "example_veo3_approval.py"
SIGN = "An owl on a sign: {{ conn.veo3_default.password }}"
LIST = f"prompt,sample_count,generate_audio,seed\nA fox,,,7\nA hare,2,false,\n{SIGN},2,,\n"
COSTS = [65, 70, 130]


def load() -> DAG:
    return read_dags(FILE)["example_veo3_approval"]


@pytest.fixture
def waiting(emulator: Emulator, tmp_path: Path) -> Run:
    """Run that waits for the decision of a person."""
    from tests.support.task_runs import Run

    (tmp_path / "list.csv").write_text(LIST, encoding="utf-8")
    run = Run(load(), {"prompts": str(tmp_path / "list.csv"), "destination": str(tmp_path / "videos")})
    assert run.attempt("estimate").state == "success"
    assert run.start("approve").state == WAITING
    assert emulator.ledger()["totals"]["accepted"] == 0
    assert emulator.ledger()["requests"] == {"models": {"200": 3}}
    return run


@asks_a_person
def test_approved_videos_are_made(emulator: Emulator, waiting: Run, tmp_path: Path) -> None:
    shown = required_action(waiting, "approve")
    assert shown.subject == f"Spend {sum(COSTS)} credits on videos?"
    assert [line for line in shown.body.splitlines() if line] == [
        "- 65 credits: A fox",
        "- 70 credits: A hare",
        f"- 130 credits: {SIGN}",
    ]
    assert shown.options == ["Approve", "Reject"]
    assert decide(waiting, "approve", "Approve").state == "success"
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
    assert decide(waiting, "approve", "Reject").state == "success"
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
    decide(waiting, "approve", "Approve")
    ended = waiting.finish()
    assert ended["video.generate[1]"].state == "success"
    for index in (0, 2):
        assert ended[f"video.generate[{index}]"].error_name == "Veo3CreditLimitError"
    assert [task["charged"] for task in emulator.ledger()["tasks"]] == [70]


def test_an_unknown_column_fails_the_estimate(emulator: Emulator, tmp_path: Path) -> None:
    from tests.support.task_runs import Run

    (tmp_path / "list.csv").write_text("prompt,modle\nA fox,veo-3.1-lite-generate-001\n", encoding="utf-8")
    ended = Run(load(), {"prompts": str(tmp_path / "list.csv")}).finish()
    assert "list.csv has unknown columns: modle. Nothing was submitted or spent. " in str(
        ended["estimate"].error
    )
    assert "known are: prompt, model, sample_count, " in str(ended["estimate"].error)
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
