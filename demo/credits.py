"""Credits of a demo on the real API: the key is checked, the price requested, and a person confirms it.

``python -m demo.credits MODEL`` prints the price as JSON. It runs as a process of its own, so that this one
never reads the configuration of another Airflow on this machine.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from typing import TYPE_CHECKING, Any, Final

from testbed.local_airflow import CHECKOUT, clean_environment

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

KEY: Final = "VEO3_API_KEY"
BASE_URL: Final = "VEO3_BASE_URL"
CONFIRMED: Final = "VEO3_DEMO_CREDITS"
"""Variable with the credits that a demo without a terminal may spend."""

DEFAULT_BASE_URL: Final = "https://api.veo3gen.co"
TIMEOUT: Final = 120
"""Seconds for the price, with the client's own retries."""


class DemoRefusedError(Exception):
    """A demo that may not spend credits: a wrong key, no price, or no confirmation."""


def price_of(model: str, environment: Mapping[str, str]) -> int:
    """Request the price of a video with sound from the API, which checks the key.

    :param environment: variables that hold the key, and the base URL if it is another one.
    :raises DemoRefusedError: the key is not accepted, or no price came.
    """
    base_url = environment.get(BASE_URL) or DEFAULT_BASE_URL
    variables = {name: environment[name] for name in (KEY, BASE_URL) if environment.get(name)}
    with tempfile.TemporaryDirectory(prefix="veo3-demo-") as home:
        try:
            done = subprocess.run(
                [sys.executable, "-m", "demo.credits", model],
                env=clean_environment() | {"AIRFLOW_HOME": home} | variables,
                cwd=CHECKOUT,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=TIMEOUT,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise DemoRefusedError(
                f"{base_url} sent no price within {TIMEOUT} seconds. Nothing was submitted or spent."
            ) from None
    lines = done.stdout.splitlines()
    if done.returncode or not lines:
        raise DemoRefusedError(f"The price could not be requested: {done.stderr.strip()[-1000:]}")
    return read_price(json.loads(lines[-1]), base_url)


def read_price(result: Mapping[str, Any], base_url: str) -> int:
    """Return the price that ``main`` printed.

    :param result: the JSON.
    :param base_url: base URL that was asked, for the error.
    :raises DemoRefusedError: it is an error.
    """
    if "price" in result:
        return int(result["price"])
    if result["kind"] == "Veo3AuthenticationError":
        raise DemoRefusedError(
            f"{base_url} does not accept the key in the variable {KEY}. Nothing was submitted or spent. "
            f"Correct {KEY}, or unset it for a demo with the emulator, which needs no key."
        )
    if result["kind"] == "Veo3ConnectionConfigError":
        raise DemoRefusedError(f"{KEY} or {BASE_URL} cannot be used. {result['message']}")
    raise DemoRefusedError(f"{base_url} gave no price. {result['message']}")


def confirm(
    credits_needed: int,
    environment: Mapping[str, str],
    *,
    ask: Callable[[str], str] | None,
) -> None:
    """Let a person confirm that these credits are spent.

    :param environment: variables; ``VEO3_DEMO_CREDITS`` confirms up to so many credits without a question.
    :param ask: shows a question in the terminal and returns the typed line; ``None`` without a terminal.
    :raises DemoRefusedError: the credits are not confirmed.
    """
    confirmed = environment.get(CONFIRMED)
    if confirmed:
        if confirmed.isdecimal() and int(confirmed) >= credits_needed:
            return
        raise DemoRefusedError(
            f"The demo costs {credits_needed} credits, but {CONFIRMED} is {confirmed[:20]!r}. Nothing was "
            f"submitted or spent. Set {CONFIRMED}={credits_needed}, or more, to confirm."
        )
    if ask is None:
        raise DemoRefusedError(
            f"The demo costs {credits_needed} credits, and there is no terminal to confirm them. "
            f"Nothing was submitted or spent. To confirm, run: {CONFIRMED}={credits_needed} make demo"
        )
    try:
        typed = ask(f"Type yes to spend up to {credits_needed} credits: ")
    except EOFError:
        typed = ""
    if typed.strip().lower() not in ("y", "yes"):
        raise DemoRefusedError("The credits were not confirmed. Nothing was submitted or spent.")


def main(model: str) -> None:
    """Print the price, or the error, as one line of JSON."""
    from airflow_provider_veo3.exceptions import Veo3Error
    from airflow_provider_veo3.hooks.connection import settings_from_environment
    from airflow_provider_veo3.hooks.veo3 import Veo3Hook

    hook = Veo3Hook()
    result: dict[str, object]
    try:
        settings = settings_from_environment()
        if settings is None:
            sys.exit(f"{KEY} is not set.")
        hook.settings = settings
        result = {"price": hook.estimate_credits(model)}
    except Veo3Error as error:
        result = {"kind": type(error).__name__, "message": str(error)}
    print(json.dumps(result))


if __name__ == "__main__":
    main(*sys.argv[1:])
