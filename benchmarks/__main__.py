"""Run benchmarks one after another, print what they found, and keep it in ``RESULTS.md``."""

from __future__ import annotations

import argparse
import importlib
import pkgutil
import re
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import benchmarks
from benchmarks.measuring import QUIET_LOAD, machine, say, wait_until_quiet

if TYPE_CHECKING:
    from types import ModuleType

RESULTS: Final = Path(__file__).with_name("RESULTS.md")

INTRODUCTION: Final = (
    "# Results\n\nWritten by `make bench`, which runs every benchmark of this folder; `python -m benchmarks"
    " <name> ...` measures some of them anew and leaves the others as they are. Each part says when and on"
    " what it was measured. Times depend on the machine; ratios much less.\n"
)


def find() -> dict[str, ModuleType]:
    """Return the benchmarks by name, in the order of the alphabet."""
    names = (found.name for found in pkgutil.iter_modules(benchmarks.__path__) if found.name != "__main__")
    modules = {name: importlib.import_module(f"benchmarks.{name}") for name in sorted(names)}
    return {name: module for name, module in modules.items() if hasattr(module, "run")}


def measure(name: str, module: ModuleType) -> str:
    """Run one benchmark; return its part of the results."""
    say(f"{name}: {module.TITLE}")
    busy = wait_until_quiet()
    text = module.run().strip()
    when = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    quiet = f", others kept {busy:.1f} cores busy at the start" if busy > QUIET_LOAD else ""
    return f"## {module.TITLE}\n\n{text}\n\n*`python -m benchmarks {name}`, {when}{quiet}; {machine()}.*\n"


def keep(parts: dict[str, str]) -> None:
    """Put the new parts in the place of the old ones; what was not measured now stays."""
    old = RESULTS.read_text() if RESULTS.exists() else ""
    known = dict(re.findall(r"<!-- (\w+) -->\n(.*?)(?=\n<!-- |\Z)", old, re.DOTALL))
    merged = sorted({**known, **parts}.items())
    text = "\n".join(f"<!-- {name} -->\n{part.strip()}\n" for name, part in merged)
    RESULTS.write_text(f"{INTRODUCTION}\n{text}")


def main() -> None:
    """Measure, print and keep."""
    found = find()
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="name", help=f"which: {', '.join(found)}; default all")
    parser.add_argument("--no-keep", action="store_true", help="only print; leave RESULTS.md as it is")
    given = parser.parse_args()
    if unknown := set(given.names) - set(found):
        parser.error(f"no such benchmark: {', '.join(sorted(unknown))}; there are {', '.join(found)}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is ended too
    for name in given.names or found:
        part = measure(name, found[name])
        print(part, flush=True)
        if not given.no_keep:
            keep({name: part})


if __name__ == "__main__":
    main()
