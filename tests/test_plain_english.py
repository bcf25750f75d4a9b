"""Rules of the language in which code, errors and documentation speak to people."""

from __future__ import annotations

import ast
import re
import tokenize
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[1]
FOLDERS = ("airflow_provider_veo3", "testbed", "demo", "chaos", "benchmarks", "example_dags")
FILES = [file for folder in FOLDERS for file in sorted((CHECKOUT / folder).rglob("*.py"))]
SCRIPTS = sorted((CHECKOUT / "airflow_provider_veo3").rglob("*.js"))
PAGES = [*sorted(CHECKOUT.glob("*.md")), *sorted((CHECKOUT / "docs").glob("*.md"))]

MOST_WORDS = 15
RELATIVE = re.compile(r"(What|Who|Whose|Whom|Where|When|How|Why|Whether|That|Which)\b")
RIDDLES = re.compile(
    r"\b(taken up|takes? up|taking up|let in|gone on with|goes on with|told of|is told|tells? (\w+ )+of|seat|"
    r"twin|lies in|lie in|somebody|someone|everybody|everyone|whoever|behind (its|the) deadline)\b",
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


def strings(file: Path) -> list[tuple[int, str]]:
    """Return every string constant of a module, docstrings included."""
    return [
        (node.lineno, node.value)
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]


def comments(file: Path) -> list[tuple[int, str]]:
    """Return every comment of a module."""
    with file.open("rb") as source:
        tokens = list(tokenize.tokenize(source.readline))
    return [(token.start[0], token.string) for token in tokens if token.type == tokenize.COMMENT]


def paragraphs(file: Path) -> list[tuple[int, str]]:
    """Return the paragraphs of a text, each with the number of its first line."""
    text = file.read_text(encoding="utf-8")
    return [
        (text.count("\n", 0, found.start()) + 1, found[0]) for found in re.finditer(r"(?:.+(?:\n|$))+", text)
    ]


def riddles(texts: list[tuple[int, str]]) -> list[str]:
    """Return the riddles in texts, each with the number of its text's first line."""
    return [
        f"{line}: {found[0]}" for line, text in texts for found in RIDDLES.finditer(" ".join(text.split()))
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
def test_no_string_or_comment_is_a_riddle(file: Path) -> None:
    assert riddles([*strings(file), *comments(file)]) == []


@pytest.mark.parametrize("file", [*SCRIPTS, *PAGES], ids=name_of)
def test_no_page_or_script_is_a_riddle(file: Path) -> None:
    assert riddles(paragraphs(file)) == []


def test_scripts_and_pages_are_found() -> None:
    assert {"videos.js", "README.md", "CHANGELOG.md", "architecture.md"} <= {
        file.name for file in (*SCRIPTS, *PAGES)
    }


@pytest.mark.parametrize(
    "text",
    [
        "the store tells a later call of the lost response",
        "Seconds behind its deadline",
        "one for everyone",
        "a twin\nof it, taken\nup again",
    ],
)
def test_a_riddle_is_found(text: str) -> None:
    assert riddles([(1, text)])
