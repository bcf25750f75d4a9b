"""Comparison of a listed prompt with the sent one, in any form or length."""

from __future__ import annotations

import html
import re
import unicodedata
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

SHORTEST_CUT: Final = 16
"""Fewest characters of a prompt that was shortened without a mark."""

TORN: Final = "\ufffd"
"""Replacement character for the half of a character that a cut has left."""

Sizes = tuple[int, int, int]
"""Length of a prompt in each unit that a listing may cut by: characters, units of UTF-16, bytes of UTF-8."""


def plain(prompt: str) -> str:
    """Return a prompt in a form that survives storing and listing.

    It lacks all that a database or a web page may change: white space, invisible characters, the several ways
    to write the same character, and escapes for HTML.
    """
    text = unicodedata.normalize("NFKC", html.unescape(prompt))
    return " ".join("".join(each for each in text if each.isprintable() or each.isspace()).split())


def sizes_of(prompts: Iterable[str]) -> Sizes:
    """Return the length of the longest prompt in each unit."""
    longest = (0, 0, 0)
    for prompt in prompts:
        characters, units, octets = map(max, longest, _sizes(prompt))
        longest = (characters, units, octets)
    return longest


def _sizes(prompt: str) -> Sizes:
    whole = prompt.rstrip(TORN)
    return len(whole), len(whole.encode("utf-16-le")) // 2, len(whole.encode())


def same_prompt(sent: str, listed: str, longest: Sizes) -> bool:
    """Return whether a listed prompt is the sent one, shortened or in another form.

    :param longest: sizes of the longest prompts on the page: a listing that cuts without a mark cuts every
        prompt there to the same length, so that a shorter one is whole.
    """
    ours, theirs = plain(sent), plain(listed)
    if ours == theirs:
        return True
    beginning = theirs.removesuffix("...")
    if beginning == theirs and not (len(listed) >= SHORTEST_CUT and _is_cut(listed, longest)):
        return False
    beginning = beginning.rstrip().rstrip(TORN).rstrip()  # a cut may go through a character
    return bool(beginning) and (ours.startswith(beginning) or _is_cut_in_escape(ours, beginning))


def _is_cut_in_escape(ours: str, beginning: str) -> bool:
    """Return whether a cut prompt ends in half an HTML escape, such as ``&quo``."""
    whole = re.sub(r"&#?\w*$", "", beginning)
    follows = ours[len(whole) :][:1]
    # letters, digits and spaces stand for themselves: what an 'R&B' ends is another prompt
    is_escaped = bool(follows) and not (follows.isascii() and (follows.isalnum() or follows.isspace()))
    return bool(whole) and whole != beginning and ours.startswith(whole) and is_escaped


def _is_cut(listed: str, longest: Sizes) -> bool:
    full = any(size >= most for size, most in zip(_sizes(listed), longest, strict=True))
    return full or listed.endswith(TORN)
