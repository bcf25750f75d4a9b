"""Both programs: help, usage errors, connections, and the cost of their import."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from importlib import import_module
from typing import TYPE_CHECKING

import pytest

from airflow_provider_veo3 import get_provider_info
from airflow_provider_veo3.cli.definition import COMMANDS, GROUP
from tests.support.airflow_versions import AIRFLOW, CHECKOUT
from tests.support.connections import connection_to
from tests.support.until import until

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_provider_veo3.emulator import Emulator
    from tests.cli.conftest import CommandLine

NAMES = ("models", "history", "store", "estimate")
PYTHON = (sys.executable, "-m", "airflow_provider_veo3")

takes_commands = pytest.mark.skipif(
    AIRFLOW < (3, 2), reason="Airflow 3.2 is the first that takes commands from other providers"
)


def environment(home: Path, emulator: Emulator) -> dict[str, str]:
    """Return the environment of a user who has a key, and no database."""
    kept = {name: text for name, text in os.environ.items() if not name.startswith("AIRFLOW_CONN_")}
    key = {"VEO3_API_KEY": emulator.api_key, "VEO3_BASE_URL": emulator.base_url}
    return {**kept, **key, "AIRFLOW_HOME": str(home), "PYTHONPATH": str(CHECKOUT)}


def files_below(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_every_command_has_help_with_an_example(either: CommandLine) -> None:
    for name in NAMES:
        ended = either(name, "--help")
        assert (ended.code, ended.err) == (0, "")
        assert "--conn-id" in ended.out
        example = ended.out.partition("examples:")[2]
        assert f"{either.name} {name}" in example


def test_the_help_names_every_command(either: CommandLine) -> None:
    ended = either("--help")
    assert (ended.code, ended.err) == (0, "")
    for command in COMMANDS:
        assert command.help in ended.out
    assert tuple(command.name for command in COMMANDS) == NAMES


def test_every_example_can_be_parsed(either: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unknown options end with 2; the examples get as far as the connection, which is missing."""
    monkeypatch.delenv("AIRFLOW_CONN_VEO3_DEFAULT", raising=False)
    for command in COMMANDS:
        assert command.examples
        for _, arguments in command.examples:
            words = arguments.partition(" | ")[0].split()
            ended = either(command.name, *words)
            assert ended.code == 1
            assert "'veo3_default' is not defined" in ended.error


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ((), "COMMAND"),
        (("remove",), "invalid choice: 'remove'"),
        (("history", "--limit", "0"), "'0' is not a whole number from 1 to 1000000"),
        (("history", "--limit", "٣"), "is not a whole number"),
        (("history", "--since", "yesterday"), "'yesterday' is not a time: write one such as"),
        (("history", "--since", "999999999w"), "is not a time"),
        (("history", "--status", "done"), "invalid choice: 'done'"),
        (("store", "veo_1_a"), "--to"),
        (("store", "--to", "x", "--max-concurrency", "17", "veo_1_a"), "invalid choice: 17"),
        (("estimate",), "CSV"),
    ],
)
def test_wrong_usage_ends_with_2(either: CommandLine, words: tuple[str, ...], reason: str) -> None:
    ended = either(*words)
    assert ended.code == 2
    if either.program == "python":  # Airflow prints the help too
        assert ended.out == ""
    assert reason in " ".join(ended.err.split())


def test_unreadable_arguments_end_with_2_before_any_request(either: CommandLine, emulator: Emulator) -> None:
    for words, reason in (
        (("store", "--to", "videos"), "neither ids nor a window. Nothing was requested or spent. Give"),
        (("store", "--to", "videos", "veo_1_a", "--since", "1h"), "ids and a window"),
        (("store", "--to", "videos", "--filename", "a.mp4", "veo_1_a", "veo_1_b"), "filename='a.mp4'"),
        (("store", "--to", "videos", "--filename", "a.mp4", "--limit", "1"), "filename='a.mp4'"),
        (("store", "--to", "videos", "veo_1\tx"), "generation_id="),
        (("store", "--to", "nothing://x/", "veo_1_a"), "destination='nothing://x/'"),
        (("history", "--since", "1h", "--until", "2h"), "which is not before --until"),
    ):
        ended = either(*words)
        assert (ended.code, ended.out) == (2, "")
        assert ended.error.startswith(f"{either.name} {words[0]}: error: ")
        assert reason in ended.error
    assert emulator.ledger()["requests"] == {}


def test_both_programs_have_the_same_commands_and_options() -> None:
    """Airflow's parser is made of the same definitions; its own options must not be lost on the way."""
    (path,) = get_provider_info()["cli"]
    module, _, function = path.rpartition(".")
    if AIRFLOW < (3, 2):
        assert callable(getattr(import_module(module), function))
        return
    (group,) = getattr(import_module(module), function)()
    assert group.name == GROUP
    assert tuple(command.name for command in group.subcommands) == NAMES
    for ours, theirs in zip(COMMANDS, group.subcommands, strict=True):
        flags = [argument.flags for argument in theirs.args]
        assert flags[: len(ours.options)] == [option.flags for option in ours.options]
        assert flags[len(ours.options) :] == [("--conn-id",), ("-o", "--output")]


def test_the_key_of_the_environment_serves_without_a_database(emulator: Emulator, tmp_path: Path) -> None:
    done = subprocess.run(
        [*PYTHON, "models"],
        env=environment(tmp_path, emulator),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    heading, *lines = done.stdout.splitlines()
    assert heading.split() == ["ID", "CREDITS", "WITHOUT", "SOUND", "NAME", "CAPABILITIES"]
    assert len(lines) > 3
    if AIRFLOW >= (3, 1):  # before, every connection is looked up in Airflow's database, which SQLite makes
        assert [name for name in files_below(tmp_path) if name.endswith(".db")] == []


@takes_commands
def test_airflow_runs_the_commands(emulator: Emulator, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "airflow", "veo3", "models", "--output", "json"],
        env=environment(tmp_path, emulator),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert {"id", "credits_per_video"} <= json.loads(done.stdout)[0].keys()
    assert emulator.api_key not in done.stdout + done.stderr


def test_airflow_ends_with_the_exit_code_of_the_command(
    either: CommandLine, key_in_environment: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VEO3_API_KEY", "veo3_of_nobody")
    ended = either("models")
    assert (ended.code, ended.out) == (1, "")
    assert ended.error.startswith(f"{either.name} models: error: GET models: the VEO3 API returned 401")
    assert "veo3_of_nobody" not in ended.error


def test_a_missing_connection_is_named(veo3: CommandLine, emulator: Emulator) -> None:
    ended = veo3("models", "--conn-id", "elsewhere")
    assert (ended.code, ended.out) == (1, "")
    assert "'elsewhere' is not defined. Nothing was sent or spent." in ended.error
    assert emulator.ledger()["requests"] == {}


def test_a_connection_in_the_database_serves(emulator: Emulator, tmp_path: Path) -> None:
    from airflow.models.connection import Connection
    from airflow.utils.session import create_session

    fields = connection_to(emulator)
    with create_session() as session:
        session.add(Connection(conn_id="from_database", **{**fields, "extra": json.dumps(fields["extra"])}))
    try:
        env = {name: text for name, text in os.environ.items() if not name.startswith("AIRFLOW_CONN_")}
        done = subprocess.run(
            [*PYTHON, "models", "-o", "json", "--conn-id", "from_database"],
            env={**env, "PYTHONPATH": str(CHECKOUT)},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        with create_session() as session:
            session.query(Connection).filter(Connection.conn_id == "from_database").delete()
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)) > 3


def test_an_api_that_repeats_the_key_does_not_make_it_show(either: CommandLine, emulator: Emulator) -> None:
    from airflow_provider_veo3.emulator import Fault

    emulator.inject(Fault("refuse", "models", code="ODD", error=f"refused: {emulator.api_key}"))
    ended = either("models")
    assert (ended.code, ended.out) == (1, "")
    assert "ODD" in ended.error
    assert emulator.api_key not in ended.error


def test_a_reader_that_has_read_enough_is_no_traceback(emulator: Emulator, tmp_path: Path) -> None:
    emulator.add_history(500)  # more than a pipe holds
    command = subprocess.Popen(
        [*PYTHON, "history", "-o", "json"],
        env={**environment(tmp_path, emulator), "PYTHONUNBUFFERED": ""},  # which hides the broken pipe
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert command.stdout is not None
    assert command.stderr is not None
    assert command.stdout.readline() == b"[\n"
    command.stdout.close()
    assert command.stderr.read() == b""
    command.stderr.close()
    assert command.wait() == 1


def test_ctrl_c_leaves_no_half_file_and_awaits_no_host_that_stalls(
    emulator: Emulator, tmp_path: Path
) -> None:
    from airflow_provider_veo3.emulator import Fault

    emulator.configure(file_size=10**6)
    whole, cut = emulator.add_history(2, seconds=60)
    emulator.inject(Fault("stall", "file", task_id=cut, bytes=500_000, seconds=3600))
    patient = {**connection_to(emulator), "extra": {"request_timeout": 600}}
    home, videos = tmp_path / "home", tmp_path / "videos"
    home.mkdir()
    # a shell lets its background jobs ignore Ctrl-C, and what they start
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        command = subprocess.Popen(
            [*PYTHON, "store", "--to", str(videos), cut, whole],
            env={**environment(home, emulator), "AIRFLOW_CONN_VEO3_DEFAULT": json.dumps(patient)},
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
    finally:
        signal.signal(signal.SIGINT, before)
    try:
        assert command.stderr is not None
        assert command.stderr.readline() == f"1 of 2: {whole} stored\n"
        until("half a file", lambda: any(each.stat().st_size for each in videos.glob(".*")) or None)
        command.send_signal(signal.SIGINT)
        out, err = command.communicate(timeout=120)
    finally:
        command.kill()
    assert (command.returncode, out) == (130, "")
    (line,) = err.splitlines()
    assert line.endswith("store: interrupted. No credits were spent; run the command again to go on.")
    assert files_below(videos) == [f"{whole}_0.mp4"]


LOADED = """
import json, sys
loaded = []
for statement in {statements}:
    exec(statement)
    loaded.append(sorted(sys.modules))
print(json.dumps(loaded))
"""


def loaded_by(*statements: str) -> list[set[str]]:
    """Return the modules that a new process has loaded after each statement."""
    done = subprocess.run(
        [sys.executable, "-c", LOADED.format(statements=statements)],
        env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
        capture_output=True,
        text=True,
        check=True,
    )
    return [set(names) for names in json.loads(done.stdout.splitlines()[-1])]


def test_the_definitions_load_neither_airflow_nor_rich() -> None:
    (found,) = loaded_by("import airflow_provider_veo3.cli.definition")
    ours = sorted(name for name in found if name.startswith("airflow_provider_veo3"))
    assert ours == [
        "airflow_provider_veo3",
        "airflow_provider_veo3.cli",
        "airflow_provider_veo3.cli.definition",
    ]
    assert {"airflow", "rich", "requests", "httpx"} & found == set()


@takes_commands
def test_airflow_s_other_commands_load_only_the_definitions() -> None:
    (found,) = loaded_by("from airflow.cli.cli_parser import get_parser; get_parser()")
    ours = {name for name in found if name.startswith("airflow_provider_veo3.")}
    assert ours == {"airflow_provider_veo3.cli", "airflow_provider_veo3.cli.definition"}


def test_no_module_of_the_commands_loads_rich() -> None:
    """Airflow may load it by itself, so that the difference counts."""
    without = "import airflow_provider_veo3.operators.download, airflow.configuration"
    before, after = loaded_by(without, "import airflow_provider_veo3.cli.run")
    assert {name for name in after - before if name.partition(".")[0] == "rich"} == set()
