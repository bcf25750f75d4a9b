"""Code blocks in the documentation: each works unchanged."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import warnings
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.airflow_versions import AIRFLOW, dag_bag
from tests.support.pages import BUILT, Block, blocks, blocks_of

if TYPE_CHECKING:
    from pathlib import Path

    from airflow.sdk import DAG

    from airflow_provider_veo3.emulator import Emulator
    from tests.support.task_runs import Run

BUCKET = "s3://aws_default@my-bucket"
FOLDER = "file:///tmp/videos"


def of(language: str) -> Any:
    found = [block for block in blocks() if block.language == language]
    return pytest.mark.parametrize("block", found, ids=str)


def test_every_code_block_has_a_language_with_a_check() -> None:
    known = ("python", "bash", "json", *BUILT)
    assert [f"{block}: {block.language!r}" for block in blocks() if block.language not in known] == []


def skip_below_its_version(block: Block) -> None:
    """Skip a block whose first line says that it needs a later Airflow."""
    needed = re.match(r"# Airflow (\d+)\.(\d+) and later\n", block.text)
    if needed is not None and (int(needed[1]), int(needed[2])) > AIRFLOW:
        pytest.skip(f"{block}: {needed[0][2:].strip()}")


@pytest.fixture
def plugins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Folder of modules that DAG files can import."""
    folder = tmp_path / "plugins"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    return folder


def write_modules(page: Path, folder: Path) -> None:
    """Write the modules of a page: blocks whose first line names a file in ``plugins/``."""
    for block in blocks_of(page):
        named = re.match(r"# plugins/(\w+)\.py\n", block.text)
        if named is not None:
            (folder / f"{named[1]}.py").write_text(block.text, encoding="utf-8")
            sys.modules.pop(named[1], None)


@of("python")
def test_a_python_block_runs(
    block: Block, account: Emulator, bucket: Path, plugins: Path, tmp_path: Path
) -> None:
    skip_below_its_version(block)
    write_modules(block.page, plugins)
    text = block.text.replace(BUCKET, f"file://{bucket}").replace(FOLDER, f"file://{tmp_path}/videos")
    assert not re.search(r"\b(s3|gs|abfs|https?)://", text), "an address that the test cannot replace"
    file = tmp_path / ("test_snippet.py" if "def test_" in text else "snippet.py")
    file.write_text(text, encoding="utf-8")
    if "def test_" in text:
        run_as_test(file)
        return
    dags = read(file)
    if "task_id=" in text or "@task" in text:
        assert dags, "tasks without a DAG"
    for dag in dags:
        assert [task.task_id for task in dag.tasks if defers(task) and not task.retries] == []
        run(dag)
        if any("Download" in task.task_type for task in dag.tasks):
            assert list(tmp_path.rglob("*.mp4")), "nothing was stored"


def read(file: Path) -> list[DAG]:
    """Load a file as Airflow loads DAG files, and return its DAGs."""
    with warnings.catch_warnings():
        if AIRFLOW < (3, 3):  # where the sensor warns that a worker starts its wait
            warnings.filterwarnings("ignore", "start_from_trigger is not possible")
        bag = dag_bag(file, safe_mode=False)
    assert bag.import_errors == {}
    return list(bag.dags.values())


def defers(task: Any) -> bool:
    """Return whether a task of this package waits in the triggerer."""
    given = {**vars(task), **getattr(task, "partial_kwargs", {})}
    return bool(given.get("deferrable") or given.get("start_from_trigger"))


def run(dag: DAG) -> None:
    """Run a DAG in an account with one generation, which its parameters and events name."""
    from airflow_provider_veo3.hooks.veo3 import Veo3Hook
    from tests.support.task_runs import Run

    hook = Veo3Hook()
    generation_id = hook.text_to_video("A kite").id
    values = {"generation_id": generation_id, "generation_ids": [generation_id]}
    started = Run(dag, {name: value for name, value in values.items() if name in dag.params})
    add_watcher_events(started, hook.get_generation(generation_id).manifest())
    ended = started.finish()
    assert len(ended) >= len(dag.tasks)
    assert {name: (end.state, end.error) for name, end in ended.items() if end.state != "success"} == {}


def add_watcher_events(started: Run, payload: dict[str, Any]) -> None:
    """Add to a run the events that watchers of the DAG's assets create from a trigger's event."""
    from airflow.models.asset import AssetEvent, AssetModel
    from airflow.utils.session import create_session
    from sqlalchemy import select

    schedule = started.dag.schedule if isinstance(started.dag.schedule, list) else []
    watched = [asset.name for asset in schedule if asset.watchers]
    with create_session() as session:
        dag_run = started._dag_run(session)
        for asset in session.scalars(select(AssetModel).where(AssetModel.name.in_(watched))).all():
            event = AssetEvent(asset_id=asset.id, extra={"from_trigger": True, "payload": payload})
            dag_run.consumed_asset_events.append(event)


def run_as_test(file: Path) -> None:
    """Run a file as a user's test, in a separate process."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(file.parent)]
    ours = ("AIRFLOW_CONN_", "PYTEST_")
    env = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    done = subprocess.run(
        [*command, "-c", os.devnull, str(file)],
        capture_output=True,
        text=True,
        cwd=file.parent,
        env=env,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"\d passed", done.stdout)


@of("bash")
def test_a_bash_block_has_valid_commands(block: Block, account: Emulator) -> None:
    from tests.support.shell import check

    assert check(block.text, account) > 0


@of("json")
def test_a_json_block_is_valid(block: Block) -> None:
    from tests.support.shell import check_connection

    value = json.loads(block.text)
    if "conn_type" in value:
        check_connection(block.text)
