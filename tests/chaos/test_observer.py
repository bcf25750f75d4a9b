"""The observer records every change of a visible file."""

from __future__ import annotations

import hashlib
import json
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

from chaos.observer import Observer, read_observations
from chaos.verdict import Content
from testbed.local_airflow import CHECKOUT
from tests.support.until import until

if TYPE_CHECKING:
    from pathlib import Path


def content(data: bytes) -> Content:
    return Content(len(data), hashlib.sha256(data).hexdigest())


def test_it_reports_files_that_are_new_or_changed_or_have_disappeared(tmp_path: Path) -> None:
    observer = Observer(tmp_path)
    assert list(observer.scan()) == []
    video = tmp_path / "a_0.mp4"
    video.write_bytes(b"half")
    (observation,) = observer.scan()
    assert (observation.name, observation.content) == ("a_0.mp4", content(b"half"))
    assert list(observer.scan()) == []
    video.write_bytes(b"half and half")
    (observation,) = observer.scan()
    assert observation.content == content(b"half and half")
    video.unlink()
    (observation,) = observer.scan()
    assert (observation.name, observation.content) == ("a_0.mp4", None)
    assert list(observer.scan()) == []


def test_it_scans_folders_and_skips_hidden_files(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "a_0.mp4").write_bytes(b"whole")
    (tmp_path / ".veo3-1.part").write_bytes(b"ha")
    assert [observation.name for observation in Observer(tmp_path).scan()] == ["run/a_0.mp4"]


def test_the_process_scans_until_sigterm_and_once_more_after_it(tmp_path: Path) -> None:
    folder, file = tmp_path / "videos", tmp_path / "file"
    folder.mkdir()
    (folder / "a_0.mp4").write_bytes(b"whole")
    command = [sys.executable, "-m", "chaos.observer", str(folder), str(file)]
    process = subprocess.Popen(command, cwd=CHECKOUT)

    def has_scanned() -> bool | None:
        assert process.poll() is None
        return (file.is_file() and bool(file.read_text())) or None

    until("the first scan", has_scanned)
    (folder / "b_0.mp4").write_bytes(b"late")
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=120) == 0
    observations, scans = read_observations(file)
    assert scans >= 1
    assert {s.name: s.content for s in observations} == {
        "a_0.mp4": content(b"whole"),
        "b_0.mp4": content(b"late"),
    }
    assert json.loads(file.read_text().splitlines()[-1]) == {"scans": scans}
