"""``python -m airflow_provider_veo3.emulator``: run the emulator until it is told to stop."""

from __future__ import annotations

import argparse
import json
import logging
import os
import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_provider_veo3.emulator.config.options import add_arguments
from airflow_provider_veo3.emulator.config.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_veo3.emulator import Emulator

PROGRAM = "python -m airflow_provider_veo3.emulator"
PORT, FILES_PORT = 8765, 8766
USAGE_ERROR = 2


def read_arguments(arguments: Sequence[str] | None) -> tuple[Settings, Path | None, bool]:
    """The settings, the ready file, and whether to be quiet."""
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        usage=f"{PROGRAM} [options]",
        formatter_class=lambda prog: argparse.HelpFormatter(prog, max_help_position=30, width=110),
        description="A local VEO3 API with real videos, credits and limits, for tests and first steps. "
        "Everything is in memory and gone when it stops. The control API is at /__emulator__/.",
    )
    parser.add_argument(
        "--ready-file",
        type=Path,
        metavar="PATH",
        help="write the URLs and the key as JSON here as soon as requests are answered",
    )
    parser.add_argument("--quiet", action="store_true", help="log no requests")
    add_arguments(parser, Settings, {"port": PORT, "files_port": FILES_PORT})
    values = vars(parser.parse_args(arguments))
    ready_file, quiet = values.pop("ready_file"), values.pop("quiet")
    try:
        return Settings(**values), ready_file, quiet
    except ValueError as error:
        name, _, rest = str(error).partition("=")
        parser.error(f"--{name.replace('_', '-')}={rest}")


def announce(emulator: Emulator, ready_file: Path | None) -> None:
    """Tell people and scripts where the emulator listens."""
    facts = {
        "base_url": emulator.base_url,
        "files_url": emulator.files_url,
        "api_key": emulator.api_key,
        "pid": os.getpid(),
    }
    if ready_file is not None:
        # Renamed into place, so that nobody reads half a file; the key in it is for its owner only.
        partial = ready_file.with_name(ready_file.name + ".part")
        partial.touch(mode=0o600)
        partial.write_text(json.dumps(facts))
        partial.replace(ready_file)
    sys.stdout.write(
        f"VEO3 emulator at {emulator.base_url}, files at {emulator.files_url}\n"
        f"  VEO3_BASE_URL={emulator.base_url} VEO3_API_KEY={emulator.api_key}\n"
        f"  ledger: {emulator.base_url}/__emulator__/ledger   stop: Ctrl-C\n"
    )
    sys.stdout.flush()


def log_requests() -> None:
    """Write one line for each request to standard output."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
    log = logging.getLogger("airflow_provider_veo3.emulator")
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    log.propagate = False


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until SIGINT or SIGTERM; returns the exit code."""
    settings, ready_file, quiet = read_arguments(arguments)
    try:
        from airflow_provider_veo3.emulator import Emulator
    except ModuleNotFoundError as error:
        sys.stderr.write(f"{error}\n")
        return USAGE_ERROR
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    if not quiet:
        log_requests()
    try:
        with Emulator(settings) as emulator:
            announce(emulator, ready_file)
            stop.wait()
    except OSError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    finally:
        if ready_file is not None:
            ready_file.unlink(missing_ok=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
