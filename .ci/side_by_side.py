"""Run one make target beside others, which follow one another.

The output of the first is printed at the end.

Usage: side_by_side.py BESIDE TARGET...
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
"""Niceness of the other targets. The one beside them mostly waits, and sets how long all of them take."""


def start(target: str, output: IO[bytes]) -> subprocess.Popen[bytes]:
    """Start a target in a process group of its own, which Ctrl-C does not reach."""
    return subprocess.Popen(
        [*MAKE, target],
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def interrupt(process: subprocess.Popen[bytes]) -> None:
    """End a target as Ctrl-C does, so that its tests end the processes they have started."""
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


def run_beside(beside: str, targets: list[str]) -> int:
    """Run a target beside others, and return the status of the first failure.

    A failure of the others ends the one beside them.
    """
    with tempfile.TemporaryFile() as output:
        process = start(beside, output)
        try:
            os.nice(LESS_PRIORITY)
            status = run(targets)
            if status:
                return status
            if process.poll() is None:
                print(f"make {beside}: still running ...", flush=True)
            return process.wait()
        finally:
            interrupt(process)
            output.seek(0)
            sys.stdout.buffer.write(f"make {beside}:\n".encode() + output.read())
            sys.stdout.flush()


def main(beside: str, *targets: str) -> int:
    """Run the targets; one at a time with ``WORKERS=0``."""
    begun = time.monotonic()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    if os.environ.get("WORKERS") == "0":
        status = run([*targets, beside])
    else:
        status = run_beside(beside, list(targets))
    print(f"make {' '.join([*targets, beside])}: {time.monotonic() - begun:.0f} seconds", flush=True)
    return status


if __name__ == "__main__":
    try:
        sys.exit(main(*sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
