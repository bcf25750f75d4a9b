"""Child processes: free ports for them, their orderly end, the end of their logs."""

from __future__ import annotations

import random
import signal
import socket
import subprocess
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def free_ports(count: int) -> list[int]:
    """Find ports without a listener, outside the range that operating systems assign by themselves."""
    chosen = random.SystemRandom()
    with ExitStack() as held:  # all at once, so that no port is found twice
        ports: list[int] = []
        while len(ports) < count:
            port = chosen.randrange(20000, 32000)
            listener = held.enter_context(socket.socket())
            try:
                listener.bind(("127.0.0.1", port))
            except OSError:
                continue
            ports.append(port)
        return ports


def end_process(process: subprocess.Popen[bytes], timeout: float = 10.0) -> None:
    """Terminate a process; kill it if it still runs after the timeout.

    :param timeout: seconds.
    """
    process.terminate()
    try:
        process.wait(timeout=timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def exit_on_sigterm() -> None:
    """Turn SIGTERM into ``SystemExit``, so that every ``with`` block ends the processes it started."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))


def log_tail(path: Path, lines: int = 25) -> str:
    """Return the last lines of a log file, or a note that it is missing."""
    if not path.is_file():
        return f"({path} was not written)"
    return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])
