"""Lists of make targets, run side by side."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.support.pages import CHECKOUT
from tests.support.until import until

if TYPE_CHECKING:
    from pathlib import Path

MAKE = """
import os, signal, sys

def note(word):
    with open("log", "a") as log:
        print(word, file=log)

for target in sys.argv[2:]:
    if target == "fails":
        while open("log").read().count("waiting") < int(os.environ["WAITING"]):
            pass
        sys.exit(3)
    if target == "waits":
        try:
            note("waiting")
            signal.pause()
        except KeyboardInterrupt:
            note("interrupted")
            sys.exit(130)
    note(target)
"""
"""Stand-in for make: ``waits`` waits for an interrupt; ``fails`` fails once ``WAITING`` of them wait."""


class Lists:
    """Lists that run in a folder.

    :param folder: folder with the stand-in for make.
    """

    def __init__(self, folder: Path, *args: str, **env: str) -> None:
        self._log = folder / "log"
        self._log.touch()
        self._process = subprocess.Popen(
            [sys.executable, CHECKOUT / ".ci" / "side_by_side.py", *args],
            cwd=folder,
            env=os.environ | {"MAKE": str(folder / "make"), "WAITING": "0", "WORKERS": ""} | env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    @property
    def log(self) -> list[str]:
        """Targets that have ended, and what became of those that wait."""
        return self._log.read_text().split()

    def end(self, by: signal.Signals | None = None) -> tuple[int, str]:
        """Send a signal, and return the exit status and the output."""
        if by is not None:
            self._process.send_signal(by)
        output, _ = self._process.communicate(timeout=60)
        return self._process.returncode, output


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    script = tmp_path / "make"
    (tmp_path / "make.py").write_text(MAKE)
    script.write_text(f"#!/bin/sh\nexec '{sys.executable}' make.py \"$@\"\n")
    script.chmod(0o755)
    return tmp_path


@pytest.mark.parametrize("workers", ["", "0"])
def test_all_lists_run(folder: Path, workers: str) -> None:
    lists = Lists(folder, "a1", "a2", "--", "b1", "--", "c1", "c2", WORKERS=workers)
    status, output = lists.end()
    assert (status, sorted(lists.log)) == (0, ["a1", "a2", "b1", "c1", "c2"])
    assert lists.log.index("c1") < lists.log.index("c2")
    assert "make c1 c2 b1 a1 a2: " in output


@pytest.mark.parametrize(
    "args",
    [
        ("fails", "a2", "--", "waits", "--", "waits"),
        ("waits", "--", "b", "fails", "--", "waits"),
        ("waits", "--", "waits", "--", "fails", "c2"),
    ],
    ids=" ".join,
)
def test_the_first_failure_ends_the_other_lists(folder: Path, args: tuple[str, ...]) -> None:
    lists = Lists(folder, *args, WAITING="2")
    status, output = lists.end()
    assert status == 3
    assert "FAILED with status 3" in output
    assert lists.log.count("interrupted") == 2
    assert not {"a2", "c2"} & set(lists.log)


def test_a_failure_leaves_the_next_list_out_when_they_follow_one_another(folder: Path) -> None:
    lists = Lists(folder, "a", "--", "fails", WORKERS="0")
    assert lists.end()[0] == 3
    assert lists.log == []


@pytest.mark.parametrize(("by", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupt_ends_all_lists(folder: Path, by: signal.Signals, code: int) -> None:
    lists = Lists(folder, "waits", "--", "b", "--", "waits", "c2")
    until("both wait", lambda: lists.log.count("waiting") == 2 or None)
    assert lists.end(by)[0] == code
    assert lists.log.count("interrupted") == 2
    assert "c2" not in lists.log
