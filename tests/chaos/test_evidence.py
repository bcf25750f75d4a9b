"""Evidence of a campaign: what is counted in the logs of the tasks."""

from __future__ import annotations

from pathlib import Path

from airflow_provider_veo3 import submission
from chaos.evidence import REUSE_MESSAGES, count_reused


def test_the_operator_logs_the_messages_that_are_counted() -> None:
    sources = [path.read_text(encoding="utf-8") for path in Path(submission.__path__[0]).glob("*.py")]
    assert all(any(words in source for source in sources) for words in REUSE_MESSAGES.values())


def test_reused_generations_are_counted_over_all_attempts(tmp_path: Path) -> None:
    folder = tmp_path / "logs" / "dag_id=veo3_chaos" / "run_id=1" / "task_id=generate"
    folder.mkdir(parents=True)
    found, known = REUSE_MESSAGES.values()
    (folder / "attempt=1.log").write_text(f"Reusing generation veo_1, {found}.\n")
    (folder / "attempt=2.log").write_text(f"Reusing generation veo_1, {known}.\n")
    (folder / "attempt=3.log").write_text(f"Reusing generation veo_1, {known}.\n")
    assert list(count_reused(tmp_path).values()) == [1, 2]
