"""The observer sees what anybody would see, whenever it changes."""

from __future__ import annotations

import hashlib
import json
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from chaos.observer import Observer, read_findings
from chaos.verdict import Content
from testbed.local_airflow import CHECKOUT

if TYPE_CHECKING:
    from pathlib import Path


def content(data: bytes) -> Content:
    return Content(len(data), hashlib.sha256(data).hexdigest())


def test_it_tells_what_is_new_and_what_is_another_and_what_is_gone(tmp_path: Path) -> None:
    observer = Observer(tmp_path)
    assert list(observer.look()) == []
    video = tmp_path / "a_0.mp4"
    video.write_bytes(b"half")
    (sighting,) = observer.look()
    assert (sighting.name, sighting.content) == ("a_0.mp4", content(b"half"))
    assert list(observer.look()) == []
    video.write_bytes(b"half and half")
    (sighting,) = observer.look()
    assert sighting.content == content(b"half and half")
    video.unlink()
    (sighting,) = observer.look()
    assert (sighting.name, sighting.content) == ("a_0.mp4", None)
    assert list(observer.look()) == []


def test_it_looks_into_folders_and_past_hidden_parts(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "a_0.mp4").write_bytes(b"whole")
    (tmp_path / ".veo3-1.part").write_bytes(b"ha")
    assert [sighting.name for sighting in Observer(tmp_path).look()] == ["run/a_0.mp4"]


def test_the_process_looks_until_it_is_told_to_stop_and_once_more(tmp_path: Path) -> None:
    folder, findings = tmp_path / "videos", tmp_path / "findings"
    folder.mkdir()
    (folder / "a_0.mp4").write_bytes(b"whole")
    words = [sys.executable, "-m", "chaos.observer", str(folder), str(findings)]
    process = subprocess.Popen(words, cwd=CHECKOUT)
    while not findings.is_file() or not findings.read_text():
        assert process.poll() is None
        time.sleep(0.02)
    (folder / "b_0.mp4").write_bytes(b"late")
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=120) == 0
    sightings, looks = read_findings(findings)
    assert looks >= 1
    assert {s.name: s.content for s in sightings} == {
        "a_0.mp4": content(b"whole"),
        "b_0.mp4": content(b"late"),
    }
    assert json.loads(findings.read_text().splitlines()[-1]) == {"looks": looks}
