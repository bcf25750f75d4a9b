"""What the benchmarks share: processes that measure, medians, tables, and what the machine is."""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

REPOSITORY: Final = Path(__file__).parents[1]

QUIET_LOAD: Final = 0.3
"""Cores kept busy by others that a measurement bears."""


def child(
    module: str, *arguments: object, env: Mapping[str, str] | None = None, python: str = sys.executable
) -> Any:
    """Run ``python -m module arguments`` in a process of its own, and return what it gives to ``tell``.

    What is measured runs so, that nothing measured before is in its memory or caches.

    :param env: set on top of this process's environment.
    :param python: the interpreter.
    """
    return json_of([python, "-m", module, *(str(argument) for argument in arguments)], env)


def json_of(command: Sequence[str], env: Mapping[str, str] | None = None) -> Any:
    """Run a command in the repository's folder, and return the JSON that is the last line it prints."""
    done = subprocess.run(
        command,
        cwd=REPOSITORY,
        env={**os.environ, **(env or {})},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stdout[-2000:]}{done.stderr[-4000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def tell(**measured: object) -> None:
    """Print, in a process started by ``child``, what it is to return."""
    print(json.dumps(measured), flush=True)


def median(values: Iterable[float]) -> float:
    """Return the median."""
    return statistics.median(values)


def spread(values: Iterable[float], digits: int = 1) -> str:
    """Return the median with the least and the greatest value: ``4.1 (3.9-4.6)``."""
    known = sorted(values)
    return f"{median(known):.{digits}f} ({known[0]:.{digits}f}-{known[-1]:.{digits}f})"


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a Markdown table; all columns but the first are numbers, set to the right."""
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join(f"| {' | '.join(str(cell) for cell in line)} |" for line in lines)


def say(text: str) -> None:
    """Tell the person who waits what is being done."""
    print(f"[bench] {text}", file=sys.stderr, flush=True)


def wait_until_quiet(longest: float = 60.0) -> float:
    """Wait until the machine has next to nothing else to do, for at most so many seconds.

    Not the load average: it also remembers what this benchmark itself has done in the last minute.

    :return: cores that others keep busy nevertheless, on average over a second.
    """
    end = time.monotonic() + longest
    while (busy := busy_cores()) > QUIET_LOAD and time.monotonic() < end:
        pass
    return busy


def busy_cores(seconds: float = 1.0) -> float:
    """Return how many cores were busy over the next seconds; 0 where the system does not tell."""
    try:
        before = _jiffies()
        time.sleep(seconds)
        after = _jiffies()
    except OSError:
        return 0.0
    return (after - before) / os.sysconf("SC_CLK_TCK") / seconds


def _jiffies() -> int:
    user, nice, system, _idle, _iowait, irq, softirq, *_ = map(
        int, Path("/proc/stat").read_text().splitlines()[0].split()[1:]
    )
    return user + nice + system + irq + softirq


def machine() -> str:
    """Say on what this was measured: processor, cores, memory, system, Python and Airflow."""
    versions = ", ".join(
        f"{name} {metadata.version(name)}" for name in ("apache-airflow", "requests", "httpx")
    )
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"{_processor()}, {os.cpu_count()} cores, {memory:.0f} GiB, {platform.system()} {platform.machine()};"
        f" Python {platform.python_version()}, {versions}"
    )


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or "unknown processor"
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
