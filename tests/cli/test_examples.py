"""Examples in ``docs/cli.md`` and in the help, run against the emulator."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING

import pytest

from airflow_provider_veo3.cli.definition import COMMANDS
from tests.support.pages import CHECKOUT, blocks_of

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_provider_veo3.emulator import Emulator
    from tests.cli.conftest import CommandLine

PAGE = CHECKOUT / "docs" / "cli.md"
PROGRAM = re.compile(r"^(?:airflow veo3|python -m airflow_provider_veo3) (.+)$", re.MULTILINE)


def in_docs() -> list[str]:
    return [line for block in blocks_of(PAGE) for line in PROGRAM.findall(block.text)]


def in_help() -> list[str]:
    return [
        f"{command.name} {arguments}".partition(" | ")[0].strip()
        for command in COMMANDS
        for _, arguments in command.examples
    ]


def test_the_page_has_an_example_of_each_command() -> None:
    assert {line.split()[0] for line in in_docs()} == {command.name for command in COMMANDS}


def test_the_page_names_every_option() -> None:
    text = PAGE.read_text(encoding="utf-8")
    flags = {option.flags[-1] for command in COMMANDS for option in command.options}
    assert [flag for flag in flags if flag.startswith("--") and f"`{flag}`" not in text] == []


@pytest.mark.parametrize("line", dict.fromkeys(in_docs() + in_help()))
def test_an_example_works(
    line: str,
    either: CommandLine,
    emulator: Emulator,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ids = iter(emulator.add_history(2, seconds=3600))
    line = line.replace("s3://aws_default@my-bucket", f"file://{tmp_path}")
    words = shlex.split(re.sub(r"\bveo_\d+_\w+", lambda _: next(ids), line))
    (tmp_path / "prompts.csv").write_text("prompt,sample_count\nA kite over dunes,2\n")
    monkeypatch.chdir(tmp_path)
    ended = either(*words)
    assert ended.code == 0, ended.err
    assert ended.out
    if words[0] == "store":
        assert len(list((tmp_path / "videos").iterdir())) == 2
