"""Airflow's user interface: where its pages are, how to wait for them, and pictures of them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from playwright.sync_api import expect

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import BrowserContext, Locator, Page

QUICKSTART = "example_veo3_quickstart"
CAMPAIGN = "example_veo3_campaign"

SIGNATURE = re.compile(r"X-Goog-Signature|Signature=|%26Signature|Expires=", re.IGNORECASE)
LOADING = ".chakra-spinner, .chakra-skeleton, [data-part=skeleton], .chakra-progress"
LARGEST = 200_000

SAID = """
window.said = [];
new MutationObserver(() => {
    for (const {innerText} of document.querySelectorAll("[role=status]"))
        if (!said.includes(innerText)) said.push(innerText);
}).observe(document, {subtree: true, childList: true, characterData: true});
"""
"""Keeps what Airflow says at the edge of a page, where it stays for a few seconds only."""


@dataclass(frozen=True)
class Runs:
    """The ids of the runs that the tests look at."""

    good: str
    campaign: str


class Pages:
    """A signed-in browser.

    :param context: cookies and settings of the browser.
    :param pictures: the folder for pictures, ``None`` for none.
    """

    def __init__(self, context: BrowserContext, pictures: Path | None) -> None:
        self.page: Page = context.new_page()
        self.pictures = pictures

    def sign_in(self, user: str, password: str) -> None:
        """Sign in as a person does."""
        self.page.goto("/")
        self.page.get_by_label("Username").fill(user)
        self.page.get_by_label("Password").fill(password)
        self.page.get_by_role("button", name="Sign in").click()
        expect(self.page.get_by_role("button", name="Admin")).to_be_visible()

    def open(self, path: str, *, width: int = 1280, height: int = 800) -> Page:
        """Go to a page; what is expected of it is for the caller to wait for."""
        self.page.set_viewport_size({"width": width, "height": height})
        self.page.goto(path)
        return self.page

    def await_said(self, title: str, words: str) -> None:
        """Wait until something has been said at the edge of the page: a title, and words of a pattern."""
        fits = "text.includes(title) && new RegExp(words).test(text)"
        self.page.wait_for_function(f"([title, words]) => said.some(text => {fits})", arg=[title, words])

    def settle(self) -> None:
        """Wait until nothing on the page is still being loaded."""
        expect(self.page.locator(LOADING)).to_have_count(0)
        self.page.evaluate("document.fonts.ready")

    def picture(self, name: str, part: Locator | None = None, *, without: str = ":not(*)") -> None:
        """Keep a picture of the page, or of a part of it, where pictures are wanted.

        :param without: what of it is left out, as a selector.
        """
        if self.pictures is None:
            return
        self.settle()
        self.page.mouse.move(0, 0)  # away from whatever shows a tip
        expect(self.page.get_by_role("tooltip")).to_have_count(0)
        path = self.pictures / f"ui-{name}.png"
        (part or self.page).screenshot(path=path, animations="disabled", style=f"{without} {{display: none}}")
        assert path.stat().st_size <= LARGEST, f"{path.name} is too large"

    def nothing_secret(self, *keys: str) -> None:
        """Neither a key nor a signed link is in the page, be it seen or not."""
        self.settle()
        for text in (self.page.content(), self.page.locator("body").inner_text()):
            assert [key for key in keys if key in text] == []
            assert SIGNATURE.search(text) is None


def task_path(dag_id: str, run_id: str, task_id: str, tab: str = "") -> str:
    """Return where a task of a run is shown."""
    return f"/dags/{dag_id}/runs/{run_id}/tasks/{task_id}" + (f"/{tab}" if tab else "")
