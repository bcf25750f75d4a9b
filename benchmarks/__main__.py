"""Run benchmarks one after another, print their results, and write them to ``RESULTS.md``."""

from __future__ import annotations

import argparse
import importlib
import pkgutil
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import benchmarks
from benchmarks.harness import (
    MAX_BACKGROUND_LOAD,
    describe_machine,
    show_progress,
    wait_until_idle,
    watch_standstills,
)
from testbed.processes import exit_on_sigterm
from testbed.servers import POSTGRES_PROGRAMS, MissingServerError, check_installed

if TYPE_CHECKING:
    from types import ModuleType

RESULTS: Final = Path(__file__).with_name("RESULTS.md")

INTRODUCTION: Final = (
    "# Results\n\nWritten by `make bench`, which runs all benchmarks of this folder; `python -m benchmarks"
    " <name> ...` runs some of them and leaves the results of the others as they are. Each part says when and"
    " on which machine it was measured. Times depend on the machine; ratios much less.\n"
)


def find_benchmarks() -> dict[str, ModuleType]:
    """Return the benchmarks by name, in alphabetical order."""
    names = (found.name for found in pkgutil.iter_modules(benchmarks.__path__) if found.name != "__main__")
    modules = {name: importlib.import_module(f"benchmarks.{name}") for name in sorted(names)}
    return {name: module for name, module in modules.items() if hasattr(module, "run")}


def measure(name: str, module: ModuleType) -> str:
    """Run a benchmark and return its part of the results."""
    show_progress(f"{name}: {module.TITLE}")
    busy = wait_until_idle()
    with watch_standstills() as standstills:
        text = module.run().strip()
    when = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    load = f", others kept {busy:.1f} cores busy at the start" if busy > MAX_BACKGROUND_LOAD else ""
    seconds = ", ".join(f"{seconds:.1f}" for seconds in standstills)
    still = f"; the machine stood still for {seconds} s" if standstills else ""
    footer = f"*`python -m benchmarks {name}`, {when}{load}{still}; {describe_machine()}.*"
    return f"## {module.TITLE}\n\n{text}\n\n{footer}\n"


def write_results(parts: dict[str, str]) -> None:
    """Replace parts of ``RESULTS.md`` and keep the others.

    :param parts: text by name of the benchmark.
    """
    old = RESULTS.read_text() if RESULTS.exists() else ""
    known = dict(re.findall(r"<!-- (\w+) -->\n(.*?)(?=\n<!-- |\Z)", old, re.DOTALL))
    merged = sorted({**known, **parts}.items())
    text = "\n".join(f"<!-- {name} -->\n{part.strip()}\n" for name, part in merged)
    RESULTS.write_text(f"{INTRODUCTION}\n{text}")


def main() -> None:
    """Run the benchmarks of the command line."""
    found = find_benchmarks()
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="name", help=f"benchmarks to run: {', '.join(found)}; by default all"
    )
    parser.add_argument(
        "--no-keep", action="store_true", help="print the results, but leave RESULTS.md as it is"
    )
    arguments = parser.parse_args()
    if unknown := set(arguments.names) - set(found):
        parser.error(
            f"unknown benchmark: {', '.join(sorted(unknown))}; the benchmarks are {', '.join(found)}"
        )
    exit_on_sigterm()
    chosen = arguments.names or list(found)
    if "videos" in chosen:
        try:
            check_installed(POSTGRES_PROGRAMS)
        except MissingServerError as error:
            parser.error(f"videos: {error}")
    for name in chosen:
        part = measure(name, found[name])
        print(part, flush=True)
        if not arguments.no_keep:
            write_results({name: part})


if __name__ == "__main__":
    main()
