"""``store``: selection, existing files, failures, progress and exit code."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from airflow_provider_veo3.cli.progress import Progress
from airflow_provider_veo3.emulator import Fault
from airflow_provider_veo3.hooks.veo3 import Veo3Hook
from tests.support.terminal import use_terminal

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_provider_veo3.emulator import Emulator
    from tests.cli.conftest import CommandLine
    from tests.support.holding import Hold


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def file_requests(emulator: Emulator) -> int:
    return int(emulator.ledger()["totals"]["fetched_files"])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "my videos #1, 100%20"


def test_given_generations_are_stored(either: CommandLine, emulator: Emulator, folder: Path) -> None:
    one = Veo3Hook().text_to_video("A kite").id
    two = Veo3Hook().text_to_video("A kite", sample_count=2).id
    ended = either("store", "--to", str(folder), one, two, one)
    assert ended.code == 0
    assert [row[:3] for row in ended.rows] == [[one, "0", "4096"], [two, "0", "4096"], [two, "1", "4096"]]
    assert names(folder) == sorted([f"{one}_0.mp4", f"{two}_0.mp4", f"{two}_1.mp4"])
    *progress, summary = ended.err.splitlines()
    assert sorted(line.partition(": ")[2] for line in progress) == sorted([f"{one} stored", f"{two} stored"])
    assert [line[:6] for line in progress] == ["1 of 2", "2 of 2"]
    assert summary == "Stored 3 files of 2 generations."


def test_json_has_size_and_hash(either: CommandLine, emulator: Emulator, folder: Path) -> None:
    (generation_id,) = emulator.add_history(1)
    shown = either("store", "--to", str(folder), generation_id, "--output", "json").json
    body = (folder / f"{generation_id}_0.mp4").read_bytes()
    (stored,) = shown["stored"]
    assert stored["sha256"] == hashlib.sha256(body).hexdigest()
    assert (stored["generation_id"], stored["size"]) == (generation_id, len(body))
    assert (shown["failed"], shown["not_tried"]) == ({}, [])


def test_a_window_selects_completed_generations(veo3: CommandLine, emulator: Emulator, folder: Path) -> None:
    ids = emulator.add_history(6, seconds=21_600)
    emulator.inject(Fault("fail_generation"))
    Veo3Hook().text_to_video("A kite")
    ended = veo3("store", "--to", str(folder), "--since", "12h", "--limit", "4")
    assert ended.code == 0
    assert [row[0] for row in ended.rows] == ids[-4:]


def test_a_window_without_generations_stores_nothing(
    veo3: CommandLine, emulator: Emulator, folder: Path
) -> None:
    ended = veo3("store", "--to", str(folder), "--since", "1h")
    assert (ended.code, ended.out) == (0, "")
    assert ended.error == "Stored 0 files of 0 generations."
    assert veo3("store", "--to", str(folder), "--since", "1h", "-o", "json").json == {
        "stored": [],
        "failed": {},
        "not_tried": [],
    }


def test_a_second_run_downloads_nothing_again(veo3: CommandLine, emulator: Emulator, folder: Path) -> None:
    ids = emulator.add_history(3)
    first = veo3("store", "--to", str(folder), *ids)
    requests = file_requests(emulator)
    again = veo3("store", "--to", str(folder), *ids)
    assert (first.code, again.code) == (0, 0)
    assert again.out == first.out
    assert emulator.ledger()["tasks"] == []
    assert file_requests(emulator) - requests <= 3  # the size of an existing file is checked, at most


def test_names_follow_the_template(veo3: CommandLine, emulator: Emulator, folder: Path) -> None:
    ids = emulator.add_history(2)
    assert veo3("store", "--to", str(folder), "--filename", "{generation_id}/{index}.mp4", *ids).code == 0
    assert sorted(path.parent.name for path in folder.rglob("0.mp4")) == sorted(ids)
    assert veo3("store", "--to", str(folder), "--filename", "one.mp4", ids[0]).code == 0
    assert (folder / "one.mp4").exists()


def test_a_failure_does_not_keep_the_others_from_being_stored(
    either: CommandLine, emulator: Emulator, folder: Path
) -> None:
    one, lost, two = emulator.add_history(3)
    emulator.inject(Fault("lose_task", "download", task_id=lost, times=None))
    ended = either("store", "--to", str(folder), one, lost, two)
    assert ended.code == 1
    assert [row[0] for row in ended.rows] == [one, two]
    *_, failure, summary = ended.err.splitlines()
    assert failure.startswith(f"{lost}: ")
    assert "TASK_NOT_FOUND" in failure
    assert summary == (
        "Stored 2 files of 2 generations; 1 generation failed. No credits were spent. "
        "Run the command again to store only what is missing."
    )
    shown = either("store", "--to", str(folder), one, lost, two, "-o", "json")
    assert (shown.code, list(shown.json["failed"])) == (1, [lost])


def test_what_failed_is_stored_by_the_next_run(veo3: CommandLine, emulator: Emulator, folder: Path) -> None:
    ids = emulator.add_history(3)
    emulator.inject(Fault("status", "file", task_id=ids[1], status=404, times=None))
    assert veo3("store", "--to", str(folder), *ids).code == 1
    emulator.clear_faults()
    ended = veo3("store", "--to", str(folder), *ids)
    assert ended.code == 0
    assert names(folder) == sorted(f"{each}_0.mp4" for each in ids)


def test_a_refused_key_is_not_tried_for_every_generation(
    veo3: CommandLine, emulator: Emulator, folder: Path
) -> None:
    ids = emulator.add_history(40)
    emulator.inject(Fault("status", "download", status=401, times=None))
    ended = veo3("store", "--to", str(folder), "--max-concurrency", "1", *ids, "--output", "json")
    assert ended.code == 1
    failed, not_tried = ended.json["failed"], ended.json["not_tried"]
    assert len(failed) + len(not_tried) == 40
    assert len(failed) <= 3
    assert ids[0] in failed
    assert f"{len(not_tried)} generations not tried" in ended.err


def test_a_certificate_that_cannot_be_used_is_not_tried_for_every_generation(
    veo3: CommandLine, emulator: Emulator, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = emulator.add_history(40)
    missing = str(folder / "missing.pem")
    monkeypatch.setenv(
        "AIRFLOW_CONN_VEO3_DEFAULT", '{"conn_type": "veo3", "password": "veo3_k", "host": "https://x.test"}'
    )
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", missing)
    ended = veo3("store", "--to", str(folder), "--max-concurrency", "1", *ids, "--output", "json")
    assert ended.code == 1
    assert len(ended.json["failed"]) <= 3
    assert all("REQUESTS_CA_BUNDLE" in error for error in ended.json["failed"].values())
    assert len(ended.json["failed"]) + len(ended.json["not_tried"]) == 40


def test_files_are_downloaded_side_by_side(
    veo3: CommandLine, emulator: Emulator, folder: Path, hold: Hold
) -> None:
    """The first file ends only after the second has been requested."""
    first, second = emulator.add_history(2)
    emulator.inject(Fault("stall", "file", task_id=first, bytes=1000))
    finish = Progress.finish

    def finish_and_release(progress: Progress, generation_id: str, error: BaseException | None) -> None:
        finish(progress, generation_id, error)
        if generation_id == second:
            hold.end()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Progress, "finish", finish_and_release)
        ended = veo3("store", "--to", str(folder), first, second)
    assert ended.code == 0
    assert ended.err.splitlines()[:2] == [f"1 of 2: {second} stored", f"2 of 2: {first} stored"]
    assert [row[0] for row in ended.rows] == [first, second]


def test_a_terminal_shows_a_bar_and_then_the_summary(
    veo3: CommandLine, emulator: Emulator, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = emulator.add_history(3)
    terminal = use_terminal(monkeypatch, "stderr", columns=120)
    ended = veo3("store", "--to", str(folder), *ids)
    assert ended.code == 0
    assert [row[0] for row in ended.rows] == ids
    assert "3/3" in terminal.text
    assert "generations" in terminal.text
    assert terminal.text.splitlines()[-1].endswith("Stored 3 files of 3 generations.")
    assert "1 of 3" not in terminal.text


def test_the_bar_of_a_file_shows_its_bytes(
    veo3: CommandLine, emulator: Emulator, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file is slow enough for the display to be drawn meanwhile."""
    (generation_id,) = emulator.add_history(1)
    emulator.inject(Fault("stall", "file", bytes=2048, seconds=0.5))
    terminal = use_terminal(monkeypatch, "stderr", columns=120)
    assert veo3("store", "--to", str(folder), generation_id).code == 0
    assert f"{generation_id} file 0" in terminal.text
    assert "/4.1 kB" in terminal.text


def test_a_destination_that_cannot_be_written_is_a_failure_of_each(
    veo3: CommandLine, emulator: Emulator, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("no folder")
    (generation_id,) = emulator.add_history(1)
    ended = veo3("store", "--to", str(tmp_path / "file"), generation_id)
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.splitlines()[0] == f"1 of 1: {generation_id} failed"
    assert "Traceback" not in ended.err
