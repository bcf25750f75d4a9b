"""Checks of shell commands in the documentation, without running them on the machine."""

from __future__ import annotations

import importlib.util
import re
import shlex
import tomllib
from typing import TYPE_CHECKING

from demo.credits import CONFIRMED
from tests.support.airflow_versions import AIRFLOW, connection_class
from tests.support.pages import CHECKOUT

if TYPE_CHECKING:
    from airflow_provider_veo3.emulator import Emulator

MAKEFILE = (CHECKOUT / "Makefile").read_text(encoding="utf-8")
HERE = "http://127.0.0.1:8765"
"""Address of the emulator in the documentation."""
NETWORK = {
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
}
"""Variables of the environment that certificates and proxies come from."""


def check(script: str, emulator: Emulator) -> int:
    """Check each command, and return their number.

    :raises AssertionError: a command is wrong, or of an unknown kind.
    """
    commands = [shlex.split(line, comments=True) for line in script.replace("\\\n", " ").splitlines()]
    commands = [words for words in commands if words]
    for words in commands:
        _check(words, emulator)
    return len(commands)


def _check(words: list[str], emulator: Emulator) -> None:
    match words:
        case ["make", *arguments]:
            _make(arguments)
        case ["export", assignment]:
            name, _, value = assignment.partition("=")
            _variable(name, value)
        case ["airflow", "veo3", *arguments] if AIRFLOW < (3, 2):  # which has no commands of providers
            from airflow_provider_veo3.cli.definition import build_parser

            build_parser().parse_args(arguments)
        case ["airflow", *arguments]:
            from airflow.cli.cli_parser import get_parser

            get_parser().parse_args(arguments)
        case ["pip", "install", *arguments]:
            _extras(" ".join(arguments))
        case ["python", "-m", "airflow_provider_veo3.emulator", *arguments]:
            from airflow_provider_veo3.emulator.__main__ import read_arguments

            read_arguments(arguments)
        case ["python", "-m", "airflow_provider_veo3", *arguments]:
            from airflow_provider_veo3.cli.definition import build_parser

            build_parser().parse_args(arguments)
        case [".venv/bin/python", "-m", "pytest", path, *_]:
            assert (CHECKOUT / path).exists(), path
        case ["python", "-m", module, *_]:
            assert importlib.util.find_spec(module) is not None, module
        case ["curl", *arguments]:
            _curl(arguments, emulator)
        case _:
            raise AssertionError(f"There is no check for the command {shlex.join(words)!r}.")


def _make(arguments: list[str]) -> None:
    for argument in arguments:
        name, is_variable, _ = argument.partition("=")
        pattern = rf"^{name} [?:]?=" if is_variable else rf"^{name}:"
        assert re.search(pattern, MAKEFILE, re.MULTILINE), f"make {argument}"


def _variable(name: str, value: str) -> None:
    if name.startswith("AIRFLOW_CONN_"):
        check_connection(value)
    elif name.startswith("AIRFLOW__"):
        from airflow.configuration import conf

        from airflow_provider_veo3 import get_provider_info

        _, section, option = name.lower().split("__", 2)
        # Airflow 3.0 knows no options of providers
        ours = get_provider_info()["config"].get(section, {"options": {}})["options"]
        assert option in ours or conf.has_option(section, option), name
    elif name in NETWORK:
        assert value
    elif name == CONFIRMED:
        assert value.isdecimal()
    else:
        from airflow_provider_veo3.hooks.connection import settings_from_environment

        key = {"VEO3_API_KEY": "veo3_key"} if name != "VEO3_API_KEY" else {}
        settings = settings_from_environment(key | {name: value})
        assert settings is not None, name
        assert value in (settings.api_key, settings.base_url), f"{name} has no effect"


def check_connection(value: str) -> None:
    """Create the connection as Airflow does, and check it with the hook."""
    from airflow_provider_veo3.hooks.connection import settings_from_connection

    connection = connection_class()
    if value.startswith("{"):
        made = connection.from_json(value, conn_id="c")
    else:
        from airflow.models.connection import Connection  # that of a task takes no URI on Airflow 3.1

        made = Connection(conn_id="c", uri=value)
    assert made.conn_type == "veo3"
    assert settings_from_connection("c", made, made.extra_dejson).api_key.startswith("veo3_")


def _extras(arguments: str) -> None:
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    named = re.findall(r"(?:\.|airflow-provider-veo3)\[([\w,]+)\]", arguments)
    for extra in ",".join(named).split(",") if named else []:
        assert extra in project["optional-dependencies"], extra


def _curl(arguments: list[str], emulator: Emulator) -> None:
    import httpx

    data = arguments[arguments.index("-d") + 1] if "-d" in arguments else None
    method = arguments[arguments.index("-X") + 1] if "-X" in arguments else "POST" if data else "GET"
    (url,) = [argument for argument in arguments if argument.startswith(HERE)]
    response = httpx.request(method, url.replace(HERE, emulator.base_url), content=data, timeout=60)
    assert response.is_success, response.text
