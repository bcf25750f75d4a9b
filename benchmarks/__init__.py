"""Programs that measure what users feel, against something known, and tell it as tables and ratios.

``make bench`` or ``python -m benchmarks`` runs all of them, one after another, prints what they found and
keeps it in ``RESULTS.md``; ``python -m benchmarks imports download`` runs some of them.

A benchmark is a module of this package with two names, found by looking:

* ``TITLE: Final = "..."``: the heading above its results;
* ``def run() -> str``: measures, and returns Markdown without headings: what was compared how, and tables.
  It may take minutes, says what it is doing on stderr, and leaves nothing running.

``measuring`` holds what they share: child processes that measure, medians, tables, the machine's description.
A module imports nothing heavy at its top, since all are imported to find them.
"""

from __future__ import annotations
