"""Execution of a command: connection, output, errors and exit code."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from airflow.configuration import conf

from airflow_provider_veo3.airflow_names import AirflowException
from airflow_provider_veo3.cli import estimate, history, models, store
from airflow_provider_veo3.cli.console import Console
from airflow_provider_veo3.exceptions import Veo3ValidationError
from airflow_provider_veo3.hooks.veo3 import Veo3Hook

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator

SUCCESS: Final = 0
FAILURE: Final = 1
USAGE_ERROR: Final = 2
INTERRUPTED: Final = 130
"""Exit code of a program that Ctrl-C ends."""

_PROCESS_CONTEXT: Final = "_AIRFLOW_PROCESS_CONTEXT"

COMMANDS: Final[dict[str, Callable[[argparse.Namespace, Veo3Hook, Console], bool]]] = {
    "models": models.run,
    "history": history.run,
    "store": store.run,
    "estimate": estimate.run,
}
"""Functions of the commands, which return whether everything succeeded."""


def run(name: str, arguments: argparse.Namespace, program: str) -> int:
    """Run a command, and return the exit code.

    :param name: name of the command.
    :param arguments: its parsed arguments.
    :param program: the words before its name, for errors.
    """
    console = Console()
    prefix = f"{program} {name}"
    try:
        with _quiet_logs(), _airflow_database():
            hook = Veo3Hook(arguments.conn_id)
            console.secret = hook.settings.api_key
            with contextlib.closing(hook.get_conn()):
                is_success = COMMANDS[name](arguments, hook, console)
            console.results.flush()
    except Veo3ValidationError as error:
        console.note(f"{prefix}: error: {error}")
        return USAGE_ERROR
    except AirflowException as error:
        console.note(f"{prefix}: error: {error}")
        return FAILURE
    except BrokenPipeError:  # the reader, such as `head`, has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILURE
    except KeyboardInterrupt:
        console.note(f"{prefix}: interrupted. No credits were spent; run the command again to go on.")
        return INTERRUPTED
    return SUCCESS if is_success else FAILURE


@contextlib.contextmanager
def _quiet_logs() -> Iterator[None]:
    """Keep log lines off standard output, and those below a warning off standard error too."""
    before = logging.root.manager.disable
    for handler in logging.getLogger().handlers:
        # handlers of a class of their own, as Airflow 3.0 has, follow `sys.stdout`
        if type(handler) is logging.StreamHandler and handler.stream is sys.stdout:
            handler.setStream(sys.stderr)
    logging.disable(max(before, logging.INFO))
    try:
        with contextlib.redirect_stdout(sys.stderr):  # for handlers that are made meanwhile
            yield
    finally:
        logging.disable(before)


@contextlib.contextmanager
def _airflow_database() -> Iterator[None]:
    """Let Airflow read connections from its database too, if there is one.

    Airflow's own commands set this variable for the same reason. Without a database, SQLite would make one.
    """
    url = conf.get("database", "sql_alchemy_conn", fallback="")
    file = url.removeprefix("sqlite:///")
    is_there = url != "" and (file == url or Path(file).exists())
    if not is_there or _PROCESS_CONTEXT in os.environ:
        yield
        return
    os.environ[_PROCESS_CONTEXT] = "server"
    try:
        yield
    finally:
        del os.environ[_PROCESS_CONTEXT]
