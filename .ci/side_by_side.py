"""Run make targets beside others; on either side they follow one another.

The output of the first side is printed at the end.

Usage: side_by_side.py TARGET... -- TARGET...
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from typing import IO

MAKE = [os.environ.get("MAKE", "make"), "--no-print-directory"]
LESS_PRIORITY = 5
"""Niceness of the second side. The first mostly waits, and sets how long both of them take."""


def start(targets: list[str], output: IO[bytes]) -> subprocess.Popen[bytes]:
    """Start targets in a process group of their own, which Ctrl-C does not reach."""
    return subprocess.Popen(
        [*MAKE, *targets],
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def interrupt(process: subprocess.Popen[bytes]) -> None:
    """End targets as Ctrl-C does, so that their tests end the processes they have started."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGINT)
        process.wait()


def run(targets: list[str]) -> int:
    """Run targets one after another until one fails, and return its exit status, or 0."""
    for target in targets:
        process = subprocess.Popen([*MAKE, target])
        try:
            status = process.wait()
        except SystemExit:
            process.terminate()  # make does the same to what it runs
            raise
        finally:
            process.wait()  # Ctrl-C has reached it too
        if status:
            return status
    return 0


def run_beside(beside: list[str], targets: list[str]) -> int:
    """Run targets beside others, and return the status of the first failure.

    A failure of the others ends those beside them.
    """
    with tempfile.TemporaryFile() as output:
        process = start(beside, output)
        try:
            os.nice(LESS_PRIORITY)
            status = run(targets)
            if status:
                return status
            if process.poll() is None:
                print(f"make {' '.join(beside)}: still running ...", flush=True)
            return process.wait()
        finally:
            interrupt(process)
            output.seek(0)
            sys.stdout.buffer.write(f"make {' '.join(beside)}:\n".encode() + output.read())
            sys.stdout.flush()


def main(*args: str) -> int:
    """Run the targets; one at a time with ``WORKERS=0``."""
    begun = time.monotonic()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    middle = args.index("--")
    beside, targets = list(args[:middle]), list(args[middle + 1 :])
    one_by_one = os.environ.get("WORKERS") == "0"
    status = run([*targets, *beside]) if one_by_one else run_beside(beside, targets)
    print(f"make {' '.join([*targets, *beside])}: {time.monotonic() - begun:.0f} seconds", flush=True)
    return status


if __name__ == "__main__":
    try:
        sys.exit(main(*sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
