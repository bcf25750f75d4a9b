"""CSV files that the example DAGs read, as Excel and other programs write them."""

from __future__ import annotations

import inspect
import runpy
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

EXAMPLES = Path(__file__).resolve().parents[2] / "example_dags"

EXCEL_UTF8 = "\ufeffprompt;seed;negative_prompt\r\nA kite, over dunes;1;\r\n;;\r\nA hare;;text\r\n\r\n"
"""What Excel saves as "CSV UTF-8" where the comma is the decimal sign."""

TWO_ROWS = [
    {"prompt": "A kite, over dunes", "seed": "1", "negative_prompt": ""},
    {"prompt": "A hare", "seed": "", "negative_prompt": "text"},
]


@pytest.fixture(params=["campaign", "approval"])
def read(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str | bytes], list[dict[str, Any]]]:
    """Return what an example's function reads from a file with a text."""
    names = runpy.run_path(str(EXAMPLES / f"example_veo3_{request.param}.py"))

    def read(text: str | bytes) -> list[dict[str, Any]]:
        file = tmp_path / "list.csv"
        file.write_bytes(text.encode() if isinstance(text, str) else text)
        rows: list[dict[str, Any]] = names["read_csv"](f"file://{file}")
        assert all(set(row) == {"prompt", *names["DEFAULTS"]} for row in rows)
        return rows

    return read


def assert_rows(rows: list[dict[str, Any]], expected: list[dict[str, str]]) -> None:
    assert [{name: row[name] for name in want} for row, want in zip(rows, expected, strict=True)] == expected


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
    read: Callable[[str | bytes], list[dict[str, Any]]], text: str
) -> None:
    assert_rows(read(text), TWO_ROWS)


def test_prompts_of_a_single_column_may_contain_every_separator(
    read: Callable[[str | bytes], list[dict[str, Any]]],
) -> None:
    prompts = ["Dunes, at noon; no wind", 'A sign: "open"', "Two\nlines"]
    text = '\ufeffprompt\r\nDunes, at noon; no wind\r\n"A sign: ""open"""\r\n"Two\nlines"\r\n'
    assert [row["prompt"] for row in read(text)] == prompts


def test_a_file_with_a_header_only_has_no_rows(
    read: Callable[[str | bytes], list[dict[str, Any]]],
) -> None:
    assert read("prompt,seed\n") == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"no column 'prompt'\. Its columns are \[\]"),
        ("text;seed\nA kite;1\n", r"no column 'prompt'\. Its columns are \['text', 'seed'\]"),
        ("prompt|seed\nA kite|1\n", r"no column 'prompt'\. Its columns are \['prompt\|seed'\]"),
        ("prompt,sede\nA kite,1\n", r"unknown columns \['sede'\]\. Allowed are \['prompt', "),
        ("prompt,seed\nA kite,1\n,2\n", r"no prompt in line 3"),
        ("prompt,seed\nA kite, over dunes,1\n", r"more cells than columns in line 2\. Quote the text"),
        ("prompt\nCafé\n".encode("cp1252"), r"not UTF-8\. In Excel, save it as 'CSV UTF-8'"),
        ("prompt\tseed\nA kite\t1\n".encode("utf-16"), r"not UTF-8\. In Excel, save it as 'CSV UTF-8'"),
    ],
)
def test_a_file_that_cannot_be_read_is_named_with_the_reason(
    read: Callable[[str | bytes], list[dict[str, Any]]], text: str | bytes, message: str
) -> None:
    with pytest.raises(ValueError, match=rf"list\.csv .*{message}"):
        read(text)


def test_both_examples_read_files_in_the_same_way() -> None:
    functions = [
        runpy.run_path(str(EXAMPLES / f"example_veo3_{name}.py"))["read_csv"]
        for name in ("campaign", "approval")
    ]
    assert len({inspect.getsource(function) for function in functions}) == 1
