"""Pages of Airflow's user interface: their paths, waiting for them, and pictures of them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from playwright.sync_api import expect

from tests.support.airflow_versions import AIRFLOW

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import BrowserContext, Locator, Page

QUICKSTART = "example_veo3_quickstart"
CAMPAIGN = "example_veo3_campaign"

# What differs between the pages of Airflow's versions.
HAS_STATE_TAB = AIRFLOW >= (3, 3)
"""Whether a task has a tab with its state store."""
COUNTS_MAPPED_TASKS = AIRFLOW != (3, 2)
"""Whether a heading says how many mapped tasks there are."""
FOLDS_EXTRAS = AIRFLOW < (3, 4)
"""Whether the form of a connection shows our fields only after a click."""
KEEPS_TYPED_NUMBERS = AIRFLOW >= (3, 2)
"""Whether a number typed into that form is stored as a number; else it is text."""
KEEPS_ADDRESS = AIRFLOW >= (3, 3)
"""Whether the browser's address follows that of a plugin's page."""
LINKS_OPEN = {(3, 1): "new tab", (3, 2): "same tab"}.get(AIRFLOW, "frame")
"""Where the link of a task leads to: the page by itself, or in a frame of Airflow's."""

SIGNATURE = re.compile(r"X-Goog-Signature|Signature=|%26Signature|Expires=", re.IGNORECASE)
LOADING = ".chakra-spinner, .chakra-skeleton, [data-part=skeleton], .chakra-progress"
MAX_PICTURE_SIZE = 200_000

NOTIFICATIONS = """
window.seenNotifications = [];
new MutationObserver(() => {
    for (const {innerText} of document.querySelectorAll("[role=status]"))
        if (!seenNotifications.includes(innerText)) seenNotifications.push(innerText);
}).observe(document, {subtree: true, childList: true, characterData: true});
"""
"""Script that records a page's notifications, which soon disappear."""


@dataclass(frozen=True)
class Runs:
    """Ids of the DAG runs under test.

    :param good: a run of the quickstart.
    :param campaign: a run of the campaign.
    """

    good: str
    campaign: str


class Pages:
    """Browser page that can sign in to Airflow.

    :param context: cookies and settings of the browser.
    :param pictures: folder for pictures; ``None`` to take none.
    """

    def __init__(self, context: BrowserContext, pictures: Path | None) -> None:
        self.page: Page = context.new_page()
        self.pictures = pictures

    def sign_in(self, user: str, password: str) -> None:
        """Sign in with the form."""
        self.page.goto("/")
        self.page.get_by_label("Username").fill(user)
        self.page.get_by_label("Password").fill(password)
        self.page.get_by_role("button", name="Sign in").click()
        expect(self.page.get_by_role("button", name="Admin")).to_be_visible()

    def open(self, path: str, *, width: int = 1280, height: int = 800) -> Page:
        """Go to a page, without waiting for its content."""
        self.page.set_viewport_size({"width": width, "height": height})
        self.page.goto(path)
        return self.page

    def expect_notification(self, title: str, pattern: str) -> None:
        """Wait until a notification has appeared whose text contains the title and matches the pattern."""
        matches = "text.includes(title) && new RegExp(pattern).test(text)"
        script = f"([title, pattern]) => seenNotifications.some(text => {matches})"
        self.page.wait_for_function(script, arg=[title, pattern])

    def settle(self) -> None:
        """Wait until the page has loaded completely."""
        expect(self.page.locator(LOADING)).to_have_count(0)
        self.page.evaluate("document.fonts.ready")

    def picture(
        self,
        name: str,
        part: Locator | None = None,
        *,
        without: str | None = None,
        colours: int | None = None,
    ) -> None:
        """Write a picture of the page or a part of it.

        :param without: selector of elements that are hidden.
        :param colours: number of colours that the picture is reduced to, where it contains photographs.
        """
        if self.pictures is None:
            return
        self.settle()
        self.page.mouse.move(0, 0)  # away from elements with a tooltip
        expect(self.page.get_by_role("tooltip")).to_have_count(0)
        path = self.pictures / f"ui-{name}.png"
        # no style without a need, nor one that hides the caret: a page may refuse styles that are not its own
        style = without and f"{without} {{display: none}}"
        (part or self.page).screenshot(path=path, animations="disabled", caret="initial", style=style)
        if colours is not None:
            from PIL import Image

            with Image.open(path) as whole:
                reduced = whole.convert("RGB").quantize(colours)
            reduced.save(path, optimize=True)
        assert path.stat().st_size <= MAX_PICTURE_SIZE, f"{path.name} is too large"

    def assert_no_secrets(self, *keys: str) -> None:
        """Assert that the page contains neither these keys nor a signed link, visible or not."""
        self.settle()
        for text in (self.page.content(), self.page.locator("body").inner_text()):
            assert [key for key in keys if key in text] == []
            assert SIGNATURE.search(text) is None


def task_path(dag_id: str, run_id: str, task_id: str, tab: str = "") -> str:
    """Return the path of a task's page, or of one of its tabs."""
    return f"/dags/{dag_id}/runs/{run_id}/tasks/{task_id}" + (f"/{tab}" if tab else "")
