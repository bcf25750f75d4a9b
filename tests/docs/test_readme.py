"""Behaviour that the README shows: its first DAG, its connection, its tables."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from airflow_provider_veo3.hooks.connection import settings_from_connection
from airflow_provider_veo3.hooks.veo3 import Veo3Hook
from tests.support.airflow_versions import connection_class
from tests.support.pages import CHECKOUT
from tests.support.task_runs import Run

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_provider_veo3.emulator import Emulator

README = (CHECKOUT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def test_the_first_dag_stores_a_video(emulator: Emulator, tmp_path: Path) -> None:
    (snippet,) = blocks("python")
    assert len(snippet.splitlines()) <= 24
    names: dict[str, Any] = {}
    exec(compile(snippet.replace("/tmp/videos", str(tmp_path)), "README.md", "exec"), names)  # noqa: S102, S108
    ended = Run(names["submit"].dag).finish()
    assert {task: end.state for task, end in ended.items()} == dict.fromkeys(
        ["submit", "wait", "download"], "success"
    )
    (stored,) = ended["download"].value
    assert stored["generation_id"] == ended["submit"].value
    assert (tmp_path / f"{stored['generation_id']}_0.mp4").stat().st_size == stored["size"]
    assert emulator.ledger()["totals"]["accepted"] == 1


def test_the_connection_line_defines_a_connection() -> None:
    (line,) = [block for block in blocks("bash") if "AIRFLOW_CONN_" in block]
    match = re.search(r"AIRFLOW_CONN_VEO3_DEFAULT='(.*)'", line)
    assert match is not None
    connection = connection_class().from_json(match[1], conn_id="veo3_default")
    assert connection.conn_type == Veo3Hook.conn_type
    settings = settings_from_connection("veo3_default", connection, connection.extra_dejson)
    assert (settings.base_url, settings.api_key) == ("https://api.veo3gen.co", "veo3_your_api_key")


def test_the_connection_table_has_the_real_defaults() -> None:
    rows = dict(re.findall(r"^\| extra `(\w+)`.*\| ([^|]+) \|$", README, re.MULTILINE))
    connection = connection_class()(conn_id="c", conn_type="veo3", password="veo3_key")
    settings = settings_from_connection("c", connection, {})
    assert float(rows["request_timeout"]) == settings.request_timeout
    assert float(rows["requests_per_minute"]) == settings.requests_per_minute
    assert float(rows["poll_interval"]) == settings.poll_interval
    assert rows["first_frame_field"] == "`{first_frame}`, `{last_frame}`".format_map(settings.file_fields)


def test_every_named_class_and_file_exists() -> None:
    from airflow_provider_veo3 import exceptions
    from airflow_provider_veo3.operators import download, generate, history
    from airflow_provider_veo3.sensors import generation

    modules = (exceptions, download, generate, history, generation)
    named = set(re.findall(r"`(Veo3\w+)`", README))
    assert len(named) > 10
    assert [name for name in named if not any(hasattr(module, name) for module in modules)] == []
    links = re.findall(r"\]\((?!http)([^)#]+)\)", README)
    assert links
    assert [link for link in links if not (CHECKOUT / link).exists()] == []


def test_every_named_make_target_exists() -> None:
    makefile = (CHECKOUT / "Makefile").read_text(encoding="utf-8")
    for target in set(re.findall(r"`?\bmake (\w+)", README)):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_airflow_accepts_the_pool_command(airflow_db: None) -> None:
    import shlex

    from airflow.cli.cli_parser import get_parser

    (line,) = [block for block in blocks("bash") if "airflow pools" in block]
    arguments = get_parser().parse_args(shlex.split(line)[1:])
    assert (arguments.pool, arguments.slots, arguments.include_deferred) == ("veo3", 5, True)
