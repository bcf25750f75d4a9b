"""``python docs/check_site.py FOLDER``: links in a built site lead somewhere, and nothing comes from afar."""

from __future__ import annotations

import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

LOADED = {"script": "src", "img": "src", "link": "href", "iframe": "src", "source": "src", "object": "data"}
"""What a browser fetches by itself, and the attribute that says from where."""


class Html(HTMLParser):
    """What one page defines and refers to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note ids, links, and what is loaded."""
        given = {name: value or "" for name, value in attrs}
        self.anchors.update(given[name] for name in ("id", "name") if name in given)
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        if (
            tag in LOADED
            and LOADED[tag] in given
            and given.get("rel") not in ("index", "search", "canonical")
        ):
            self.loaded.append(given[LOADED[tag]])


def check(site: Path) -> list[str]:
    """Return what is wrong with a site, one line each."""
    pages = {path: Html(path.read_text(encoding="utf-8")) for path in sorted(site.rglob("*.html"))}
    wrong = [] if pages else [f"{site} holds no page"]
    for path, page in pages.items():
        shown = path.relative_to(site)
        wrong += [f"{shown} loads {url}" for url in page.loaded if urlsplit(url).netloc]
        local = [
            url for url in page.loaded + page.links if not urlsplit(url).scheme and not urlsplit(url).netloc
        ]
        for url in local:
            parts = urlsplit(url)
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path.resolve()
            if not target.exists():
                wrong.append(f"{shown} links to {url}, which is not there")
            anchors = next((found.anchors for at, found in pages.items() if at.resolve() == target), None)
            if parts.fragment and anchors is not None and unquote(parts.fragment) not in anchors:
                wrong.append(f"{shown} links to {url}, which has no such anchor")
    return wrong


def main() -> int:
    """Check the site named on the command line."""
    wrong = check(Path(sys.argv[1]))
    sys.stderr.writelines(f"{line}\n" for line in wrong)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
