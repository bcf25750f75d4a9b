"""Names, options and examples of the commands, for Airflow's command line and for our own.

Every process of Airflow imports this module, so it imports nothing else of the package.
"""

from __future__ import annotations

import argparse
import logging
import re
import sys
import textwrap
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from airflow.cli.cli_config import CLICommand

GROUP: Final = "veo3"
AIRFLOW: Final = f"airflow {GROUP}"
PYTHON: Final = "python -m airflow_provider_veo3"

ABOUT: Final = "Models, generations and stored videos of a VEO3 account. Nothing here spends credits."

_DURATION: Final = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)([smhdw])")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def moment(text: str) -> datetime:
    """Parse a time, which may be a duration back from now such as ``24h``.

    :raises argparse.ArgumentTypeError: it is neither.
    """
    try:
        if duration := _DURATION.fullmatch(text.strip()):
            return datetime.now(UTC) - timedelta(**{_UNITS[duration[2]]: float(duration[1])})
        time = datetime.fromisoformat(text.strip())
    except (ValueError, OverflowError):
        raise argparse.ArgumentTypeError(
            f"{text!r:.80} is not a time: write one such as 2026-01-31 or 2026-01-31T08:00+01:00 (without a "
            "zone: UTC), or a duration back from now, such as 90m, 24h or 7d"
        ) from None
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def count(text: str) -> int:
    """Parse a whole number from 1 to 1000000.

    :raises argparse.ArgumentTypeError: it is not one.
    """
    if re.fullmatch(r"[0-9]{1,7}", text) and 1 <= int(text) <= 10**6:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r:.80} is not a whole number from 1 to 1000000")


@dataclass(frozen=True)
class Option:
    """An argument of a command.

    :param flags: its names, or the single name of a positional argument.
    :param settings: its settings, by the names that ``argparse`` and Airflow's ``Arg`` share.
    """

    flags: tuple[str, ...]
    settings: dict[str, Any]


def _option(*flags: str, **settings: Any) -> Option:
    return Option(flags, settings)


@dataclass(frozen=True)
class Command:
    """A command.

    :param name: its name on the command line.
    :param help: one line about it.
    :param description: what it does, and what it costs.
    :param examples: arguments of examples, each with the purpose of the example.
    :param options: its own options; those of all commands follow.
    """

    name: str
    help: str
    description: str
    examples: tuple[tuple[str, str], ...]
    options: tuple[Option, ...] = field(default=())

    def epilog(self, program: str) -> str:
        """Return the examples as text.

        :param program: the words before the command's name.
        """
        shown = (
            f"  # {purpose}\n  {program} {self.name} {arguments}" for purpose, arguments in self.examples
        )
        return "examples:\n" + "\n".join(line.rstrip() for line in shown)


_EVERYWHERE: Final = (
    _option(
        "--conn-id",
        metavar="ID",
        default="veo3_default",
        help="Airflow connection with the API key (default: veo3_default). If veo3_default is not defined, "
        "the environment variable VEO3_API_KEY is used; that needs no database.",
    ),
    _option(
        "-o",
        "--output",
        choices=("table", "json"),
        default="table",
        help="table, or JSON for other programs (default: table).",
    ),
)

_SINCE: Final = _option(
    "--since",
    type=moment,
    metavar="TIME",
    help="only generations created at this time or later: a time such as 2026-01-31T08:00 (without a zone: "
    "UTC), or a duration back from now, such as 90m, 24h or 7d.",
)
_UNTIL: Final = _option(
    "--until", type=moment, metavar="TIME", help="only generations created before this time; as --since."
)
_MODEL: Final = _option(
    "--model",
    metavar="ID",
    help="only generations of this model; the endings -001 and -preview count as the same.",
)
_LIMIT: Final = _option("--limit", type=count, metavar="N", help="only the newest N generations.")

COMMANDS: Final = (
    Command(
        "models",
        "list the models and their prices",
        "List the models of the API, and the credits that a video of each costs. Sends one request.",
        (("prices", ""), ("ids of the models", "-o json | jq -r '.[].id'")),
    ),
    Command(
        "history",
        "list the generations of the account",
        "List the generations of the account, the oldest first, those submitted elsewhere too. Sends one "
        "request for each 100 generations.",
        (
            ("generations of the last day", "--since 24h"),
            ("failures of a week, for another program", "--status failed --since 7d --output json"),
            (
                "a month of one model",
                "--since 2026-01-01 --until 2026-02-01 --model veo-3.1-fast-generate-001",
            ),
        ),
        (
            _option(
                "--status",
                choices=("pending", "processing", "completed", "failed"),
                help="only generations with this status (default: all).",
            ),
            _SINCE,
            _UNTIL,
            _MODEL,
            _LIMIT,
        ),
    ),
    Command(
        "store",
        "store videos in object storage",
        "Store the videos of finished generations: of those with the given ids, or of all that were created "
        "in a window of time. Existing files are not downloaded again, so that a second run stores only what "
        "is missing. Links to videos live 24 hours from completion.",
        (
            (
                "videos of two generations",
                "--to videos/ veo_1703123456789_abc123def veo_1703123456790_def456abc",
            ),
            (
                "what was completed within a day, by way of an Airflow connection",
                "--to s3://aws_default@my-bucket/videos/ --since 24h",
            ),
        ),
        (
            _option("ids", nargs="*", metavar="GENERATION_ID", help="ids of finished generations."),
            _option(
                "--to",
                required=True,
                metavar="FOLDER",
                dest="destination",
                help="local folder, or any URI of Airflow's ObjectStoragePath, such as "
                "s3://connection@bucket/videos/. Missing folders are made.",
            ),
            _option(
                "--filename",
                default="{generation_id}_{index}.mp4",
                metavar="TEMPLATE",
                help="path of a file below the folder, with the fields {generation_id} and {index} "
                "(default: {generation_id}_{index}.mp4).",
            ),
            _option(
                "--max-concurrency",
                type=int,
                choices=range(1, 17),
                default=4,
                metavar="N",
                help="files downloaded at once, 1 to 16 (default: 4; at most 3 to an object store).",
            ),
            _SINCE,
            _UNTIL,
            _MODEL,
            _LIMIT,
        ),
    ),
    Command(
        "estimate",
        "price a list of prompts",
        "Check each row of a CSV file as a generating task would, and price it by the API's price list. The "
        "column prompt is required; model, sample_count and generate_audio change the price. An empty cell "
        "means the default. Commas, semicolons or tabs separate the cells. Sends one request.",
        (
            ("price of a campaign", "prompts.csv"),
            (
                "the same with another model where a row names none",
                "prompts.csv --model veo-3.1-lite-generate-001",
            ),
        ),
        (
            _option(
                "file",
                metavar="CSV",
                help="path or URI of the file; - reads standard input.",
            ),
            _option(
                "--model",
                metavar="ID",
                help="model of the rows that name none (default: that of the operators).",
            ),
        ),
    ),
)
"""Every command, in the order of the help."""


def get_veo3_cli_commands() -> list[CLICommand]:
    """Return the group ``airflow veo3`` for Airflow 3.2 and later (provider info key ``cli``)."""
    from airflow.cli.cli_config import ActionCommand, Arg, GroupCommand

    actions = [
        ActionCommand(
            name=command.name,
            help=command.help,
            description=command.description,
            epilog=command.epilog(AIRFLOW),
            func=_function_of(command.name),
            args=tuple(Arg(option.flags, **option.settings) for option in (*command.options, *_EVERYWHERE)),
        )
        for command in COMMANDS
    ]
    return [GroupCommand(name=GROUP, help=ABOUT, subcommands=actions)]


def _function_of(name: str) -> Callable[[argparse.Namespace], None]:
    """Return the function that Airflow calls for a command."""

    def run_command(arguments: argparse.Namespace) -> None:
        from airflow_provider_veo3.cli.run import run

        if code := run(name, arguments, AIRFLOW):
            sys.exit(code)

    return run_command


def main(arguments: Sequence[str] | None = None) -> int:
    """Run ``python -m airflow_provider_veo3``, and return the exit code.

    :param arguments: words after the program's name; by default those of the process.
    """
    parsed = build_parser().parse_args(arguments)
    before = logging.root.manager.disable
    logging.disable(logging.INFO)  # of libraries that Airflow imports; Alembic has a few lines to say on 3.1
    try:
        from airflow_provider_veo3.cli.run import run
    finally:
        logging.disable(before)
    return run(parsed.command, parsed, PYTHON)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of ``python -m airflow_provider_veo3``."""
    parser = argparse.ArgumentParser(prog=PYTHON, description=ABOUT)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in COMMANDS:
        subparser = commands.add_parser(
            command.name,
            help=command.help,
            description=textwrap.fill(command.description, 100),
            epilog=command.epilog(PYTHON),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        for option in (*command.options, *_EVERYWHERE):
            subparser.add_argument(*option.flags, **option.settings)
    return parser
