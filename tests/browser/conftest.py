"""One Airflow with the emulator, and one signed-in browser, for all browser tests."""

from __future__ import annotations

import json
import shutil
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect, sync_playwright

from testbed.emulator import EmulatorProcess
from testbed.local_airflow import CHECKOUT, LocalAirflow
from tests.support.airflow_pages import CAMPAIGN, NOTIFICATIONS, QUICKSTART, Pages, Runs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser

TIMEOUT = 300_000
"""Milliseconds for a page to show something, enough for a busy machine."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update", action="store_true", help="also write the pictures of docs/images")


@pytest.fixture(scope="session")
def emulator() -> Iterator[EmulatorProcess]:
    with EmulatorProcess(pending_seconds=0.5, processing_seconds=3, height=180) as emulator:
        yield emulator


@pytest.fixture(scope="session")
def airflow(emulator: EmulatorProcess) -> Iterator[LocalAirflow]:
    with TemporaryDirectory(prefix="videos-") as folder, _airflow(emulator, f"file://{folder}") as airflow:
        airflow.wait_for_dags([QUICKSTART, CAMPAIGN])
        yield airflow


def _airflow(emulator: EmulatorProcess, destination: str) -> LocalAirflow:
    env = {
        "AIRFLOW_CONN_VEO3_DEFAULT": emulator.connection(poll_interval=1),
        "VEO3_DESTINATION": destination,
        "AIRFLOW__VEO3__GALLERY_LOCATIONS": destination,
        "AIRFLOW__VEO3__GALLERY_RUN_TAB": "True",
        "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
        "AIRFLOW__API__DEFAULT_WRAP": "True",  # shows complete log lines
    }
    return LocalAirflow(env)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    program = shutil.which("chromium")
    assert program, "chromium is not on the PATH; the browser tests need it (on Debian: apt install chromium)"
    with sync_playwright() as playwright:
        # loopback only: no updates, no proxy
        arguments = ["--no-proxy-server", "--disable-background-networking", "--disable-component-update"]
        browser = playwright.chromium.launch(executable_path=program, args=arguments)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def pages(airflow: LocalAirflow, browser: Browser, request: pytest.FixtureRequest) -> Iterator[Pages]:
    expect.set_options(timeout=TIMEOUT)
    context = browser.new_context(
        base_url=airflow.url,
        viewport={"width": 1280, "height": 800},
        color_scheme="light",
        locale="en-US",
        timezone_id="UTC",
    )
    context.set_default_timeout(TIMEOUT)
    context.add_init_script(NOTIFICATIONS)
    folder = CHECKOUT / "docs" / "images" if request.config.getoption("--update") else None
    pages = Pages(context, folder)
    pages.sign_in(airflow.user, airflow.password)
    yield pages
    context.close()


@pytest.fixture(scope="session")
def runs(airflow: LocalAirflow) -> Runs:
    """A successful run of the quickstart and of the campaign."""
    good = airflow.api.trigger(QUICKSTART, run_id="fox_in_the_snow")
    campaign = airflow.api.trigger(CAMPAIGN, run_id="six_prompts")
    states = airflow.wait_for_runs({QUICKSTART: good, CAMPAIGN: campaign}, timeout=600)
    assert set(states.values()) == {"success"}, json.dumps(states)
    return Runs(good=good, campaign=campaign)
