"""Check of a built site: links have targets, and pages load nothing from other hosts.

Usage: ``python docs/check_site.py FOLDER``.
"""

from __future__ import annotations

import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

LOADED = {"script": "src", "img": "src", "link": "href", "iframe": "src", "source": "src", "object": "data"}
"""Elements that a browser loads by itself, and the attribute with the address of each."""


class Html(HTMLParser):
    """Anchors, links and loaded addresses of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Collect ids, links and loaded addresses."""
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
    """Return the errors of a site, a line for each."""
    pages = {path: Html(path.read_text(encoding="utf-8")) for path in sorted(site.rglob("*.html"))}
    errors = [] if pages else [f"{site} has no page"]
    for path, page in pages.items():
        shown = path.relative_to(site)
        errors += [f"{shown} loads {url}" for url in page.loaded if urlsplit(url).netloc]
        local = [
            url for url in page.loaded + page.links if not urlsplit(url).scheme and not urlsplit(url).netloc
        ]
        for url in local:
            parts = urlsplit(url)
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path.resolve()
            if not target.exists():
                errors.append(f"{shown} links to {url}, which does not exist")
            anchors = next((found.anchors for at, found in pages.items() if at.resolve() == target), None)
            if parts.fragment and anchors is not None and unquote(parts.fragment) not in anchors:
                errors.append(f"{shown} links to {url}, which has no such anchor")
    return errors


def main() -> int:
    """Check the site named on the command line."""
    errors = check(Path(sys.argv[1]))
    sys.stderr.writelines(f"{line}\n" for line in errors)
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
