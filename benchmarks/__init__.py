"""Benchmarks of what users notice, each against a known alternative.

``make bench`` or ``python -m benchmarks`` runs all of them one after another, prints the results and writes
them to ``RESULTS.md``; ``python -m benchmarks imports download`` runs some of them.

A benchmark is a module of this package that has

* ``TITLE: Final = "..."``: the heading of its results;
* ``def run() -> str``: measures and returns Markdown without headings: what was compared and how, and tables.
  It may take minutes, prints its progress to stderr, and leaves no process running.

All modules are imported to find the benchmarks, so their top imports nothing heavy.

The files, from top to bottom; each imports only from lower lines, and some of them from ``testbed``:

    __main__                                                runs benchmarks and writes RESULTS.md
    airflow  campaign  download  imports  memory  polling  videos   the benchmarks
    http_check  peers                                       what they compare with
    harness                                                 measuring processes, statistics, tables

``dags/`` has what Airflow loads: the DAGs of ``campaign`` and ``airflow``, a plugin that counts calls.
"""

from __future__ import annotations
