"""Rules of the language in which code and errors speak to people."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[1]
FOLDERS = ("airflow_provider_veo3", "testbed", "demo", "chaos", "benchmarks", "example_dags")
FILES = [file for folder in FOLDERS for file in sorted((CHECKOUT / folder).rglob("*.py"))]

MOST_WORDS = 15
RELATIVE = re.compile(r"(What|Who|Whose|Whom|Where|When|How|Why|Whether|That|Which)\b")
RIDDLES = re.compile(
    r"\b(taken up|takes? up|taking up|let in|gone on with|goes on with|told of|is told|seat|"
    r"twin|lies in|lie in|somebody|whoever)\b",
    re.IGNORECASE,
)


def first_sentences(tree: ast.Module) -> list[tuple[int, str]]:
    """Return the first sentence of each docstring of a module, its classes and functions."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node)
            if text is not None:
                line = node.body[0].lineno
                found.append((line, re.split(r"(?<=[.:;])\s|\n\n", text)[0].replace("\n", " ")))
    return found


def texts(tree: ast.Module) -> list[tuple[int, str]]:
    """Return every string constant of a module, docstrings included."""
    return [
        (node.lineno, node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]


def name_of(file: Path) -> str:
    return str(file.relative_to(CHECKOUT))


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_the_first_sentence_of_a_docstring_names_the_thing_in_few_words(file: Path) -> None:
    sentences = first_sentences(ast.parse(file.read_text(encoding="utf-8")))
    wrong = [
        f"{line}: {sentence}"
        for line, sentence in sentences
        if len(sentence.split()) > MOST_WORDS or RELATIVE.match(sentence)
    ]
    assert wrong == []


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_no_text_is_a_riddle(file: Path) -> None:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    assert [f"{line}: {text}" for line, text in texts(tree) if RIDDLES.search(text)] == []
