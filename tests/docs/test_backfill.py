"""What backfill and clear cost, as docs/backfill.md says, on the Airflow version at hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.airflow_versions import AIRFLOW
from tests.support.runs import accepted
from tests.support.task_runs import Run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from airflow.sdk import DAG

    from airflow_provider_veo3.emulator import Emulator

KEEPS_TASK_STATE = AIRFLOW >= (3, 3)


@pytest.fixture
def pipeline(account: Emulator, tmp_path: Path) -> Callable[[str], DAG]:
    """DAGs that generate a video and store it in the same folder."""
    from airflow.sdk import DAG

    from airflow_provider_veo3.operators.download import Veo3DownloadOperator
    from airflow_provider_veo3.operators.generate import Veo3TextToVideoOperator

    def pipeline(name: str) -> DAG:
        with DAG(f"backfill_{name}") as dag:
            make = Veo3TextToVideoOperator(
                task_id="make",
                prompt="A kite over dunes",
                wait_for_completion=True,
                deferrable=False,
                retries=0,
            )
            Veo3DownloadOperator(
                task_id="download",
                generation_id=make.output,
                destination=f"file://{tmp_path}/videos",
                retries=0,
            )
        return dag

    return pipeline


def clear(run: Run, **which: Any) -> None:
    """Clear tasks of a finished run as ``airflow backfill`` and the UI do; the scheduler starts it again."""
    from airflow.utils.session import create_session

    with create_session() as session:
        assert str(run._dag_run(session).state) in ("success", "failed")
        run.scheduler_dag.clear(run_id=run.run_id, session=session, **which)
    with create_session() as session:
        dag_run = run._dag_run(session)
        assert str(dag_run.state) == "queued"
        dag_run.state, dag_run.start_date = "running", datetime.now(UTC)


def repeat(run: Run, *names: str) -> dict[str, str | None]:
    """Run another attempt of each task, and let Airflow judge the run."""
    states = {name: run.attempt(name).state for name in names}
    assert run.finish() == {}
    return states


def test_a_run_of_another_date_pays_for_its_own_video(
    account: Emulator, pipeline: Callable[[str], DAG]
) -> None:
    dag = pipeline("dates")
    first, second = Run(dag).finish()["make"].value, Run(dag).finish()["make"].value
    assert accepted(account) == [first, second]


def test_clearing_a_whole_run_that_succeeded_pays_again_since_airflow_3_3(
    account: Emulator, pipeline: Callable[[str], DAG], tmp_path: Path
) -> None:
    """As ``airflow backfill --reprocess-behavior completed`` does."""
    run = Run(pipeline("completed"))
    run.finish()
    assert run.run_state() == "success"
    clear(run)
    assert repeat(run, "make", "download") == {"make": "success", "download": "success"}
    videos = 2 if KEEPS_TASK_STATE else 1
    assert len(accepted(account)) == videos
    assert len(list((tmp_path / "videos").glob("*.mp4"))) == videos


def test_clearing_a_whole_run_whose_download_failed_pays_again_since_airflow_3_3(
    account: Emulator, pipeline: Callable[[str], DAG]
) -> None:
    """As ``airflow backfill --reprocess-behavior failed`` does: it clears the tasks that succeeded, too."""
    run = run_whose_download_failed(account, pipeline("failed"))
    clear(run)
    assert repeat(run, "make", "download") == {"make": "success", "download": "success"}
    assert len(accepted(account)) == (2 if KEEPS_TASK_STATE else 1)


def test_clearing_only_the_failed_tasks_costs_nothing(
    account: Emulator, pipeline: Callable[[str], DAG], tmp_path: Path
) -> None:
    run = run_whose_download_failed(account, pipeline("only_failed"))
    clear(run, only_failed=True)
    assert repeat(run, "download") == {"download": "success"}
    assert len(accepted(account)) == 1
    assert len(list((tmp_path / "videos").glob("*.mp4"))) == 1


def test_clearing_a_wait_that_timed_out_costs_nothing(
    account: Emulator, pipeline: Callable[[str], DAG]
) -> None:
    run = run_that_timed_out(account, pipeline("timed_out"))
    clear(run)
    assert repeat(run, "make", "download") == {"make": "success", "download": "success"}
    assert len(accepted(account)) == 1


def clean(run: Run, table: str, before: datetime) -> None:
    """Remove rows of a run's DAG as ``airflow db clean`` does."""
    import pendulum
    from airflow.utils.db_cleanup import run_cleanup

    run_cleanup(
        clean_before_timestamp=pendulum.instance(before),
        table_names=[table],
        dag_ids=[run.dag.dag_id],
        confirm=False,
        skip_archive=True,
        error_on_cleanup_failure=True,
    )


def run_that_timed_out(account: Emulator, dag: DAG) -> Run:
    """Return a failed run whose generation was completed after its timeout."""
    account.configure(processing_seconds=3600)
    dag.get_task("make").timeout = 0.05
    run = Run(dag)
    assert run.finish()["make"].error_name == "Veo3GenerationTimeoutError"
    assert run.finish() == {}  # the scheduler sees that the run has failed
    account.force(accepted(account)[0], "complete")
    return run


@pytest.mark.skipif(not KEEPS_TASK_STATE, reason="a record of the task: Airflow 3.3")
@pytest.mark.parametrize(
    ("table", "days", "videos"),
    [("xcom", 1, 1), ("task_state_store", 80, 1), ("task_state_store", 91, 2)],
)
def test_cleaning_the_database_costs_a_video_only_with_the_record(
    account: Emulator, pipeline: Callable[[str], DAG], table: str, days: int, videos: int
) -> None:
    """The record expires 90 days after its last change: ``db clean`` compares that with its timestamp."""
    run = run_that_timed_out(account, pipeline(f"cleaned_{table}_{days}"))
    clean(run, table, datetime.now(UTC) + timedelta(days=days))
    account.configure(processing_seconds=0)
    clear(run)
    assert repeat(run, "make", "download") == {"make": "success", "download": "success"}
    assert len(accepted(account)) == videos


def run_whose_download_failed(account: Emulator, dag: DAG) -> Run:
    """Return a finished run whose video was made and not stored."""
    elsewhere = {"kind": "redirect", "location": "http://files.example.test/a.mp4"}  # which no retry follows
    account.inject({**elsewhere, "endpoint": "file", "times": None})
    run = Run(dag)
    assert {name: end.state for name, end in run.finish().items()} == {
        "make": "success",
        "download": "failed",
    }
    assert run.run_state() == "failed"
    account.clear_faults()
    return run
