"""The Videos page: opened, played, searched and filtered in a browser, as a tab and through a task's link."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import FrameLocator, Locator, Page, expect

from airflow_provider_veo3.links import Veo3VideosLink
from tests.support.airflow_pages import (
    CAMPAIGN,
    KEEPS_ADDRESS,
    LINKS_OPEN,
    QUICKSTART,
    Pages,
    Runs,
    task_path,
)
from tests.support.until import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import ConsoleMessage, Route

    from testbed.emulator import EmulatorProcess
    from testbed.local_airflow import LocalAirflow

pytestmark = pytest.mark.timeout(3600)  # with the start of Airflow; a busy machine is no failure

CLIPS = 6
PLAY = "video => { video.muted = true; return video.play(); }"
SEEK = """
(video, seconds) => new Promise((done) => {
    video.addEventListener("seeked", () => done(video.currentTime), {once: true});
    video.currentTime = seconds;
})
"""
EVIL = '<img src=x onerror="window.top.stolen = 1"><script>window.top.stolen = 2</script> A fox in disguise'


@pytest.fixture(autouse=True)
def _nothing_blocked(pages: Pages) -> Iterator[None]:
    """No script of the page fails, and the content security policy has nothing to block."""
    errors: list[str] = []

    def keep(message: ConsoleMessage) -> None:
        if message.type == "error" and (
            "Content Security Policy" in message.text or "/veo3/" in message.text
        ):
            errors.append(message.text)

    pages.page.on("console", keep)
    pages.page.on("pageerror", lambda error: errors.append(str(error)))
    yield
    pages.page.remove_listener("console", keep)
    assert errors == []


@pytest.fixture(scope="module")
def shown(runs: Runs) -> Runs:
    return runs


def videos_page(pages: Pages, *, width: int = 1280, height: int = 800) -> FrameLocator:
    """Open the page through the menu, as a person does."""
    page = pages.open("/", width=width, height=height)
    page.get_by_role("button", name="Browse").click()
    page.get_by_role("menuitem", name="VEO3 videos").click()
    return page.frame_locator("iframe")


def ending(path: str) -> re.Pattern[str]:
    return re.compile(f"{re.escape(path)}$")


def cards(frame: FrameLocator | Page) -> Locator:
    return frame.get_by_role("article")


def test_the_page_shows_every_video_newest_first(
    pages: Pages, airflow: LocalAirflow, shown: Runs, emulator: EmulatorProcess
) -> None:
    frame = videos_page(pages, width=1440, height=900)
    expect(cards(frame)).to_have_count(CLIPS + 1)
    ids = [airflow.api.xcom(CAMPAIGN, shown.campaign, "video.generate", map_index=n) for n in range(CLIPS)]
    ids.append(airflow.api.xcom(QUICKSTART, shown.good, "submit"))
    for generation_id in ids:
        card = frame.get_by_role("article", name=f"Generation {generation_id}")
        expect(card).to_contain_text("veo-3.1-fast-generate-001")
        expect(card).to_contain_text("190 credits")
        expect(card).to_contain_text(f"{generation_id}_0.mp4")
        expect(card).to_contain_text("stored")
    ages = frame.locator(".facts time").evaluate_all("times => times.map(time => time.dateTime)")
    assert ages == sorted(ages, reverse=True)
    for video in frame.locator("video").all():
        video.scroll_into_view_if_needed()
        expect(video).to_have_js_property("readyState", 4)
    frame.locator("h1").scroll_into_view_if_needed()
    pages.picture("videos", colours=256)
    pages.assert_no_secrets(emulator.api_key)


def test_a_video_plays_and_seeks(pages: Pages, shown: Runs) -> None:
    video = videos_page(pages).locator("video").first
    expect(video).to_have_js_property("paused", value=True)
    video.evaluate(PLAY)
    pages.page.wait_for_function(
        "() => document.querySelector('iframe').contentDocument.querySelector('video').currentTime > 0.3"
    )
    assert video.evaluate("video => video.duration") >= 4
    assert video.evaluate(SEEK, 3.5) == pytest.approx(3.5, abs=0.1)
    assert video.evaluate(SEEK, 0.5) == pytest.approx(0.5, abs=0.1)
    assert video.evaluate("video => video.videoWidth") > 0


def test_one_video_plays_at_a_time(pages: Pages, shown: Runs) -> None:
    videos = videos_page(pages).locator("video")
    videos.nth(0).evaluate(PLAY)
    videos.nth(1).evaluate(PLAY)
    expect(videos.nth(0)).to_have_js_property("paused", value=True)
    expect(videos.nth(1)).to_have_js_property("paused", value=False)


def test_the_filter_is_in_the_address(pages: Pages, shown: Runs) -> None:
    frame = videos_page(pages)
    frame.get_by_label("Words of the prompt, or an id").fill("Fox SNOW")
    frame.get_by_label("Status").select_option("stored")
    frame.get_by_role("button", name="Filter").click()
    expect(cards(frame)).to_have_count(1)
    expect(cards(frame)).to_contain_text("red fox")
    address = frame.locator("body").evaluate("() => location.search")
    assert address == "?status=stored&words=Fox+SNOW"
    if KEEPS_ADDRESS:
        expect(pages.page).to_have_url(ending("/plugin/veo3-videos/veo3/videos" + address))
        pages.page.reload()
        expect(cards(frame)).to_have_count(1)
        expect(frame.get_by_label("Words of the prompt, or an id")).to_have_value("Fox SNOW")
    frame.get_by_role("link", name="Clear").click()
    expect(cards(frame)).to_have_count(CLIPS + 1)
    frame.get_by_label("DAG").fill(CAMPAIGN)
    frame.get_by_label("DAG").press("Enter")
    expect(cards(frame)).to_have_count(CLIPS)
    frame.get_by_label("Words of the prompt, or an id").fill("zebra")
    frame.get_by_role("button", name="Filter").click()
    expect(frame.get_by_text("No video fits the filter.")).to_be_visible()
    frame.get_by_role("link", name="Clear it").click()
    expect(cards(frame)).to_have_count(CLIPS + 1)


def test_links_lead_to_the_pages_of_airflow(pages: Pages, shown: Runs) -> None:
    for name, path in (
        (CAMPAIGN, f"/dags/{CAMPAIGN}"),
        (shown.campaign, f"/dags/{CAMPAIGN}/runs/{shown.campaign}"),
        ("video.generate [3]", f"/dags/{CAMPAIGN}/runs/{shown.campaign}/tasks/video.generate/mapped/3"),
    ):
        frame = videos_page(pages)
        frame.get_by_role("link", name=name, exact=True).first.click()
        expect(pages.page).to_have_url(ending(path))


def test_the_tab_of_a_run_shows_its_videos_only(pages: Pages, airflow: LocalAirflow, shown: Runs) -> None:
    page = pages.open(f"/dags/{CAMPAIGN}/runs/{shown.campaign}", width=1440, height=900)
    page.get_by_role("link", name="Videos", exact=True).click()
    frame = page.frame_locator("iframe")
    expect(cards(frame)).to_have_count(CLIPS)
    expect(frame.get_by_label("DAG", exact=True)).to_be_hidden()
    for video in frame.locator("video").all():
        video.scroll_into_view_if_needed()
        expect(video).to_have_js_property("readyState", 4)
    frame.locator("#status").scroll_into_view_if_needed()
    pages.picture("videos-run", colours=256)
    frame.get_by_label("Words of the prompt, or an id").fill("espresso")
    frame.get_by_role("button", name="Filter").click()
    expect(cards(frame)).to_have_count(1)
    frame.get_by_role("link", name="Clear").click()
    expect(cards(frame)).to_have_count(CLIPS)


def test_the_tab_of_a_run_whose_id_has_a_plus(pages: Pages, airflow: LocalAirflow, shown: Runs) -> None:
    run_id = airflow.api.trigger(QUICKSTART, run_id="manual__2026-01-01T00:00:00+00:00")
    airflow.wait_for_runs({QUICKSTART: run_id}, timeout=600)
    page = pages.open(f"/dags/{QUICKSTART}/runs/{run_id}")
    page.get_by_role("link", name="Videos", exact=True).click()
    card = cards(page.frame_locator("iframe"))
    expect(card).to_have_count(1)
    expect(card).to_contain_text(run_id)


@pytest.mark.parametrize("task_id", ["submit", "wait", "download"])
def test_the_link_of_a_task_leads_to_its_videos(
    pages: Pages, airflow: LocalAirflow, shown: Runs, emulator: EmulatorProcess, task_id: str
) -> None:
    page = pages.open(task_path(QUICKSTART, shown.good, task_id, "details"), height=434)
    link = page.get_by_role("link", name=Veo3VideosLink.name, exact=True).and_(
        page.locator("[href*='task_id=']")
    )
    expect(link).to_be_visible()
    if task_id == "submit":
        pages.picture("link")
    shown_in: Any = page
    if LINKS_OPEN == "new tab":
        with page.context.expect_page() as opened:
            link.click()
        shown_in = opened.value
    else:
        link.click()
        if LINKS_OPEN == "frame":
            shown_in = page.frame_locator("iframe")
    found = cards(shown_in)
    expect(found).to_have_count(1)
    generation_id = airflow.api.xcom(QUICKSTART, shown.good, "submit")
    expect(found).to_contain_text(generation_id)
    video = shown_in.locator("video")
    video.evaluate(PLAY)
    expect(video).to_have_js_property("readyState", 4)
    pages.assert_no_secrets(emulator.api_key)
    if LINKS_OPEN == "new tab":
        shown_in.close()


def test_what_is_being_made_is_followed_without_a_reload(
    pages: Pages, airflow: LocalAirflow, shown: Runs, emulator: EmulatorProcess
) -> None:
    usual = emulator.options["processing_seconds"]
    emulator.configure(processing_seconds=3600)
    try:
        # a model of which nothing is known here but the vendor's published time
        snail = {"prompt": "A snail crosses a wide road.", "model": "veo-3.1-lite-generate-001"}
        run_id = airflow.api.trigger(QUICKSTART, snail, run_id="slow")
        frame = videos_page(pages, height=900)
        flying = frame.get_by_role("region", name="In flight")
        expect(flying).to_contain_text("A snail crosses a wide road.")
    finally:
        emulator.configure(processing_seconds=usual)
    expect(flying.get_by_role("progressbar")).to_be_visible()
    elapsed = flying.locator(".elapsed")
    expect(elapsed).to_have_text(re.compile(r"^\d+ (s|min)( of about|, longer than the usual) 45 s$"))
    expect(elapsed).not_to_have_text(elapsed.inner_text())
    pages.picture("videos-in-flight", frame.locator("#in-flight"))
    emulator.complete(airflow.api.xcom(QUICKSTART, run_id, "submit"))
    expect(cards(frame).filter(has_text="A snail crosses a wide road.")).to_be_visible()
    expect(flying).to_be_hidden()
    airflow.wait_for_runs({QUICKSTART: run_id}, timeout=600)


def test_a_paid_video_that_is_not_stored_is_at_risk(pages: Pages, airflow: LocalAirflow, shown: Runs) -> None:
    run_id = airflow.api.trigger(
        QUICKSTART, {"prompt": "A lost letter.", "destination": "file:///proc/nowhere"}, run_id="unstored"
    )

    def has_failed_once() -> bool | None:
        tasks = {task["task_id"]: task["state"] for task in airflow.api.task_instances(QUICKSTART, run_id)}
        return tasks["download"] == "up_for_retry" or None

    until("the download has failed", has_failed_once)
    airflow.api.fail_run(QUICKSTART, run_id)
    assert airflow.wait_for_runs({QUICKSTART: run_id}, timeout=600) == {QUICKSTART: "failed"}
    frame = videos_page(pages, height=900)
    risky = frame.get_by_role("region", name="At risk")
    row = risky.get_by_role("listitem").filter(has_text="A lost letter.")
    expect(row).to_contain_text(re.compile(r"Links end in (24 h 0|23 h 5\d) min"))
    expect(row).to_contain_text("190 credits")
    card = cards(frame).filter(has_text="A lost letter.")
    expect(card).to_contain_text(re.compile(r"Not stored\. The vendor's links end in (24 h 0|23 h 5\d) min"))
    expect(card.locator("video")).to_have_count(0)
    pages.picture("videos-at-risk", frame.locator("#at-risk"))
    row.get_by_role("link", name="download", exact=True).click()
    expect(pages.page).to_have_url(ending(task_path(QUICKSTART, run_id, "download")))


def test_a_failed_generation_is_refunded(
    pages: Pages, airflow: LocalAirflow, shown: Runs, emulator: EmulatorProcess
) -> None:
    emulator.inject({"kind": "fail_generation", "prompt_contains": "unlucky"})
    run_id = airflow.api.trigger(QUICKSTART, {"prompt": "An unlucky black cat."}, run_id="unlucky")
    assert airflow.wait_for_runs({QUICKSTART: run_id}, timeout=600) == {QUICKSTART: "failed"}
    emulator.clear_faults()
    frame = videos_page(pages)
    card = cards(frame).filter(has_text="An unlucky black cat.")
    expect(card).to_contain_text("failed, refunded")
    expect(card).to_contain_text("The generation failed; the vendor refunds its credits.")


def test_credits_as_chart_table_and_file(
    pages: Pages, airflow: LocalAirflow, shown: Runs, emulator: EmulatorProcess, tmp_path: Path
) -> None:
    ledger = emulator.ledger()["tasks"]
    frame = videos_page(pages, width=1100, height=900)
    frame.locator("#spend summary").click()
    table = frame.get_by_role("table", name="Credits by DAG and model")
    of_campaign = table.get_by_role("row").filter(has_text=CAMPAIGN)
    expect(of_campaign).to_contain_text("1,140")
    expect(frame.get_by_role("img", name="Credits by day")).to_be_visible()
    total = table.get_by_role("row").filter(has_text="All")
    refunded = sum(task["refunded"] for task in ledger)
    assert refunded > 0
    cells = total.get_by_role("cell").all_inner_texts()[-3:]
    assert [int(cell.replace(",", "")) for cell in cells] == [
        len(ledger),
        sum(task["charged"] for task in ledger) - refunded,
        refunded,
    ]
    pages.picture("videos-credits", frame.locator("#spend"))
    with pages.page.expect_download() as download:
        frame.get_by_role("link", name="Download as CSV").click()
    download.value.save_as(tmp_path / "credits.csv")
    with (tmp_path / "credits.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["dag_id"] for row in rows} == {CAMPAIGN, QUICKSTART}
    assert sum(int(row["generations"]) for row in rows) == len(ledger)


def test_a_prompt_is_shown_as_text_whatever_it_says(pages: Pages, airflow: LocalAirflow, shown: Runs) -> None:
    run_id = airflow.api.trigger(QUICKSTART, {"prompt": EVIL}, run_id="evil")
    airflow.wait_for_runs({QUICKSTART: run_id}, timeout=600)
    frame = videos_page(pages)
    card = cards(frame).filter(has_text="A fox in disguise")
    expect(card.locator(".prompt")).to_have_text(EVIL)
    expect(card.locator("img, script")).to_have_count(0)
    assert pages.page.evaluate("window.stolen") is None


def test_light_and_dark_as_airflow(pages: Pages, shown: Runs) -> None:
    frame = videos_page(pages, width=1440, height=900)
    expect(cards(frame).first).to_be_visible()
    root = frame.locator("html")
    expect(root).to_have_attribute("data-theme", "light")
    pages.page.evaluate("document.documentElement.classList.replace('light', 'dark')")
    expect(root).to_have_attribute("data-theme", "dark")
    dark = frame.locator("body").evaluate("body => getComputedStyle(body).backgroundColor")
    assert sum(int(part) for part in dark[4:-1].split(",")) < 150
    pages.page.evaluate("document.documentElement.classList.replace('dark', 'light')")
    expect(root).to_have_attribute("data-theme", "light")


def test_everything_is_reached_with_the_keyboard(pages: Pages, shown: Runs) -> None:
    frame = videos_page(pages)
    expect(cards(frame).first).to_be_visible()
    frame.get_by_label("DAG").focus()
    reached: list[str] = []
    for _ in range(40):
        reached.append(
            frame.locator("body").evaluate(
                "() => { const on = document.activeElement; return on.name || on.id || on.localName; }"
            )
        )
        pages.page.keyboard.press("Tab")
    order = [
        "dag_id",
        "run_id",
        "task_id",
        "status",
        "model",
        "since",
        "until",
        "words",
        "button",
        "clear",
        "video",
    ]
    places = [reached.index(name) for name in order]
    assert places == sorted(places)


def test_the_page_says_how_to_play_videos_when_no_location_is_configured(pages: Pages, shown: Runs) -> None:
    def without_locations(route: Route) -> None:
        response = route.fetch()
        found = response.json()
        found["has_locations"] = False
        for card in found["videos"]:
            for file in card["files"]:
                file["plays"] = False
        route.fulfill(response=response, body=json.dumps(found))

    pages.page.route("**/veo3/api/videos*", without_locations)
    try:
        frame = videos_page(pages)
        notice = frame.get_by_role("region", name="Notices")
        expect(notice).to_contain_text("AIRFLOW__VEO3__GALLERY_LOCATIONS='file:///")
        expect(frame.locator("video")).to_have_count(0)
        expect(cards(frame).first).to_contain_text("Stored; no location is played here yet.")
    finally:
        pages.page.unroute("**/veo3/api/videos*")


def test_a_file_that_is_gone_is_told(pages: Pages, airflow: LocalAirflow, shown: Runs) -> None:
    run_id = airflow.api.trigger(QUICKSTART, {"prompt": "A vanishing trick."}, run_id="vanished")
    airflow.wait_for_runs({QUICKSTART: run_id}, timeout=600)
    (stored,) = airflow.api.xcom(QUICKSTART, run_id, "download")
    Path(stored["uri"].removeprefix("file://")).unlink()
    frame = videos_page(pages)
    card = cards(frame).filter(has_text="A vanishing trick.")
    card.scroll_into_view_if_needed()
    expect(card).to_contain_text("The file is no longer where it was stored.")
