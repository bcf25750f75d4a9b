"""One Airflow with the emulator, and one browser that is signed in, for all tests here."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect, sync_playwright

from testbed.emulator import EmulatorProcess
from testbed.local_airflow import CHECKOUT, LocalAirflow
from tests.support.airflow_pages import CAMPAIGN, QUICKSTART, SAID, Pages, Runs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser

PATIENCE = 300_000
"""Milliseconds for a page to show something: a busy machine is slow, and no failure."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update", action="store_true", help="write the pictures of docs/images, too")


@pytest.fixture(scope="session")
def emulator() -> Iterator[EmulatorProcess]:
    with EmulatorProcess(pending_seconds=0.5, processing_seconds=3, height=90) as emulator:
        yield emulator


@pytest.fixture(scope="session")
def airflow(emulator: EmulatorProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAirflow]:
    env = {
        "AIRFLOW_CONN_VEO3_DEFAULT": emulator.connection(poll_interval=1),
        "VEO3_DESTINATION": f"file://{tmp_path_factory.mktemp('videos')}",
        "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
        "AIRFLOW__API__DEFAULT_WRAP": "True",  # so that the whole of a log's line is on the page
    }
    with LocalAirflow(env) as airflow:
        airflow.wait_for_dags([QUICKSTART, CAMPAIGN])
        yield airflow


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    program = shutil.which("chromium")
    assert program, "chromium is needed and not on the PATH (on Debian: apt install chromium)"
    with sync_playwright() as playwright:
        # The browser is for loopback only: it looks for no updates, and no proxy comes between.
        words = ["--no-proxy-server", "--disable-background-networking", "--disable-component-update"]
        browser = playwright.chromium.launch(executable_path=program, args=words)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def pages(airflow: LocalAirflow, browser: Browser, request: pytest.FixtureRequest) -> Iterator[Pages]:
    expect.set_options(timeout=PATIENCE)
    context = browser.new_context(
        base_url=airflow.url,
        viewport={"width": 1280, "height": 800},
        color_scheme="light",
        locale="en-US",
        timezone_id="UTC",
    )
    context.set_default_timeout(PATIENCE)
    context.add_init_script(SAID)
    folder = CHECKOUT / "docs" / "images" if request.config.getoption("--update") else None
    pages = Pages(context, folder)
    pages.sign_in(airflow.user, airflow.password)
    yield pages
    context.close()


@pytest.fixture(scope="session")
def runs(airflow: LocalAirflow) -> Runs:
    """A quickstart and a campaign that went well."""

    def trigger(dag_id: str, run_id: str, **conf: Any) -> str:
        body = {"logical_date": None, "dag_run_id": run_id, "conf": conf}
        return str(airflow.api.call("POST", f"dags/{dag_id}/dagRuns", json=body)["dag_run_id"])

    good = trigger(QUICKSTART, "fox_in_the_snow")
    campaign = trigger(CAMPAIGN, "six_prompts")
    states = airflow.wait_for_runs({QUICKSTART: good, CAMPAIGN: campaign}, timeout=600)
    assert set(states.values()) == {"success"}, json.dumps(states)
    return Runs(good=good, campaign=campaign)
