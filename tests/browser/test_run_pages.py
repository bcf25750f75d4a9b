"""Pages of a DAG run, none of which shows a secret: graph, links, XComs, logs."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import Locator, expect

from airflow_provider_veo3.links import MANIFEST_KEY, Veo3VideosLink
from tests.support.airflow_pages import (
    CAMPAIGN,
    COUNTS_MAPPED_TASKS,
    HAS_STATE_TAB,
    QUICKSTART,
    Pages,
    Runs,
    task_path,
)

if TYPE_CHECKING:
    from testbed.emulator import EmulatorProcess
    from testbed.local_airflow import LocalAirflow

pytestmark = pytest.mark.timeout(3600)  # with the start of Airflow; a busy machine is no failure

TASKS = {
    "submit": "Veo3TextToVideoOperator",
    "wait": "Veo3GenerationSensor",
    "download": "Veo3DownloadOperator",
}
CLIPS = 6


@pytest.fixture
def generation_id(airflow: LocalAirflow, runs: Runs) -> str:
    return str(airflow.api.xcom(QUICKSTART, runs.good, "submit"))


def test_all_tasks_of_the_run_succeeded(pages: Pages, runs: Runs, emulator: EmulatorProcess) -> None:
    page = pages.open(f"/dags/{QUICKSTART}/runs/{runs.good}", width=1440)
    for task_id, operator in TASKS.items():
        row = page.get_by_role("row").filter(has_text=operator)
        expect(row.get_by_role("link", name=task_id)).to_be_visible()
        expect(row.get_by_text("Success", exact=True)).to_be_visible()
    pages.assert_no_secrets(emulator.api_key)


def test_the_graph_shows_the_three_tasks(pages: Pages, runs: Runs, emulator: EmulatorProcess) -> None:
    page = pages.open(f"/dags/{QUICKSTART}/runs/{runs.good}", height=540)
    page.get_by_role("button", name="Show Graph").click()
    graph = page.get_by_test_id("rf__wrapper")
    for operator in TASKS.values():
        node = graph.locator(".react-flow__node").filter(has_text=operator)
        expect(node.get_by_text("success", exact=True)).to_be_visible()
    pages.picture("run", without=".react-flow__panel")
    pages.assert_no_secrets(emulator.api_key)
    page.get_by_role("button", name="Show Grid").click()


def test_the_xcoms_show_the_generation(
    pages: Pages, runs: Runs, emulator: EmulatorProcess, generation_id: str
) -> None:
    page = pages.open(task_path(QUICKSTART, runs.good, "wait", "xcom"), width=1360, height=860)

    def row(key: str) -> Locator:
        return page.get_by_role("row").filter(has=page.get_by_role("cell", name=key, exact=True))

    expect(row("return_value")).to_contain_text(generation_id)
    page.get_by_role("button", name="Expand all extra JSON").click()
    # the JSON editor shows no-break spaces
    for name, value in (("id", f'"{generation_id}"'), ("status", '"completed"'), ("credits_used", "190")):
        expect(row(MANIFEST_KEY)).to_contain_text(re.compile(rf'"{name}":\s*{value}'))
    pages.picture("xcom")
    pages.assert_no_secrets(emulator.api_key)


@pytest.mark.parametrize("task_id", TASKS)
def test_no_tab_of_a_task_shows_a_secret(
    pages: Pages, runs: Runs, emulator: EmulatorProcess, generation_id: str, task_id: str
) -> None:
    tabs = {
        "": generation_id,  # the log
        "rendered_templates": generation_id if task_id == "download" else "generation_id|prompt",
        "xcom": generation_id,
        "details": "Run ID",
    }
    if HAS_STATE_TAB:
        tabs["task-state-store"] = "Task State Store"
    for tab, sign in tabs.items():
        page = pages.open(task_path(QUICKSTART, runs.good, task_id, tab))
        expect(page.get_by_text(re.compile(sign, re.IGNORECASE)).filter(visible=True).first).to_be_visible()
        if tab == "xcom":
            page.get_by_role("button", name="Expand all extra JSON").click()
            expect(page.get_by_text(re.compile(r'"(credits_used|sha256)"')).first).to_be_visible()
        pages.assert_no_secrets(emulator.api_key)


def test_the_mapped_tasks_of_the_campaign_have_their_own_links(
    pages: Pages, airflow: LocalAirflow, runs: Runs, emulator: EmulatorProcess
) -> None:
    page = pages.open(task_path(CAMPAIGN, runs.campaign, "video.generate", "mapped"), width=1360)
    if COUNTS_MAPPED_TASKS:
        expect(page.get_by_role("heading", name=f"{CLIPS} Task Instances")).to_be_visible()
    states = page.get_by_role("row").filter(has_text="Veo3TextToVideoOperator").get_by_text("Success")
    expect(states).to_have_count(CLIPS)
    pages.assert_no_secrets(emulator.api_key)
    page = pages.open(task_path(CAMPAIGN, runs.campaign, "video.generate", "mapped/3/details"))
    link = page.get_by_role("link", name=Veo3VideosLink.name, exact=True).and_(
        page.locator("[href*='task_id=']")
    )
    expect(link).to_have_attribute(
        "href", re.compile(r"/veo3/videos\?.*task_id=video\.generate&map_index=3$")
    )


def test_the_log_of_a_rejected_task_has_the_reason(
    pages: Pages, airflow: LocalAirflow, runs: Runs, emulator: EmulatorProcess
) -> None:
    # after the pictures of the successful run, which must not show this one
    error = {"code": "INVALID_MODEL", "message": "Unknown model"}
    emulator.inject({"endpoint": "text-to-video", "kind": "status", "status": 400, "body": {"error": error}})
    run_id = airflow.api.trigger(QUICKSTART)
    ended = airflow.wait_for_runs({QUICKSTART: run_id}, timeout=600)
    assert ended == {QUICKSTART: "failed"}
    page = pages.open(task_path(QUICKSTART, run_id, "submit"))
    expect(page.get_by_text("Veo3BadRequestError", exact=False).first).to_be_visible()
    expect(page.locator("body")).to_contain_text("INVALID_MODEL")
    expect(page.locator("body")).to_contain_text("No credits were spent")
    pages.assert_no_secrets(emulator.api_key)
