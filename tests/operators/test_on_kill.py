"""End of a generating task by a user, while it waits in its worker."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from tests.support.waits import HOUR

if TYPE_CHECKING:
    import pytest

    from airflow_provider_veo3.emulator import Emulator


def test_on_kill_names_the_generation_and_sends_no_request(
    emulator: Emulator, capsys: pytest.CaptureFixture[str]
) -> None:
    """As the task runner calls it on SIGTERM, while the task waits in its worker."""
    from airflow.sdk import DAG

    from airflow_provider_veo3.operators.generate import Veo3TextToVideoOperator
    from tests.support.task_runs import Run

    emulator.configure(processing_seconds=HOUR)
    with DAG("kill") as dag:
        task = Veo3TextToVideoOperator(
            task_id="task", prompt="x", wait_for_completion=True, poll_interval=0.01, timeout=HOUR
        )
        task.on_kill()
    assert "no way to cancel" not in capsys.readouterr().out, "there is nothing to say before a submission"
    killed: list[Any] = []

    def kill_when_it_waits() -> None:
        while not emulator.ledger()["requests"].get("status"):
            pass
        killed.append(emulator.ledger()["tasks"][0]["id"])
        emulator.force(killed[0], "complete")

    killer = threading.Thread(target=kill_when_it_waits)
    killer.start()
    ended = Run(dag).attempt("task")
    killer.join()
    before = emulator.ledger()["totals"]["requests"]
    ended.task.on_kill()
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "no way to cancel" in line]
    assert killed[0] in line
    assert emulator.ledger()["totals"]["requests"] == before
