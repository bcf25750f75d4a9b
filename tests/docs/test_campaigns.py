"""Campaigns of the documentation in which a video fails: what was paid for is stored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_veo3.emulator import Fault
from tests.docs.test_snippets import BUCKET, FOLDER, read
from tests.support.pages import CHECKOUT, blocks_of
from tests.support.task_runs import Run

if TYPE_CHECKING:
    from pathlib import Path

    from airflow.sdk import DAG

    from airflow_provider_veo3.emulator import Emulator

FAILING = "A kite over the sea"


@pytest.fixture
def campaigns(account: Emulator, bucket: Path, tmp_path: Path) -> dict[str, DAG]:
    """DAGs of the page, without retries, in an account that fails one of the prompts."""
    account.inject(Fault("fail_generation", prompt_contains=FAILING))
    file = tmp_path / "campaigns.py"
    snippets = [
        block.text for block in blocks_of(CHECKOUT / "docs" / "campaigns.md") if block.language == "python"
    ]
    text = "\n".join(snippets).replace(BUCKET, f"file://{bucket}").replace(FOLDER, f"file://{bucket}/videos")
    file.write_text(text, encoding="utf-8")
    dags = {dag.dag_id: dag for dag in read(file)}
    for dag in dags.values():
        for task in dag.tasks:
            task.retries = 0
    return dags


def states(ended: dict[str, Any]) -> dict[str, str]:
    return {name: end.state for name, end in ended.items()}


def test_a_row_of_the_task_group_stores_its_video_although_another_fails(
    campaigns: dict[str, DAG], bucket: Path
) -> None:
    ended = Run(campaigns["campaign"]).finish()
    assert states(ended) == {
        "read_prompts": "success",
        "video.make[0]": "success",
        "video.make[1]": "failed",
        "video.download[0]": "success",
    }
    assert ended["video.make[0]"].task.prompt == "A kite; over dunes"
    assert len(list((bucket / "videos").glob("*.mp4"))) == 1


def test_a_single_download_stores_what_succeeded_and_the_run_counts_as_failed(
    campaigns: dict[str, DAG], bucket: Path
) -> None:
    run = Run(campaigns["one_download"])
    ended = run.finish()
    assert states(ended) == {"make[0]": "success", "make[1]": "failed", "download": "success"}
    assert [file["generation_id"] for file in ended["download"].value] == [ended["make[0]"].value]
    assert len(list((bucket / "videos").glob("*.mp4"))) == 1
    assert run.state("all_made") == "upstream_failed"
    assert run.run_state() == "failed"


def test_a_single_download_without_the_trigger_rule_stores_nothing(
    campaigns: dict[str, DAG], bucket: Path
) -> None:
    dag = campaigns["one_download"]
    dag.get_task("download").trigger_rule = "all_success"
    run = Run(dag)
    assert states(run.finish()) == {"make[0]": "success", "make[1]": "failed"}
    assert run.state("download") == "upstream_failed"
    assert not (bucket / "videos").exists()
