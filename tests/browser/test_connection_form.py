"""The connection form as a person uses it, and the connection test."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import Locator, expect

from airflow_provider_veo3.hooks.connection_form import CONNECTION_TYPE
from tests.support.airflow_pages import FOLDS_EXTRAS, KEEPS_TYPED_NUMBERS

if TYPE_CHECKING:
    from testbed.emulator import EmulatorProcess
    from testbed.local_airflow import LocalAirflow
    from tests.support.airflow_pages import Pages

pytestmark = pytest.mark.timeout(3600)  # with the start of Airflow; a busy machine is no failure

ID = "veo3_second"
WRONG_KEY = "veo3_demo_wrong_key_0000"
FIELDS = CONNECTION_TYPE["conn-fields"]
BEHAVIOUR = CONNECTION_TYPE["ui-field-behaviour"]


def extra_field(form: Locator, name: str) -> Locator:
    """Return the input of a field of ours, which Airflow 3.1 does not tie to its label."""
    label = form.page.get_by_text(FIELDS[name]["label"], exact=True)
    return form.get_by_role("group").filter(has=label).locator("input")


def test_the_form_creates_a_connection(
    pages: Pages, airflow: LocalAirflow, emulator: EmulatorProcess
) -> None:
    page = pages.open("/", height=1160)
    page.get_by_role("button", name="Admin").click()
    page.get_by_role("menuitem", name="Connections").click()
    page.get_by_role("button", name="Add Connection").click()
    form = page.get_by_role("dialog")

    form.get_by_label("Connection ID").fill(ID)
    form.get_by_label("Connection Type").press_sequentially("VEO3")
    form.get_by_role("option", name=CONNECTION_TYPE["hook-name"], exact=True).click()

    for name, label in BEHAVIOUR["relabeling"].items():
        field = form.get_by_role("textbox", name=label, exact=True)
        expect(field).to_be_visible()
        expect(field).to_have_attribute("placeholder", BEHAVIOUR["placeholders"][name])
    for hidden in ("Login", "Host", "Password", "Schema"):
        expect(form.get_by_text(hidden, exact=True)).to_have_count(0)
    key = form.get_by_role("textbox", name="API key", exact=True)
    key.fill(emulator.api_key)
    expect(key).to_have_attribute("type", "password")
    # Airflow 3.3.2 cannot test a stored connection without a port: its page sends 0, which its API rejects.
    form.get_by_label("Port").fill("443")
    form.get_by_label("Port").blur()
    pages.picture("connection", form)  # as for the real API, with the default base URL
    address, port = emulator.base_url.rsplit(":", 1)
    form.get_by_label("Base URL").fill(address)
    form.get_by_label("Port").fill(port)

    if FOLDS_EXTRAS:
        form.get_by_role("button", name="Extra Fields", exact=True).click()
    for field in FIELDS.values():
        expect(form.get_by_text(field["label"], exact=True)).to_be_visible()
        expect(form.get_by_text(field["description"], exact=True)).to_be_visible()
    expect(extra_field(form, "request_timeout")).to_have_value("30")
    extra_field(form, "poll_interval").fill("5")
    extra_field(form, "poll_interval").blur()
    form.get_by_role("button", name="Save").scroll_into_view_if_needed()
    expect(form.get_by_role("button", name="Save")).to_be_in_viewport(ratio=1)
    pages.picture("connection-extras", form)
    form.get_by_role("button", name="Save").click()
    pages.expect_notification("Connection has been successfully created", "")

    saved = airflow.api.call("GET", f"connections/{ID}")
    assert (saved["conn_type"], saved["host"], saved["port"]) == ("veo3", address, int(port))
    assert saved["password"] == "***"
    defaults = {name: field["schema"]["default"] for name, field in FIELDS.items()}
    assert json.loads(saved["extra"]) == defaults | {"poll_interval": 5 if KEEPS_TYPED_NUMBERS else "5"}


def test_the_button_tests_the_connection(pages: Pages, emulator: EmulatorProcess) -> None:
    requests = emulator.ledger()["requests"].get("models", {}).get("200", 0)
    page = pages.open("/connections", height=420)
    row = page.get_by_role("row").filter(has_text=ID)
    row.get_by_role("button", name="Test Connection").click()
    connected = rf"Connected to {re.escape(emulator.base_url)}, which offers \d+ models"
    pages.expect_notification("Test Connection Successful", connected)
    pages.picture("connection-test")
    assert emulator.ledger()["requests"]["models"]["200"] == requests + 1
    pages.assert_no_secrets(emulator.api_key)


def test_the_button_shows_the_reason_of_a_failure(
    pages: Pages, airflow: LocalAirflow, emulator: EmulatorProcess
) -> None:
    address, port = emulator.base_url.rsplit(":", 1)
    airflow.api.create_connection("veo3_wrong", "veo3", host=address, port=int(port), password=WRONG_KEY)
    page = pages.open("/connections")
    row = page.get_by_role("row").filter(has_text="veo3_wrong")
    row.get_by_role("button", name="Test Connection").click()
    pages.expect_notification("Test Connection Failed", "Check the API key")
    pages.assert_no_secrets(WRONG_KEY, emulator.api_key)


def test_the_form_never_shows_a_stored_key(pages: Pages, emulator: EmulatorProcess) -> None:
    page = pages.open("/connections")
    page.get_by_role("row").filter(has_text=ID).get_by_role("button", name="Edit Connection").click()
    form = page.get_by_role("dialog")
    expect(form.get_by_label("Connection ID")).to_have_value(ID)
    expect(form.get_by_role("textbox", name="API key", exact=True)).not_to_have_value(emulator.api_key)
    pages.assert_no_secrets(emulator.api_key)


def test_the_audit_log_has_no_key(pages: Pages, emulator: EmulatorProcess) -> None:
    page = pages.open("/events")
    expect(page.get_by_role("row").filter(has_text="post_connection").first).to_be_visible()
    page.get_by_role("button", name="Expand all extra JSON").click()
    expect(page.get_by_role("row").filter(has_text=ID).first).to_be_visible()
    pages.assert_no_secrets(emulator.api_key, WRONG_KEY)
