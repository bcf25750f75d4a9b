"""A demo on the real API: it checks the key, knows the price, and spends nothing without a confirmation."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from demo.credits import DemoRefusedError, confirm, main, price_of, read_price
from demo.run import CHEAPEST_MODEL, paid_conf
from tests.support.pages import CHECKOUT

if TYPE_CHECKING:
    from airflow_provider_veo3.emulator import Emulator

PRICE = 65


@pytest.fixture
def account(emulator: Emulator) -> dict[str, str]:
    """Environment of a person who has set a key."""
    return {"VEO3_API_KEY": emulator.api_key, "VEO3_BASE_URL": emulator.base_url}


def make(command: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a command of the demo without a terminal, as ``make`` does in a script."""
    return subprocess.run(
        [sys.executable, "-m", f"demo.{command}"],
        env=dict(os.environ) | environment,
        cwd=CHECKOUT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def assert_nothing_was_spent(emulator: Emulator, requests: dict[str, int]) -> None:
    """Check that the API received only these requests for the models, by status."""
    ledger = emulator.ledger()
    assert ledger["requests"] == {"models": requests}
    assert ledger["totals"]["accepted"] == 0


def test_the_price_comes_from_the_api(emulator: Emulator, account: dict[str, str]) -> None:
    body = {
        "success": True,
        "models": [
            {"id": CHEAPEST_MODEL, "pricing": {"creditsPerVideo": 71, "creditsPerVideoNoAudio": 40}},
        ],
    }
    emulator.inject({"kind": "status", "status": 200, "endpoint": "models", "body": body, "times": None})
    assert price_of(CHEAPEST_MODEL, account) == 71
    assert paid_conf(account, ask=lambda _: "yes") == {"model": CHEAPEST_MODEL, "max_credits": 71}


Ask = Callable[..., int]


@pytest.fixture
def ask_in_process(
    account: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Ask:
    """Request of a price without a process of its own, whose start takes two seconds."""

    def ask(model: str, **variables: str) -> int:
        environment = account | variables
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        main(model)
        return read_price(json.loads(capsys.readouterr().out.splitlines()[-1]), environment["VEO3_BASE_URL"])

    return ask


def test_a_model_without_a_price_is_refused(ask_in_process: Ask) -> None:
    with pytest.raises(DemoRefusedError, match=r"gave no price.*veo-9.*Nothing was submitted or spent"):
        ask_in_process("veo-9")


@pytest.mark.parametrize("command", ["run", "ui"])
def test_a_wrong_key_ends_the_demo_before_airflow_starts(
    emulator: Emulator, account: dict[str, str], command: str
) -> None:
    ended = make(command, account | {"VEO3_API_KEY": "veo3_wrong"})
    assert ended.returncode == 1
    assert f"{emulator.base_url} does not accept the key in the variable VEO3_API_KEY" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert "Starting Airflow" not in ended.stdout
    assert "veo3_wrong" not in ended.stdout + ended.stderr
    assert_nothing_was_spent(emulator, {"401": 1})


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"VEO3_API_KEY": "with a space"}, "VEO3_API_KEY or VEO3_BASE_URL cannot be used"),
        ({"VEO3_BASE_URL": "http://example.com"}, "VEO3_API_KEY or VEO3_BASE_URL cannot be used"),
        ({"VEO3_BASE_URL": "http://127.0.0.1:9"}, "http://127.0.0.1:9 gave no price"),
    ],
)
def test_a_variable_that_cannot_be_used_is_named(
    ask_in_process: Ask, variables: dict[str, str], message: str
) -> None:
    with pytest.raises(DemoRefusedError, match=message):
        ask_in_process(CHEAPEST_MODEL, **variables)


def test_without_a_terminal_nothing_is_spent(emulator: Emulator, account: dict[str, str]) -> None:
    ended = make("run", account)
    assert ended.returncode == 1
    assert f"costs {PRICE} credits" in ended.stderr
    assert f"VEO3_DEMO_CREDITS={PRICE} make demo" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert "Starting Airflow" not in ended.stdout
    assert_nothing_was_spent(emulator, {"200": 1})


def test_the_demo_asks_in_a_terminal(emulator: Emulator, account: dict[str, str]) -> None:
    terminal, end = pty.openpty()
    try:
        os.write(terminal, b"no\n")
        ended = subprocess.run(
            [sys.executable, "-m", "demo.run"],
            env=dict(os.environ) | account,
            cwd=CHECKOUT,
            stdin=end,
            stdout=end,
            stderr=subprocess.PIPE,
            text=True,
            timeout=120,
            check=False,
        )
        shown = os.read(terminal, 10_000).decode()
    finally:
        os.close(end)
        os.close(terminal)
    assert ended.returncode == 1
    assert f"for {PRICE} credits of your account" in shown
    assert "not confirmed" in ended.stderr
    assert_nothing_was_spent(emulator, {"200": 1})


def test_a_variable_confirms_without_a_terminal(emulator: Emulator, account: dict[str, str]) -> None:
    confirmed = account | {"VEO3_DEMO_CREDITS": str(PRICE)}
    assert paid_conf(confirmed, ask=None) == {"model": CHEAPEST_MODEL, "max_credits": PRICE}
    assert_nothing_was_spent(emulator, {"200": 1})


@pytest.mark.parametrize("value", [str(PRICE - 1), "yes", "-65", "65.0"])
def test_a_variable_with_less_than_the_price_confirms_nothing(value: str) -> None:
    with pytest.raises(DemoRefusedError, match=f"costs {PRICE} credits, but VEO3_DEMO_CREDITS is '{value}'"):
        confirm(PRICE, {"VEO3_DEMO_CREDITS": value}, ask=lambda _: "yes")


@pytest.mark.parametrize("typed", ["yes", " Y ", "YES"])
def test_a_person_confirms_in_the_terminal(typed: str) -> None:
    questions: list[str] = []

    def ask(question: str) -> str:
        questions.append(question)
        return typed

    confirm(PRICE, {}, ask=ask)
    assert questions == ["Type yes to spend up to 65 credits: "]


@pytest.mark.parametrize("typed", ["", "no", "n", "65"])
def test_any_other_word_in_the_terminal_ends_the_demo(typed: str) -> None:
    with pytest.raises(DemoRefusedError, match=r"not confirmed\. Nothing was submitted or spent"):
        confirm(PRICE, {}, ask=lambda _: typed)


def test_the_end_of_the_input_ends_the_demo() -> None:
    def ask(question: str) -> str:
        raise EOFError(question)

    with pytest.raises(DemoRefusedError, match="not confirmed"):
        confirm(PRICE, {}, ask=ask)
