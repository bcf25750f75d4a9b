"""Shared parts of the benchmarks: measuring processes, statistics, tables, the machine's description."""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

REPOSITORY: Final = Path(__file__).parents[1]

MAX_BACKGROUND_LOAD: Final = 0.3
"""Busy cores of other processes that do not disturb a measurement."""

MIN_STANDSTILL: Final = 2.0
"""Seconds for which the machine must stand still to be mentioned; a busy machine delays a process by less."""


def run_module(
    module: str, *arguments: object, env: Mapping[str, str] | None = None, python: str = sys.executable
) -> Any:
    """Run ``python -m module arguments`` as a process, and return its ``print_result``.

    Measurements run in processes of their own, so that earlier ones have left nothing in memory or caches.

    :param env: added to this process's environment.
    :param python: path of the interpreter.
    """
    return run_json([python, "-m", module, *(str(argument) for argument in arguments)], env)


def run_json(command: Sequence[str], env: Mapping[str, str] | None = None) -> Any:
    """Run a command in the repository, and return the JSON of its last line."""
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


def print_result(**measured: object) -> None:
    """Print the result of a process that ``run_module`` has started."""
    print(json.dumps(measured), flush=True)


def show_progress(text: str) -> None:
    """Print a progress line to stderr."""
    print(f"[bench] {text}", file=sys.stderr, flush=True)


def median(values: Iterable[float]) -> float:
    """Return the median."""
    return statistics.median(values)


def median_and_range(values: Iterable[float], digits: int = 1) -> str:
    """Return the median with the lowest and the highest value: ``4.1 (3.9-4.6)``."""
    known = sorted(values)
    return f"{median(known):.{digits}f} ({known[0]:.{digits}f}-{known[-1]:.{digits}f})"


def percentile(values: Iterable[float], share: float) -> float:
    """Return the value below which a share of the values lies.

    :param share: 0 to 1.
    """
    known = sorted(values)
    return known[min(len(known) - 1, int(share * len(known)))]


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a Markdown table; all columns but the first are aligned to the right."""
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join(f"| {' | '.join(str(cell) for cell in line)} |" for line in lines)


def wait_until_idle(timeout: float = 60.0) -> float:
    """Wait until other processes are idle, and return the cores they keep busy.

    The load average would not do: it includes what this benchmark itself has done in the last minute.

    :param timeout: seconds after which it returns anyway.
    """
    deadline = time.monotonic() + timeout
    while (busy := busy_cores()) > MAX_BACKGROUND_LOAD and time.monotonic() < deadline:
        pass
    return busy


def busy_cores(seconds: float = 1.0) -> float:
    """Return the average number of busy cores over the next seconds, 0 if unknown."""
    try:
        before = _busy_ticks()
        time.sleep(seconds)
        after = _busy_ticks()
    except OSError:
        return 0.0
    return (after - before) / os.sysconf("SC_CLK_TCK") / seconds


def _busy_ticks() -> int:
    user, nice, system, _idle, _iowait, irq, softirq, *_ = map(
        int, Path("/proc/stat").read_text().splitlines()[0].split()[1:]
    )
    return user + nice + system + irq + softirq


@contextmanager
def watch_standstills() -> Iterator[list[float]]:
    """Collect the seconds for which the machine stood still.

    Virtual machines do so when they are suspended, and every process loses that time. A thread sleeps and
    compares its sleep with the clock.
    """
    standstills: list[float] = []
    ended = threading.Event()

    def watch() -> None:
        before = time.time()
        while not ended.wait(1.0):
            lost = time.time() - before - 1.0
            if lost >= MIN_STANDSTILL:
                standstills.append(lost)
            before = time.time()

    watcher = threading.Thread(target=watch, name="standstills", daemon=True)
    watcher.start()
    try:
        yield standstills
    finally:
        ended.set()
        watcher.join()


def describe_machine() -> str:
    """Return processor, cores, memory, system, and the versions of Python and Airflow."""
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in ("apache-airflow", "httpcore"))
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
