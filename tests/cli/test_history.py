"""``history``: filters, order, and text that a terminal must not obey."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from rich.cells import cell_len

from airflow_provider_veo3.hooks.veo3 import Veo3Hook
from tests.support.terminal import use_terminal

if TYPE_CHECKING:
    import pytest

    from airflow_provider_veo3.emulator import Emulator
    from tests.cli.conftest import CommandLine

LITE = "veo-3.1-lite-generate-001"


def test_the_table_has_each_generation_the_oldest_first(either: CommandLine, emulator: Emulator) -> None:
    ids = emulator.add_history(3, seconds=3600)
    submitted = Veo3Hook().text_to_video("A kite over dunes", model=LITE)
    ended = either("history")
    assert (ended.code, ended.err) == (0, "")
    assert [row[1] for row in ended.rows] == [*ids, submitted.id]
    created, *others = ended.rows[-1]
    assert others == [submitted.id, "completed", LITE, "65", "A", "kite", "over", "dunes"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", created)


def test_json_has_every_fact(either: CommandLine, emulator: Emulator) -> None:
    (generation_id,) = emulator.add_history(1, prompts=["A kite"])
    (shown,) = either("history", "-o", "json").json
    expected = Veo3Hook().get_generation(generation_id)
    assert shown["id"] == generation_id
    assert shown["status"] == "completed"
    assert shown["prompt"] == "A kite"
    assert shown["created_at"] == expected.created_at.isoformat() if expected.created_at else None
    assert (shown["error"], shown["error_code"]) == (None, None)


def test_options_select_generations(veo3: CommandLine, emulator: Emulator) -> None:
    from airflow_provider_veo3.emulator import Fault

    ids = emulator.add_history(10, seconds=36_000)
    emulator.inject(Fault("fail_generation", error="The prompt was refused"))
    failed = Veo3Hook().text_to_video("A kite", model=LITE).id

    def listed(*options: str) -> list[str]:
        ended = veo3("history", *options)
        assert (ended.code, ended.err) == (0, "")
        return [row[1] for row in ended.rows]

    assert listed("--status", "failed") == [failed]
    assert listed("--status", "completed") == ids
    assert listed("--model", "veo-3.1-lite-generate") == [failed]
    assert listed("--limit", "2") == [ids[-1], failed]
    assert listed("--since", "90m", "--limit", "100")[-1] == failed
    created = {row["id"]: row["created_at"] for row in veo3("history", "--output", "json").json}
    assert listed("--until", created[ids[5]]) == ids[:5]
    assert listed("--until", created[ids[5]], "--since", created[ids[2]]) == ids[2:5]


def test_a_time_without_zone_is_utc(veo3: CommandLine, emulator: Emulator) -> None:
    emulator.add_history(1, seconds=3600)
    before = datetime.now(UTC) - timedelta(hours=2)
    in_kolkata = (before + timedelta(hours=5.5)).replace(tzinfo=None).isoformat() + "+05:30"
    for time in (before.replace(tzinfo=None).isoformat(), before.isoformat(), in_kolkata):
        assert len(veo3("history", "--since", time).rows) == 1
        assert veo3("history", "--until", time).rows == []


def test_more_than_a_page_is_read(veo3: CommandLine, emulator: Emulator) -> None:
    ids = emulator.add_history(250)
    assert [each["id"] for each in veo3("history", "--output", "json").json] == ids
    assert emulator.ledger()["requests"] == {"history": {"200": 3}}


def test_an_empty_history_is_a_heading_or_an_empty_list(either: CommandLine, emulator: Emulator) -> None:
    ended = either("history")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.split() == ["CREATED", "ID", "STATUS", "MODEL", "CREDITS", "PROMPT"]
    assert either("history", "--output", "json").json == []


def test_an_error_of_the_api_is_one_line_and_1(veo3: CommandLine, emulator: Emulator) -> None:
    from airflow_provider_veo3.emulator import Fault

    emulator.inject(Fault("refuse", "history", code="ODD", error="first\nsecond\x1b[2J\x07"))
    ended = veo3("history")
    assert (ended.code, ended.out) == (1, "")
    assert "ODD" in ended.error
    assert "No credits were spent" in ended.error
    assert "\x1b" not in ended.error


def test_prompts_cannot_control_the_terminal(
    veo3: CommandLine, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompt = "A \x1b[2J\x1b]0;title\x07[bold]kite[/bold]\nover\r\u202edunes"
    emulator.add_history(1, prompts=[prompt])
    plain = veo3("history").out
    assert len(plain.splitlines()) == 2
    terminal = use_terminal(monkeypatch, "stdout", columns=300)
    assert veo3("history").code == 0
    for shown in (plain, terminal.text):
        assert "[bold]kite[/bold] over dunes" in shown
        assert not {"\x1b", "\x07", "\r", "\u202e"} & set(shown)


def test_a_terminal_shows_as_much_of_a_prompt_as_fits(
    veo3: CommandLine, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    emulator.add_history(2, prompts=["A long kite " * 30, "凧が砂丘の上を飛ぶ" * 20])
    terminal = use_terminal(monkeypatch, "stdout", columns=160)
    assert veo3("history").code == 0
    lines = terminal.text.splitlines()
    assert len(lines) == 3
    assert [159 <= cell_len(line) <= 160 and line.endswith("…") for line in lines[1:]] == [True, True]


def test_other_programs_get_whole_prompts(veo3: CommandLine, emulator: Emulator) -> None:
    emulator.add_history(1, prompts=["A long kite " * 30])
    assert ("A long kite " * 30).strip() in veo3("history").out
