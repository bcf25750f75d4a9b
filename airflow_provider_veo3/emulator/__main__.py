"""``python -m airflow_provider_veo3.emulator``: the command line."""

from __future__ import annotations

import argparse
import json
import logging
import os
import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args, get_origin

from pydantic import TypeAdapter

from airflow_provider_veo3.emulator.config.options import choices_of, extra_of, validated
from airflow_provider_veo3.emulator.config.quirks import Quirks
from airflow_provider_veo3.emulator.config.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pydantic.fields import FieldInfo

    from airflow_provider_veo3.emulator import Emulator

PROGRAM = "python -m airflow_provider_veo3.emulator"
# Fixed ports on the command line, so that a connection survives a restart; Settings() chooses free ports.
DEFAULTS = {"port": 8765, "files_port": 8766}
OFF = "off"
USAGE_ERROR = 2


def read_arguments(arguments: Sequence[str] | None) -> tuple[Settings, Path | None, bool]:
    """Return the settings, the path of the ready file, and whether ``--quiet`` is given."""
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        usage=f"{PROGRAM} [options]",
        formatter_class=lambda prog: argparse.HelpFormatter(prog, max_help_position=30, width=110),
        description="A local VEO3 API with real videos, credits and limits, for tests and first steps. "
        "All data is in memory, and deleted at the end. The control API is at /__emulator__/.",
    )
    parser.add_argument(
        "--ready-file",
        type=Path,
        metavar="PATH",
        help="write the URLs and the key as JSON to this file when the emulator accepts requests",
    )
    parser.add_argument("--quiet", action="store_true", help="log no requests")
    _add_options(parser)
    values = vars(parser.parse_args(arguments))
    ready_file, quiet = values.pop("ready_file"), values.pop("quiet")
    try:
        return validated(Settings, values, spell=_flag), ready_file, quiet
    except ValueError as error:
        parser.error(str(error))


def _add_options(parser: argparse.ArgumentParser) -> None:
    groups: dict[str, argparse._ArgumentGroup] = {}
    # Variants and quirks come last: the options of Settings itself are of more interest.
    for name, field in sorted(Settings.model_fields.items(), key=lambda item: item[0] in Quirks.model_fields):
        title = extra_of(field, "group")
        if title not in groups:
            groups[title] = parser.add_argument_group(title)
        default = DEFAULTS.get(name, field.default)
        how: dict[str, Any] = {"dest": name, "default": default}
        if field.annotation is bool:
            how["action"] = argparse.BooleanOptionalAction
            shown = "yes" if default else "no"
        else:
            how |= {"type": _parser_of(field), "metavar": _placeholder(field)}
            shown = OFF if default is None else ",".join(default) if isinstance(default, tuple) else default
        explanation = (field.description or "").replace("%", "%%")
        groups[title].add_argument(_flag(name), help=f"{explanation} (default: {shown})", **how)


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _placeholder(field: FieldInfo) -> str:
    if get_origin(field.annotation) is tuple:
        return "A,B"
    if choices_of(field):
        return "|".join(str(choice) for choice in choices_of(field))
    return "TEXT" if str in (field.annotation, *get_args(field.annotation)) else "N"


def _parser_of(field: FieldInfo) -> Callable[[str], Any]:
    """Return the function that parses the text of an argument; ``Settings`` checks the value."""
    annotation: Any = field.annotation
    choices = {str(choice): choice for choice in choices_of(field)}
    adapter = TypeAdapter[Any](annotation)

    def parse(text: str) -> Any:
        if text == OFF and type(None) in get_args(annotation):
            return None
        if get_origin(annotation) is tuple:
            return tuple(part.strip() for part in text.split(",") if part.strip())
        return choices.get(text, text) if choices else adapter.validate_strings(text)

    parse.__name__ = "number"  # as in argparse's "invalid number value"
    return parse


def announce(emulator: Emulator, ready_file: Path | None) -> None:
    """Print the addresses, and write them to the ready file."""
    facts = {
        "base_url": emulator.base_url,
        "files_url": emulator.files_url,
        "api_key": emulator.api_key,
        "pid": os.getpid(),
    }
    if ready_file is not None:
        # Renamed, so that no reader sees half a file; readable for the owner only because of the key.
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
    """Write a line for each request to standard output."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
    log = logging.getLogger("airflow_provider_veo3.emulator")
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    log.propagate = False


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the emulator until SIGINT or SIGTERM, and return the exit code."""
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
