"""The commands in this process, as ``airflow veo3`` and as ``python -m airflow_provider_veo3``."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.airflow_versions import AIRFLOW

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_veo3.emulator import Emulator

PROGRAMS = ("airflow", "python")


@dataclass(frozen=True)
class Ended:
    """Exit code and output of a command."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Return the parsed result."""
        return json.loads(self.out)

    @property
    def rows(self) -> list[list[str]]:
        """Return the words of each line of the table, without the headings."""
        return [line.split() for line in self.out.splitlines()[1:]]

    @property
    def error(self) -> str:
        """Return the only line on standard error; in tests, Airflow 3.0 logs lines of its own before it."""
        *others, line = self.err.splitlines()
        assert others == [] or AIRFLOW < (3, 1)
        return line


class CommandLine:
    """Command line of one of the two programs."""

    def __init__(self, program: str, capsys: pytest.CaptureFixture[str]) -> None:
        self.program = program
        self._capsys = capsys

    @property
    def name(self) -> str:
        """Return the program as its messages name it."""
        return {"airflow": "airflow veo3", "python": "python -m airflow_provider_veo3"}[self.program]

    def __call__(self, *words: str) -> Ended:
        self._capsys.readouterr()
        try:
            code = _run(self.program, words)
        except SystemExit as end:
            code = int(end.code or 0)
        printed = self._capsys.readouterr()
        return Ended(code, printed.out, printed.err)


def _run(program: str, words: Sequence[str]) -> int:
    if program == "python":
        from airflow_provider_veo3.cli.definition import main

        return main(words)
    from airflow.cli.cli_parser import get_parser

    arguments = get_parser().parse_args(["veo3", *words])
    arguments.func(arguments)
    return 0


@pytest.fixture(params=PROGRAMS)
def either(request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    """Each of the two programs in turn."""
    if request.param == "airflow" and AIRFLOW < (3, 2):
        pytest.skip("Airflow 3.2 is the first that takes commands from other providers")
    return CommandLine(request.param, capsys)


@pytest.fixture
def veo3(capsys: pytest.CaptureFixture[str]) -> CommandLine:
    """The program that every Airflow version has."""
    return CommandLine("python", capsys)


@pytest.fixture
def key_in_environment(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> Emulator:
    """Emulator that is reached by environment variables in place of a connection."""
    monkeypatch.delenv("AIRFLOW_CONN_VEO3_DEFAULT")
    monkeypatch.setenv("VEO3_API_KEY", emulator.api_key)
    monkeypatch.setenv("VEO3_BASE_URL", emulator.base_url)
    return emulator
