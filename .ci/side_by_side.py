"""Run lists of make targets side by side; the targets of a list follow one another.

The first failure ends all lists. The output of the last list is printed at once, that of the others at
the end.

Usage: side_by_side.py TARGET... [-- TARGET...]...
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager
from itertools import groupby
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

MAKE = [os.environ.get("MAKE", "make"), "--no-print-directory"]
LAST = ["nice", "-n", "5"]
"""Start of the command of the last list: the others wait more than they compute, and come first."""


@contextmanager
def running(targets: list[str], *, is_last: bool) -> Iterator[subprocess.Popen[bytes]]:
    """Run targets, at most until the end of the block."""
    with ExitStack() as stack:
        output = None if is_last else stack.enter_context(tempfile.TemporaryFile())
        process = subprocess.Popen(
            [*(LAST if is_last else ()), *MAKE, *targets],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output and subprocess.STDOUT,
            process_group=0,  # so that Ctrl-C reaches this process, which passes it on
        )
        try:
            yield process
        finally:
            if process.poll() is None:
                # as Ctrl-C does, so that tests end the processes they have started
                os.killpg(process.pid, signal.SIGINT)
                process.wait()
            if output is not None:
                output.seek(0)
                sys.stdout.buffer.write(f"make {' '.join(targets)}:\n".encode() + output.read())
                sys.stdout.flush()


def run(lists: list[list[str]]) -> int:
    """Run lists until all have ended or one has failed, and return the exit status of that one, or 0."""
    with ExitStack() as stack:
        processes = {
            " ".join(targets): stack.enter_context(running(targets, is_last=targets is lists[-1]))
            for targets in lists
        }
        while processes:
            for targets, process in list(processes.items()):
                status = process.poll()
                if status:
                    print(f"make {targets}: FAILED with status {status}", flush=True)
                    return status
                if status == 0:
                    del processes[targets]
                    for other in processes:
                        print(f"make {targets}: done; still running: make {other}", flush=True)
            time.sleep(0.1)
    return 0


def main(*args: str) -> int:
    """Run the lists; with ``WORKERS=0`` one after another."""
    begun = time.monotonic()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    # a shell lets its background jobs ignore Ctrl-C, and what they start
    signal.signal(signal.SIGINT, signal.default_int_handler)
    lists = [list(group) for is_end, group in groupby(args, "--".__eq__) if not is_end]
    one_by_one = os.environ.get("WORKERS") == "0"
    status = 0
    for each in [[targets] for targets in reversed(lists)] if one_by_one else [lists]:
        status = status or run(each)
    every = " ".join(target for targets in reversed(lists) for target in targets)
    print(f"make {every}: {time.monotonic() - begun:.0f} seconds", flush=True)
    return status


if __name__ == "__main__":
    try:
        sys.exit(main(*sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
