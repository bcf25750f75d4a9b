"""Fields that the documentation lists: what a task publishes, returns and stores has exactly these."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from tests.support.pages import CHECKOUT, blocks_of
from tests.support.task_runs import Run

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_provider_veo3.emulator import Emulator

DOWNLOAD = CHECKOUT / "docs" / "download.md"


def examples() -> list[Any]:
    """Return the JSON blocks of the page about downloads: a returned list, and a description."""
    return [json.loads(block.text) for block in blocks_of(DOWNLOAD) if block.language == "json"]


def test_the_pages_list_the_fields_of_manifest_entry_and_description(
    emulator: Emulator, tmp_path: Path
) -> None:
    from airflow.sdk import DAG

    from airflow_provider_veo3.operators.download import Veo3DownloadOperator
    from airflow_provider_veo3.operators.generate import Veo3TextToVideoOperator

    with DAG("listed_fields", schedule=None) as dag:
        make = Veo3TextToVideoOperator(task_id="make", prompt="A pier.", wait_for_completion=True)
        Veo3DownloadOperator(
            task_id="download", generation_id=make.output, destination=f"file://{tmp_path}", sidecar=True
        )
    ended = Run(dag).finish()

    ((example,), description) = examples()
    (returned,) = ended["download"].value
    assert list(returned) == list(example)
    table = DOWNLOAD.read_text(encoding="utf-8").partition("\n| Field | Holds |\n")[2].partition("\n\n")[0]
    first_cells = [line.split("|")[1] for line in table.splitlines()[1:]]
    assert [name for cell in first_cells for name in re.findall(r"`(\w+)`", cell)] == list(returned)
    (file,) = tmp_path.glob("*.json")
    stored = json.loads(file.read_text(encoding="utf-8"))
    assert list(stored) == list(description)
    assert list(stored["stored_by"]) == list(description["stored_by"])
    page = (CHECKOUT / "docs" / "generate.md").read_text(encoding="utf-8")
    table = page.partition("\n| The manifest has | Fields |\n")[2].partition("\n\n")[0]
    assert sorted(re.findall(r"`(\w+)`", table)) == sorted(ended["make"].manifest)
