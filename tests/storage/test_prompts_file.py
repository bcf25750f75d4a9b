"""Lists of prompts in CSV files, as Excel and other programs write them."""

from __future__ import annotations

import csv
import io
import os
import re
from contextlib import suppress
from threading import Thread
from typing import TYPE_CHECKING

import pytest
from airflow.sdk import ObjectStoragePath
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_veo3.exceptions import Veo3StorageError, Veo3ValidationError
from airflow_provider_veo3.storage.prompts_file import (
    OPTION_COLUMNS,
    PromptRow,
    PromptsFile,
    read_prompts,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

EXCEL_UTF8 = "\ufeffprompt;seed;negative_prompt\r\nA kite, over dunes;1;\r\n;;\r\nA hare;;text\r\n\r\n"
"""What Excel saves as "CSV UTF-8" where the comma is the decimal sign."""

TWO_ROWS = [
    {"prompt": "A kite, over dunes", "seed": "1", "negative_prompt": ""},
    {"prompt": "A hare", "seed": "", "negative_prompt": "text"},
]
DEFAULTS = {"seed": "", "negative_prompt": ""}


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str | bytes], Path]:
    def write(content: str | bytes) -> Path:
        file = tmp_path / "list.csv"
        file.write_bytes(content.encode() if isinstance(content, str) else content)
        return file

    return write


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(EXCEL_UTF8, id="Excel, semicolons"),
        pytest.param(
            '\ufeffprompt,seed,negative_prompt\r\n"A kite, over dunes",1,\r\n,,\r\nA hare,,text\r\n',
            id="Excel, commas",
        ),
        pytest.param(
            "prompt\tseed\tnegative_prompt\nA kite, over dunes\t1\t\n\t\t\nA hare\t\ttext", id="tabs"
        ),
        pytest.param(EXCEL_UTF8[1:].replace(";", "\t").encode("utf-16"), id="Excel, Unicode text"),
        pytest.param(
            '"prompt";"seed";"negative_prompt"\n"A kite, over dunes";"1";""\n"A hare";"";"text"\n',
            id="every cell quoted",
        ),
        pytest.param(EXCEL_UTF8.replace("\r\n", "\r"), id="ends of lines of an old Mac"),
        pytest.param(EXCEL_UTF8.replace("\r\n", ";;\r\n"), id="columns without a name"),
        pytest.param(
            EXCEL_UTF8.replace("prompt;seed;negative_prompt", " Prompt ;SEED;Negative_Prompt"),
            id="other capitals and spaces in the header",
        ),
        pytest.param("\ufeff\r\n\r\n" + EXCEL_UTF8[1:], id="empty rows above the header"),
        pytest.param(EXCEL_UTF8.replace(";;\r\n", " ; ;\r\n"), id="rows of spaces"),
    ],
)
def test_rows_are_read_as_programs_write_them(
    write: Callable[[str | bytes], Path], text: str | bytes
) -> None:
    assert read_prompts(write(text), DEFAULTS) == TWO_ROWS


def test_empty_cells_are_left_out_without_defaults(write: Callable[[str | bytes], Path]) -> None:
    assert read_prompts(write(EXCEL_UTF8)) == [
        {name: cell for name, cell in row.items() if cell} for row in TWO_ROWS
    ]


def test_a_list_is_read_from_every_kind_of_path(write: Callable[[str | bytes], Path]) -> None:
    file = write(EXCEL_UTF8)
    for source in (str(file), file, f"file://{file}", ObjectStoragePath(f"file://{file}")):
        assert read_prompts(source, DEFAULTS) == TWO_ROWS


def test_prompts_of_a_single_column_may_contain_every_separator(
    write: Callable[[str | bytes], Path],
) -> None:
    prompts = ["Dunes, at noon; no wind", 'A sign: "open"', "Two\nlines"]
    text = '\ufeffprompt\r\nDunes, at noon; no wind\r\n"A sign: ""open"""\r\n"Two\nlines"\r\n'
    assert [row["prompt"] for row in read_prompts(write(text))] == prompts


def test_the_delimiter_is_the_one_that_makes_a_column_of_prompts(
    write: Callable[[str | bytes], Path],
) -> None:
    file = write("prompt;title, and, more\nA kite, over dunes;Kites\n")
    assert read_prompts(file, {"title, and, more": ""}) == [
        {"prompt": "A kite, over dunes", "title, and, more": "Kites"}
    ]


def test_a_file_with_a_header_only_has_no_rows(write: Callable[[str | bytes], Path]) -> None:
    assert read_prompts(write("prompt,seed\n"), DEFAULTS) == []


def test_a_column_of_the_authors_own_is_allowed_by_its_default(
    write: Callable[[str | bytes], Path],
) -> None:
    file = write("prompt,title\nA kite,Kites\nA hare,\n")
    assert read_prompts(file, {"title": "Untitled"}) == [
        {"prompt": "A kite", "title": "Kites"},
        {"prompt": "A hare", "title": "Untitled"},
    ]
    with pytest.raises(Veo3ValidationError, match=r"unknown columns: title\. .* known are: prompt, model, "):
        read_prompts(file)


@pytest.mark.parametrize(
    ("text", "message", "remedy"),
    [
        ("", r"no column 'prompt'; its columns are: none", "Name the columns in the first row"),
        ("text;seed\nA kite;1\n", r"no column 'prompt'; its columns are: text, seed", "Name the columns"),
        ("prompt|seed\nA kite|1\n", r"no column 'prompt'; its columns are: prompt\|seed", "Name the columns"),
        (
            "prompt,sede\nA kite,1\n",
            "unknown columns: sede",
            "Rename or remove them; known are: prompt, seed, negative_prompt",
        ),
        ("prompt,seed,Seed\nA kite,1,2\n", "the column 'seed' twice", "Remove or rename one of them"),
        ("prompt,seed\nA kite,1\n,2\n", "no prompt in line 3", "Write one, or empty the line"),
        (
            "prompt,seed\nA kite, over dunes,1\n",
            "text outside its named columns in line 2",
            "Put text that contains the delimiter in quotes, or name the column",
        ),
        (
            "prompt,\nA kite,\nA hare, at dawn\n",  # of which the prompt would be a part
            "text outside its named columns in line 3",
            "Put text that contains the delimiter in quotes, or name the column",
        ),
        ("prompt\nCafé\n".encode("cp1252"), "is not UTF-8", "In Excel, save it as 'CSV UTF-8'"),
        ("prompt\tseed\nA kite\t1\n".encode("utf-16")[:-1], "is not UTF-8", "In Excel, save it"),
        (
            'prompt,seed\n"A kite,1\nA hare,2\n',
            "is no CSV file: unexpected end of data in line 3",
            "Correct the line",
        ),
        (
            'prompt,seed\n"A" kite,1\n',
            "is no CSV file: ',' expected after '\"' in line 2",
            "Correct the line",
        ),
        (
            f"prompt,seed\n{'x' * 200_000},1\n",
            r"is no CSV file: field larger than field limit \(131072\) in line 2",
            "Correct the line",
        ),
        ("prompt,seed\nA kite,\nA hare,-1\n", "line 3: seed='-1' is not acceptable; .*", "Correct the line"),
        ("prompt,seed\nA kite,one\n", "line 2: seed='one' is not acceptable; .*", "Correct the line"),
        (f"prompt,seed\n{'x' * 1001},1\n", "line 2: prompt='x.* is not acceptable; .*", "Correct the line"),
        ("prompt,seed\nnan,1\n", "line 2: prompt='nan' is not acceptable; .*", "Correct the line"),
    ],
)
def test_a_file_that_cannot_be_read_is_named_with_the_reason(
    write: Callable[[str | bytes], Path], text: str | bytes, message: str, remedy: str
) -> None:
    with pytest.raises(
        Veo3ValidationError,
        match=rf"list\.csv (has )?{message}\. Nothing was submitted or spent\. {remedy}",
    ):
        read_prompts(write(text), DEFAULTS)


@pytest.mark.parametrize(
    "source", ["{tmp}/none.csv", "file://{tmp}/none.csv", "{tmp}", "nosuch://b/k.csv", "", None, 5]
)
def test_a_file_that_does_not_exist_is_refused(tmp_path: Path, source: object) -> None:
    source = source.format(tmp=tmp_path) if isinstance(source, str) else source
    with pytest.raises(
        Veo3ValidationError, match=r"^prompts=.*URI of a CSV file that exists.*Nothing was submitted or spent"
    ):
        read_prompts(source)  # type: ignore[arg-type]


def test_a_file_that_cannot_be_read_now_may_be_retried(
    write: Callable[[str | bytes], Path],
) -> None:
    file = write("prompt\nA kite\n")
    loop = file.with_name("loop.csv")
    loop.symlink_to(loop)
    with pytest.raises(Veo3StorageError, match=r"cannot be read now .*loop\.csv.*Nothing was submitted"):
        read_prompts(loop)


def test_a_file_far_too_large_is_not_opened(write: Callable[[str | bytes], Path]) -> None:
    file = write("prompt\n")
    with file.open("r+b") as opened:
        opened.truncate(50 * 2**30)  # sparse: reading it would take the machine's memory
    with pytest.raises(Veo3ValidationError, match=r"at most 20971520 bytes \(this one has 53687091200\)"):
        read_prompts(file)


def test_a_pipe_far_too_large_is_not_read_in_part() -> None:
    reading, writing = os.pipe()
    line = b"A kite\n"

    def write() -> None:
        with os.fdopen(writing, "wb") as pipe, suppress(BrokenPipeError):
            pipe.write(b"prompt\n" + line * (25 * 2**20 // len(line)))

    writer = Thread(target=write)
    writer.start()
    with os.fdopen(reading), pytest.raises(Veo3ValidationError, match=r"at most 20971520 bytes \(this one"):
        read_prompts(f"/dev/fd/{reading}")
    writer.join()


def test_password_in_a_uri_is_refused_and_not_shown() -> None:
    with pytest.raises(Veo3ValidationError, match="credentials belong in the connection") as caught:
        read_prompts("s3://AKIA:s3cr3t@bucket/list.csv")
    assert "s3cr3t" not in str(caught.value)


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=60)
CELL = TEXT.map(str.strip)
DIALECT = st.tuples(
    st.sampled_from(",;\t"),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
)


def written(rows: list[list[str]], dialect: tuple[str, str, int, str]) -> bytes:
    """Return a file as Python's own writer of CSV files writes it."""
    delimiter, end, quoting, encoding = dialect
    file = io.StringIO(newline="")
    writer = csv.writer(file, delimiter=delimiter, lineterminator=end, quoting=quoting)  # type: ignore[arg-type]
    writer.writerows(rows)
    return file.getvalue().encode(encoding)


@given(st.lists(st.tuples(CELL, CELL, CELL), max_size=8), DIALECT)
def test_what_a_program_writes_is_read(
    rows: list[tuple[str, str, str]], dialect: tuple[str, str, int, str]
) -> None:
    if dialect[2] != csv.QUOTE_ALL:  # in which Python's writer before 3.13 leaves ends of lines bare
        rows = [tuple(re.sub(r"[\r\n]", " ", cell) for cell in row) for row in rows]  # type: ignore[misc]
    names = ("prompt", "negative_prompt", "seed")
    content = written([list(names), *map(list, rows)], dialect)
    expected = [dict(zip(names, row, strict=True)) for row in rows if any(row)]
    assert [row.cells for row in PromptsFile.parse("list.csv", content).rows] == [
        {name: cell for name, cell in row.items() if cell} for row in expected
    ]


@given(st.binary(max_size=300) | st.text(max_size=300).map(str.encode))
def test_any_bytes_are_read_or_refused_with_the_name_of_the_file(content: bytes) -> None:
    error: str | None = None
    rows: tuple[PromptRow, ...] = ()
    try:
        rows = PromptsFile.parse("list.csv", b"prompt,seed\n" + content).rows
    except Veo3ValidationError as raised:
        error = str(raised)
    assert error is None or (error.startswith("list.csv ") and "Nothing was submitted or spent." in error)
    assert {name for row in rows for name in row.cells} <= {"prompt", "seed"}
    assert all(cell and cell == cell.strip() for row in rows for cell in row.cells.values())


NAME = CELL.filter(bool).map(str.lower).filter(lambda name: not re.search(r"[\r\n]", name))


@given(st.lists(NAME, min_size=1, max_size=5), DIALECT)
def test_columns_are_unknown_missing_twice_or_accepted(
    names: list[str], dialect: tuple[str, str, int, str]
) -> None:
    content = written([["prompt", *names]], dialect)
    named = [name.strip().lower() for name in ["prompt", *names]]
    if len(set(named)) < len(named):
        with pytest.raises(Veo3ValidationError, match=r"^list\.csv has the column .* twice\."):
            PromptsFile.parse("list.csv", content)
    else:
        assert list(PromptsFile.parse("list.csv", content).columns) == named
    without = written([names], dialect)
    if "prompt" not in named[1:]:
        with pytest.raises(
            Veo3ValidationError, match=r"^list\.csv has no column 'prompt'; its columns are: "
        ):
            PromptsFile.parse("list.csv", without)


@given(st.lists(st.sampled_from(["A kite", "A hare"]), min_size=1, max_size=6), st.data())
def test_a_quote_without_its_end_never_makes_one_prompt_of_many(
    prompts: list[str], data: st.DataObject
) -> None:
    broken = data.draw(st.integers(0, len(prompts) - 1))
    lines = [f'"{prompt},1' if number == broken else f"{prompt},1" for number, prompt in enumerate(prompts)]
    with pytest.raises(
        Veo3ValidationError, match=r"^list\.csv is no CSV file: unexpected end of data in line"
    ):
        PromptsFile.parse("list.csv", "\n".join(["prompt,seed", *lines]).encode())


def test_every_option_of_a_task_may_be_a_column() -> None:
    from airflow_provider_veo3.parameters import OPTIONS

    assert set(OPTION_COLUMNS) == {*OPTIONS, "image", "first_frame", "last_frame"} - {"extra_options"}
