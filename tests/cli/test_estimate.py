"""``estimate``: files as programs write them, prices, and rows that have none."""

from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING

import pytest

from airflow_provider_veo3.hooks.veo3 import Veo3Hook

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_provider_veo3.emulator import Emulator
    from tests.cli.conftest import CommandLine

LITE = "veo-3.1-lite-generate-001"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "my prompts.csv"


def credits_left(emulator: Emulator) -> int:
    return int(emulator.ledger()["accounts"][0]["credits"])


def test_each_row_has_a_price_and_the_sum_follows(
    either: CommandLine, emulator: Emulator, file: Path
) -> None:
    file.write_text(
        "prompt,model,sample_count,generate_audio,seed\n"
        f'"A kite, over dunes",{LITE},2,false,7\n'
        "A kite over the sea,,,,\n",
        encoding="utf-8",
    )
    ended = either("estimate", str(file))
    assert (ended.code, ended.err) == (0, "")
    assert ended.rows == [
        ["2", "70", "2", "no", LITE, "A", "kite,", "over", "dunes"],
        ["3", "190", "1", "yes", "veo-3.1-fast-generate-001", "A", "kite", "over", "the", "sea"],
        ["total", "260", "3"],
    ]
    assert [each["endpoint"] for each in emulator.ledger()["recent_requests"]] == ["models"]


def test_the_sum_is_what_the_generations_cost(veo3: CommandLine, emulator: Emulator, file: Path) -> None:
    rows = [(LITE, 2, False), (LITE, 1, True), ("veo-3.1-generate-001", 2, True)]
    file.write_text(
        "prompt;model;sample_count;generate_audio\n"
        + "".join(f"A kite;{model};{samples};{sound}\n" for model, samples, sound in rows)
    )
    total = veo3("estimate", str(file), "--output", "json").json["credits"]
    before = credits_left(emulator)
    for model, samples, sound in rows:
        Veo3Hook().text_to_video("A kite", model=model, sample_count=samples, generate_audio=sound)
    assert before - credits_left(emulator) == total


EXCEL = 'Prompt;Model;Sample_Count\r\n"Ein Drachen; über Dünen\r\nam Abend";;2\r\n;;\r\n'


@pytest.mark.parametrize(
    "content",
    [
        EXCEL.encode("utf-8-sig"),
        EXCEL.encode("utf-8"),
        EXCEL.encode("utf-16"),
        EXCEL.replace(";", "\t").encode("utf-16"),
        EXCEL.replace(";", ",").encode("utf-8-sig"),
        EXCEL.replace("\r\n", "\n").encode("utf-8"),
        EXCEL.replace("\r\n", "\r").encode("utf-8"),
        ("\r\n;;\r\n" + EXCEL).encode("utf-8-sig"),
        EXCEL.rstrip().encode("utf-8"),
    ],
    ids=[
        "utf-8-sig",
        "utf-8",
        "utf-16",
        "tabs",
        "commas",
        "LF",
        "CR",
        "empty rows first",
        "unended",
    ],
)
def test_a_file_is_read_as_excel_writes_it(
    veo3: CommandLine, emulator: Emulator, file: Path, content: bytes
) -> None:
    file.write_bytes(content)
    ended = veo3("estimate", str(file), "-o", "json")
    assert (ended.code, ended.err) == (0, "")
    (row,) = ended.json["rows"]
    assert row["prompt"].split() in (
        ["Ein", "Drachen;", "über", "Dünen", "am", "Abend"],
        ["Ein", "Drachen", "über", "Dünen", "am", "Abend"],
        ["Ein", "Drachen,", "über", "Dünen", "am", "Abend"],
    )
    assert (row["sample_count"], ended.json["credits"], ended.json["videos"]) == (2, 380, 2)


def test_a_single_column_needs_no_quotes(veo3: CommandLine, emulator: Emulator, file: Path) -> None:
    file.write_text("prompt\nA kite, over dunes; at night\nA kite\n")
    ended = veo3("estimate", str(file), "--output", "json")
    assert [row["prompt"] for row in ended.json["rows"]] == ["A kite, over dunes; at night", "A kite"]


def test_the_option_model_is_for_rows_that_name_none(
    either: CommandLine, emulator: Emulator, file: Path
) -> None:
    file.write_text("prompt,model\nA,\nB,veo-3.1-generate-001\n")
    ended = either("estimate", str(file), "--model", LITE)
    assert [row[1] for row in ended.rows] == ["65", "500", "565"]


def test_standard_input_is_read(
    veo3: CommandLine, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"prompt\nA kite\n")))
    assert veo3("estimate", "-").rows[-1] == ["total", "190", "1"]


def test_a_uri_is_read(veo3: CommandLine, emulator: Emulator, file: Path) -> None:
    file.write_text("prompt\nA kite\n")
    assert veo3("estimate", f"file://{file}").rows[-1] == ["total", "190", "1"]


def test_rows_without_a_price_are_named_and_not_in_the_sum(
    either: CommandLine, emulator: Emulator, file: Path
) -> None:
    file.write_text(
        f"prompt,model,sample_count\nA kite,,1\nB,,3\n,{LITE},\nC,veo-9,\n{'x' * 1001},,\n", encoding="utf-8"
    )
    ended = either("estimate", str(file))
    assert ended.code == 1
    assert [row[0] for row in ended.rows] == ["2", "total"]
    assert ended.rows[-1] == ["total", "190", "1"]
    lines = ended.err.splitlines()
    assert [line.partition(": ")[0] for line in lines[:-1]] == [f"{file} line {n}" for n in (3, 4, 5, 6)]
    for line, reason in zip(lines, ("sample_count=", "prompt=", "'veo-9'", "prompt="), strict=False):
        assert reason in line
        assert "Nothing was submitted or spent." in line
    assert lines[-1] == "Rows without a price, which are not in the total: 4 of 5."


def test_json_has_no_sum_that_leaves_rows_out(veo3: CommandLine, emulator: Emulator, file: Path) -> None:
    file.write_text("prompt,sample_count\nA,1\nB,3\n")
    ended = veo3("estimate", str(file), "-o", "json")
    assert ended.code == 1
    assert (ended.json["credits"], ended.json["videos"]) == (None, None)
    assert [row["credits"] for row in ended.json["rows"]] == [190, None]
    assert ended.json["rows"][0]["error"] is None
    assert "sample_count=" in ended.json["rows"][1]["error"]


def test_unknown_columns_are_named(veo3: CommandLine, emulator: Emulator, file: Path) -> None:
    file.write_text("prompt,note,sampel_count\nA,x,2\n")
    ended = veo3("estimate", str(file))
    assert ended.code == 0
    assert ended.error == ("Ignored columns, which are no options of a generation: note, sampel_count.")


def test_a_file_without_rows_costs_nothing(veo3: CommandLine, emulator: Emulator, file: Path) -> None:
    file.write_text("prompt,model\n")
    ended = veo3("estimate", str(file))
    assert (ended.code, ended.rows) == (0, [["total", "0", "0"]])


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "has no column 'prompt'; its columns are: none."),
        (b"text,model\nA,\n", "has no column 'prompt'; its columns are: text, model."),
        (b"prompt,Prompt\nA,B\n", "has the column 'prompt' twice."),
        (b"prompt,model\nA kite, over dunes, at night\n", "has text outside its named columns in line 2."),
        ("prompt\nDünen\n".encode("cp1252"), "is not UTF-8."),
        (b'prompt,model\n"A kite,\nB,\nC,\n', "is no CSV file: unexpected end of data in line 4."),
        (b'prompt,model\n"A" kite,\n', "is no CSV file: ',' expected after '\"' in line 2."),
    ],
)
def test_a_file_that_is_no_list_of_prompts_is_refused(
    veo3: CommandLine, emulator: Emulator, file: Path, content: bytes, reason: str
) -> None:
    file.write_bytes(content)
    ended = veo3("estimate", str(file))
    assert (ended.code, ended.out) == (2, "")
    assert f"estimate: error: {file} {reason}" in ended.error
    assert "Nothing was submitted or spent." in ended.error
    assert emulator.ledger()["requests"] == {}


def test_a_missing_file_is_refused(either: CommandLine, emulator: Emulator, tmp_path: Path) -> None:
    ended = either("estimate", str(tmp_path / "none.csv"))
    assert (ended.code, ended.out) == (2, "")
    assert "allowed: the path or object storage URI of a CSV file that exists ([Errno 2]" in ended.error
    assert "none.csv'). Nothing was submitted or spent." in ended.error
    assert either("estimate", str(tmp_path)).code == 2


def test_a_pipe_is_read(veo3: CommandLine, emulator: Emulator) -> None:
    reading, writing = os.pipe()
    with os.fdopen(writing, "wb") as pipe:
        pipe.write(b"prompt\nA kite\n")
    with os.fdopen(reading):
        assert veo3("estimate", f"/dev/fd/{reading}").rows[-1] == ["total", "190", "1"]
