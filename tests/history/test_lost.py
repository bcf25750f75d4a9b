"""Search for a lost submission in histories of every kind."""

from __future__ import annotations

import json
import random
import re
import unicodedata
from datetime import UTC, datetime
from email.utils import formatdate
from html import escape
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_veo3.api.flows import Pause
from airflow_provider_veo3.api.models import Generation, HistoryPage, Status
from airflow_provider_veo3.api.protocol import ApiRequest, ApiResponse
from airflow_provider_veo3.api.retries import Retries
from airflow_provider_veo3.history.lost import InconclusiveHistoryError, Lost, Match, find
from airflow_provider_veo3.history.pages import MAX_PAGES
from airflow_provider_veo3.history.prompts import same_prompt, sizes_of

if TYPE_CHECKING:
    from collections.abc import Callable

NOW = 1_750_000_000.0
MODEL = "veo-3.1-fast-generate-001"
PROMPT = "A majestic dragon soaring through clouds above a fantasy castle"
LOST = Lost("text-to-video", MODEL, PROMPT, NOW, NOW + 60)


def at(seconds: float) -> datetime:
    return datetime.fromtimestamp(NOW + seconds, UTC)


def task(name: str, seconds: float, prompt: str = PROMPT, **fields: Any) -> dict[str, Any]:
    created = at(seconds).isoformat().replace("+00:00", "Z")
    return {
        "taskId": name,
        "type": "text-to-video",
        "model": MODEL,
        "prompt": prompt,
        "status": "processing",
        "createdAt": created,
    } | fields


def others(count: int, first: float = -10_000) -> list[dict[str, Any]]:
    """Return older generations, from old to new."""
    return [task(f"other_{n}", first - (count - n), f"video {n}") for n in range(count)]


class History:
    """An account's history on pages."""

    def __init__(
        self,
        tasks: list[dict[str, Any]],
        *,
        fields: tuple[str, ...] = ("total", "hasMore"),
        page: int = 100,
        date: str | None = "right",
        meanwhile: Callable[[list[dict[str, Any]]], None] = lambda _: None,
    ) -> None:
        self.tasks, self._fields, self._page, self._date, self._meanwhile = (
            tasks,
            fields,
            page,
            date,
            meanwhile,
        )
        self.pages = 0
        self.says_last = self.ignores_skip = False
        self.doubtful: list[str] = []

    def find(self, lost: Lost = LOST) -> list[str]:
        flow = find(lost, "https://api.veo3gen.co", Retries())
        response: ApiResponse | None = None
        while True:
            try:
                step = flow.send(response)
            except StopIteration as done:
                self.doubtful = sorted(generation.id for generation in done.value.doubtful)
                return sorted(generation.id for generation in done.value.certain)
            assert not isinstance(step, Pause)
            response = self._respond(step)

    def _respond(self, request: ApiRequest) -> ApiResponse:
        skip, limit = int(request.query["skip"]), min(int(request.query["limit"]), self._page)
        shown = self.tasks[:limit] if self.ignores_skip else self.tasks[skip : skip + limit]
        facts = {"total": len(self.tasks), "hasMore": skip + limit < len(self.tasks) and not self.says_last}
        body = {"videos": list(shown), "pagination": {name: facts[name] for name in self._fields}}
        self.pages += 1
        self._meanwhile(self.tasks)
        headers = {"date": formatdate(NOW, usegmt=True)} if self._date == "right" else {}
        return ApiResponse(200, headers, json.dumps(body).encode(), NOW)


def shuffled(tasks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return random.Random(7).sample(tasks, len(tasks))


ORDERS = {"newest first": lambda tasks: tasks[::-1], "oldest first": list, "shuffled": shuffled}


@pytest.mark.parametrize("fields", [("total", "hasMore"), ("total",), ("hasMore",), ()], ids=str)
@pytest.mark.parametrize("page", [100, 20])
@pytest.mark.parametrize("order", ORDERS)
def test_it_is_found_in_any_order_on_any_page(order: str, page: int, fields: tuple[str, ...]) -> None:
    tasks = [
        *others(230),
        task("veo_lost", 5),
        *(task(f"later_{n}", 10 + n, f"later {n}") for n in range(130)),
    ]
    history = History(ORDERS[order](tasks), fields=fields, page=page)
    assert history.find() == ["veo_lost"]


@pytest.mark.parametrize("order", ORDERS)
def test_a_page_that_says_it_is_the_last_is_not_believed_against_the_total(order: str) -> None:
    """By an API that shortens pages and takes each short one for the last."""
    tasks = [*others(70), task("veo_lost", 5), *(task(f"later_{n}", 10 + n, f"later {n}") for n in range(60))]
    history = History(ORDERS[order](tasks), page=50)
    history.says_last = True
    assert history.find() == ["veo_lost"]


@pytest.mark.parametrize("fields", [("total", "hasMore"), ()], ids=str)
@pytest.mark.parametrize("order", ORDERS)
def test_nothing_is_found_where_nothing_is(order: str, fields: tuple[str, ...]) -> None:
    assert History(ORDERS[order](others(230)), fields=fields).find() == []
    assert History([], fields=fields).find() == []


def test_a_history_from_new_to_old_is_read_no_further_than_needed() -> None:
    history = History([task("veo_lost", 5), *others(20_000)[::-1]])
    assert history.find() == ["veo_lost"]
    assert history.pages == 1


@pytest.mark.parametrize("page", [100, 5])
def test_the_total_leads_to_the_end_of_a_long_history_from_old_to_new(page: int) -> None:
    tasks = [*others(7100), task("veo_lost", 5), *(task(f"later_{n}", 30 + n, "later") for n in range(40))]
    history = History(tasks, page=page)
    assert history.find() == ["veo_lost"]
    assert history.pages <= (4 if page == 100 else 20)


def test_pages_at_the_end_that_are_not_the_newest_lead_to_no_conclusion() -> None:
    """The first pages run from old to new by chance."""
    older = [task(f"older_{n}", n - 50_000, "older") for n in range(300)]
    tasks = [*others(150), task("veo_lost", 5), *older]
    assert History(tasks).find() == ["veo_lost"]


@pytest.mark.parametrize("fields", [("total", "hasMore"), ("hasMore",), ()], ids=str)
def test_short_pages_that_each_claim_to_be_the_last_hide_nothing(fields: tuple[str, ...]) -> None:
    tasks = [*(task(f"later_{n}", 30, "later") for n in range(23)), task("veo_lost", 5), *others(40)[::-1]]
    history = History(tasks, fields=fields, page=5)
    history.says_last = True
    assert history.find() == ["veo_lost"]


def test_a_history_that_ignores_skip_proves_nothing() -> None:
    history = History(others(230))
    history.ignores_skip = True
    with pytest.raises(InconclusiveHistoryError, match="ignores 'skip'"):
        history.find()


@pytest.mark.parametrize("order", ["shuffled"])
def test_a_history_too_long_to_be_sure_is_an_error(order: str) -> None:
    history = History(ORDERS[order]([*others(5100), task("veo_lost", 5)]))
    with pytest.raises(InconclusiveHistoryError, match="5000"):
        history.find()
    assert history.pages == MAX_PAGES


def test_acceptances_between_two_pages_hide_nothing() -> None:
    def accept_some(tasks: list[dict[str, Any]]) -> None:
        tasks[:0] = [task(f"new_{len(tasks) + n}", 20, "another") for n in range(3)]

    tasks = [*(task(f"later_{n}", 30, "later") for n in range(100)), task("veo_lost", 5), *others(150)[::-1]]
    assert History(tasks, meanwhile=accept_some).find() == ["veo_lost"]


def test_deletions_between_two_pages_hide_nothing() -> None:
    tasks = [*(task(f"later_{n}", 30, "later") for n in range(102)), task("veo_lost", 5), *others(150)[::-1]]
    assert History(tasks, meanwhile=lambda tasks: tasks.__delitem__(slice(3))).find() == ["veo_lost"]


def test_unreadable_items_hide_nothing() -> None:
    junk: list[dict[str, Any]] = [{"taskId": None}, {"prompt": PROMPT}] * 30
    tasks = [*junk, *others(100), *junk, task("veo_lost", 5), *junk]
    for fields in (("total", "hasMore"), ()):
        assert History(list(tasks), fields=fields).find() == ["veo_lost"]


def test_of_a_whole_and_a_shortened_prompt_the_whole_one_is_it() -> None:
    shorter, longer = "A dragon soaring through the clouds", "A dragon soaring through the clouds at night"
    lost = Lost("text-to-video", MODEL, longer, NOW, NOW + 60)
    tasks = [task("veo_shorter", 5, shorter), task("veo_lost", 6, longer)]
    for page in (100, 1):
        assert History(list(tasks), page=page).find(lost) == ["veo_lost"]


def page_of(*generations: Generation, skew: float | None = 0.0) -> HistoryPage:
    return HistoryPage(generations, len(generations), None, skew)


def verdict(lost: Lost, page: HistoryPage) -> bool | None:
    """Return whether the one generation of a page can be the lost one; ``None`` where that is not certain."""
    found = [match for _, match in lost.judge_page(page).values()]
    return {Match.YES: True, Match.UNSURE: None}[found[0]] if found else False


def listed(**fields: Any) -> Generation:
    known = {"type": "text-to-video", "model": MODEL, "prompt": PROMPT, "created_at": at(5)}
    return Generation("veo_x", fields.pop("status", Status.PROCESSING), **known | fields)


@pytest.mark.parametrize(
    ("fields", "may_be"),
    [
        ({}, True),
        ({"status": Status.PENDING}, True),
        ({"status": Status.COMPLETED}, True),
        ({"status": Status.FAILED}, False),
        ({"type": None}, True),
        ({"type": "TEXT_TO_VIDEO"}, True),
        ({"type": "t2v"}, True),  # a word that no page knows
        ({"type": "image-to-video"}, False),
        ({"model": None}, True),
        ({"model": "veo-3.1-fast-generate-preview"}, True),
        ({"model": "Veo 3.1 Fast"}, True),  # a name, no id
        ({"model": "veo-3.1-generate-001"}, False),
        ({"model": "veo-3.0-fast-generate-001"}, False),
        ({"prompt": None}, True),
        ({"prompt": PROMPT[:20] + "..."}, True),
        ({"prompt": "A small dragon"}, False),
        ({"created_at": None}, None),
        ({"created_at": at(-29)}, True),
        ({"created_at": at(-31)}, None),
        ({"created_at": at(-631)}, False),
        ({"created_at": at(89)}, True),
        ({"created_at": at(91)}, None),
        ({"created_at": at(691)}, False),
        ({"created_at": at(5), "created_in_zone": False}, None),
        ({"created_at": at(5 - 8 * 3600), "created_in_zone": False}, None),
        ({"created_at": at(5 - 24 * 3600), "created_in_zone": False}, False),
        (dict.fromkeys(("type", "model", "prompt", "created_at")), None),
    ],
    ids=str,
)
def test_what_speaks_against_a_candidate(fields: dict[str, Any], may_be: bool | None) -> None:
    assert verdict(LOST, page_of(listed(**fields))) is may_be


@pytest.mark.parametrize(
    ("hours", "in_id", "may_be"),
    [
        (8, 5, True),  # local time, and the moment itself in the id
        (-9.5, 5, True),
        (0, 5, True),
        (8, -8 * 3600, False),  # eight hours ago, told in local time
        (8, 5 + 400, None),  # two different moments: nothing is certain
    ],
)
def test_an_id_tells_the_zone_of_a_time_without_one(hours: float, in_id: float, may_be: bool | None) -> None:
    created = at((5 if in_id > 0 else in_id) + hours * 3600)
    generation = Generation(
        f"veo_{round((NOW + in_id) * 1000)}_abc123def",
        Status.PROCESSING,
        prompt=PROMPT,
        created_at=created,
        created_in_zone=False,
    )
    assert verdict(LOST, page_of(generation)) is may_be


def test_no_page_shows_how_a_generation_from_two_images_is_listed() -> None:
    lost = Lost("first-last-frame", MODEL, PROMPT, NOW, NOW + 60)
    for name, may_be in {
        "first-last-frame": True,
        "first_last_frame": True,
        "image-to-video": True,
        "text-to-video": False,
    }.items():
        assert verdict(lost, page_of(listed(type=name))) is may_be


@pytest.mark.parametrize(
    ("skew", "created", "may_be"),
    [
        (3600.0, 3605, True),  # the API's clock is an hour ahead
        (3600.0, 5, False),
        (-3600.0, -3595, True),
        (-3600.0, 5, False),
        (None, -115, True),  # it gives no time: two minutes are allowed
        (None, -125, None),
        (None, -725, False),
        (None, 175, True),
        (None, 185, None),
        (None, 785, False),
    ],
)
def test_the_api_s_clock_may_differ(skew: float | None, created: float, may_be: bool | None) -> None:
    page = page_of(listed(created_at=at(created)), skew=skew)
    assert verdict(LOST, page) is may_be


def test_a_wrong_clock_stops_no_reading_too_early() -> None:
    tasks = [*(task(f"later_{n}", 300 - n, "later") for n in range(100)), task("veo_lost", 115)]
    history = History(tasks, date=None)
    assert history.find() == ["veo_lost"]
    assert history.pages == 2


@pytest.mark.parametrize(
    ("prompt", "contradicts"),
    [
        (None, False),
        (PROMPT, False),
        (PROMPT[:30] + "...", False),
        (PROMPT[:30], False),  # cut without a mark
        ("A majestic dragon soaring over the sea", True),
        ("A majestic cat...", True),
        (PROMPT + " at night", True),
    ],
)
def test_a_status_can_contradict_a_shortened_listing(prompt: str | None, contradicts: bool) -> None:
    assert LOST.contradicts(listed(prompt=prompt)) is contradicts
    assert LOST.has_whole_prompt(listed(prompt=prompt)) is (prompt == PROMPT)


@pytest.mark.parametrize(
    ("sent", "shown", "longest", "same"),
    [
        (PROMPT, PROMPT, 500, True),
        (PROMPT, f"  {PROMPT}\n", 500, True),
        (PROMPT.replace(" ", "\n\t"), PROMPT, 500, True),
        (PROMPT, PROMPT[:20] + "...", 500, True),
        (PROMPT, PROMPT[:20] + "…", 500, True),
        (PROMPT, PROMPT[:20] + " ...", 500, True),
        (PROMPT, PROMPT[:40], 40, True),  # cut without a mark, as the longest on the page are
        (PROMPT, PROMPT[:40], 41, False),
        (PROMPT, PROMPT[:10], 10, False),
        (PROMPT, "...", 500, False),
        ("...", "...", 500, True),
        ("and then...", "and then...", 500, True),
        ("and then... more", "and then...", 500, True),
        (PROMPT, "A minor dragon...", 500, False),
        (PROMPT, PROMPT + " at night", 500, False),
        (PROMPT, PROMPT.upper(), 500, False),
        ("x", "", 500, False),
    ],
)
def test_same_prompt(sent: str, shown: str, longest: int, same: bool) -> None:
    assert same_prompt(sent, shown, sizes_of(["x" * longest])) is same


CAFE = 'In the "Café ½" Tom & Léa dance \U0001f57a\U0001f3fd\u200d\u2642\ufe0f\tuntil\x00 the sun <rises>'


@pytest.mark.parametrize("form", ["NFC", "NFD", "NFKC", "NFKD"])
@pytest.mark.parametrize("escaped", [str, escape])
def test_a_prompt_is_known_in_the_form_it_was_kept_in(form: Any, escaped: Callable[[str], str]) -> None:
    shown = escaped(unicodedata.normalize(form, CAFE)).replace("\x00", "").replace("\u200d", "")
    assert same_prompt(CAFE, shown, sizes_of(["x" * 500]))
    assert not same_prompt(CAFE.replace("Tom", "Tim"), shown, sizes_of(["x" * 500]))


# how JavaScript, Go and Python cut a text, whose length each counts in another unit
CUTS: dict[str, Callable[[str, int], str]] = {
    "UTF-16": lambda text, end: text.encode("utf-16-le")[: 2 * end].decode("utf-16-le", "surrogatepass"),
    "UTF-8": lambda text, end: text.encode()[:end].decode("utf-8", "replace"),
    "UTF-8, each byte": lambda text, end: re.sub(
        "[\udc80-\udcff]", "\ufffd", text.encode()[:end].decode("utf-8", "surrogateescape")
    ),
    "characters": lambda text, end: text[:end],
}


@pytest.mark.parametrize("end", range(24, 60))
@pytest.mark.parametrize("mark", ["...", "…", ""])
@pytest.mark.parametrize("cut", CUTS)
def test_a_prompt_is_known_wherever_it_was_cut(cut: str, mark: str, end: int) -> None:
    prompt = "A dancer \U0001f57a\U0001f57a in the Café Zürich öffnet \U0001f6aa die Tür & geht in den Regen"
    plain = "A horse gallops along the beach while the sun goes down behind the hills of the island"
    tasks = [
        task("veo_lost", 5, CUTS[cut](prompt, end) + mark),
        task("veo_other", 6, CUTS[cut](plain, end) + mark),
    ]
    for sent, found in ((prompt, "veo_lost"), (plain, "veo_other")):
        assert History(tasks).find(Lost("text-to-video", MODEL, sent, NOW, NOW + 60)) == [found]


def test_a_prompt_is_known_although_a_character_that_is_escaped_was_cut() -> None:
    sent = 'She says "hello" and walks away'
    for end in range(5, len(escape(sent))):
        assert same_prompt(sent, escape(sent)[:end] + "...", sizes_of(["x" * 500]))


@pytest.mark.parametrize("listed", ["An advert for H&M", "An advert for H&", "An advert for H&more"])
@pytest.mark.parametrize("sent", ["An advert for Hugo", "An advert for H1", "An advert for H"])
def test_an_ampersand_that_a_prompt_has_of_its_own_is_no_cut(sent: str, listed: str) -> None:
    """The prompt is listed whole, as the longest of its page."""
    assert not same_prompt(sent, listed, sizes_of([listed]))
