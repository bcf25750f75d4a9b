"""Contents of the Videos page: cards, generations in flight and at risk, and what they cost."""

from __future__ import annotations

import statistics
import threading
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Final

from airflow_provider_veo3.plugins.cards import LINK_LIFETIME, Role, Status, merge
from airflow_provider_veo3.plugins.source import DEFAULT_LIMITS, Limits, Position, Scope, Source
from airflow_provider_veo3.plugins.spend import Spend

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from contextlib import AbstractContextManager

    from sqlalchemy.orm import Session

    from airflow_provider_veo3.plugins.cards import Card, Row
    from airflow_provider_veo3.plugins.source import StoringTask

SPAN: Final = LINK_LIFETIME + timedelta(hours=2)
"""Longest time between the tasks that generate, wait for and store a video: the links end before."""

DAGS_KEPT: Final = timedelta(seconds=15)
"""Time after which DAGs with videos are looked for again."""

CLOCKS_APART: Final = timedelta(minutes=5)
"""Most by which the clock that ends a DAG run may be behind this one."""

OVERVIEW_KEPT: Final = 5.0
"""Seconds for which all users share one overview."""

SOON: Final = timedelta(hours=6)
"""Time before its links end from which a video is at risk although a task is still to store it."""

MOST_LISTED: Final = 100
"""Generations in flight, and at risk, that an overview lists."""

FEWEST_MEASURED: Final = 3
"""Videos of the last day from which the usual time of their model is taken."""

USUAL_SECONDS: Final = (("lite", 45.0), ("fast", 60.0))
"""The vendor's published seconds for a video, by a part of the model's name."""

USUAL_SECONDS_ELSE: Final = 120.0
"""The vendor's published seconds for a video of any other model."""


@dataclass(frozen=True)
class CardFilter:
    """Properties that a card must have to be on the page.

    :param status: ``stored`` and ``unstored`` divide the completed ones.
    :param model: text that the model contains.
    :param words: words of the prompt or the id, in any order and case.
    """

    status: str | None = None
    model: str | None = None
    words: tuple[str, ...] = ()

    @property
    def needle(self) -> str | None:
        """Text by which the database finds the candidates."""
        failed = Status.FAILED.value if self.status == Status.FAILED else None
        return max(self.words, key=len, default=None) or self.model or failed

    def fits_row(self, row: Row) -> bool:
        """Return whether a row, by itself, has the text of the needle."""
        manifest = row.manifest
        if self.words:
            text = f"{manifest.get('prompt') or ''} {manifest.get('id')}".lower()
            return bool(manifest) and all(word in text for word in self.words)
        if self.model:
            return self.model in str(manifest.get("model") or "")
        return self.status != Status.FAILED or manifest.get("status") == Status.FAILED

    def fits(self, card: Card) -> bool:
        """Return whether a card is to be on the page; those in flight have a place of their own."""
        if self.model and self.model not in (card.model or ""):
            return False
        if self.words and not card.has_words(self.words):
            return False
        match self.status:
            case None:
                return card.status is not Status.IN_FLIGHT
            case "stored" | "unstored":
                is_stored = bool(card.files)
                return card.status is Status.COMPLETED and is_stored == (self.status == "stored")
            case _:
                return card.status == self.status


@dataclass(frozen=True)
class Cursor:
    """Place in the list of cards.

    :param position: the row before, ``None`` at the start.
    :param shown: cards of the row after it that have been shown.
    """

    position: Position | None
    shown: int


@dataclass(frozen=True)
class Page:
    """Some cards of the list.

    :param following: where the next page begins; ``None`` at the end of the list. A page before others may be
        short, since one request reads a limited number of rows.
    :param unread: manifests that could not be read, such as references of a custom XCom backend.
    """

    cards: list[Card]
    following: Cursor | None
    unread: int


@dataclass(frozen=True)
class AtRisk:
    """Generation that is paid for and not stored.

    :param task: task of its run that would store it; ``None`` when there is none.
    """

    card: Card
    task: StoringTask | None


@dataclass(frozen=True)
class Overview:
    """Generations of the last day that are being made, or paid for and not stored.

    :param usual: seconds that a generation usually takes, by model.
    """

    in_flight: list[Card]
    at_risk: list[AtRisk]
    usual: dict[str, float]

    def usual_seconds(self, model: str | None) -> float:
        """Return the seconds that a generation of a model usually takes."""
        published = (seconds for part, seconds in USUAL_SECONDS if part in (model or ""))
        return self.usual.get(model or "") or next(published, USUAL_SECONDS_ELSE)


class Gallery:
    """Reader of everything that the page shows.

    :param open_session: opens a session of Airflow's database, which is released at the end of each call.
    :param clock: returns Unix seconds.
    """

    def __init__(
        self,
        open_session: Callable[[], AbstractContextManager[Session]],
        clock: Callable[[], float] = time.time,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        self._open_session = open_session
        self._limits = limits
        self._clock = clock
        self._lock = threading.Lock()
        self._dags: tuple[datetime, frozenset[str]] | None = None
        self._overview: tuple[float, Overview] | None = None

    @property
    def now(self) -> datetime:
        """The current time."""
        return datetime.fromtimestamp(self._clock(), UTC)

    def video_dags(self) -> frozenset[str]:
        """Return the ids of all DAGs with videos, hidden ones included.

        Only the first call reads all XComs. Later ones read those of runs that were active since the last.
        """
        now = self.now
        if self._dags is None:
            with self._open_session() as session:
                self._dags = (now, frozenset(Source(session).video_dags()))
        read_at, dags = self._dags
        if not dags or now - read_at >= DAGS_KEPT:
            with self._open_session() as session:
                dags |= Source(session).further_video_dags(dags, read_at - CLOCKS_APART)
            self._dags = (now, dags)
        return dags

    def videos(
        self, scope: Scope, readable: frozenset[str], card_filter: CardFilter, after: Cursor | None = None
    ) -> Page:
        """Return a page of cards, newest first.

        :param scope: rows that the user asks for.
        :param readable: all DAGs whose XComs the user may read: another DAG may have stored the video.
        """
        with self._open_session() as session:
            source = Source(session, self._limits)
            return _Listing(source, scope, readable, card_filter, self.now).page(after)

    def overview(self) -> Overview:
        """Return the generations in flight and at risk of all DAGs; all users share them for some seconds."""
        with self._lock:
            read_at, kept = self._overview or (0.0, None)
            if kept is None or self._clock() - read_at >= OVERVIEW_KEPT:
                dags = self.video_dags()
                with self._open_session() as session:
                    kept = _overview(Source(session), dags, self.now)
                self._overview = (self._clock(), kept)
            return kept

    def spend(self, scope: Scope, since: datetime, until: datetime, model: str | None = None) -> Spend:
        """Return the credits of a span of time."""
        spend = Spend(since, until, model)
        with self._open_session() as session:
            spend.add(Source(session).reports(replace(scope, since=since)))
        return spend

    def stored_uri(self, dag_id: str, run_id: str, task_id: str, map_index: int, number: int) -> str | None:
        """Return the URI of a stored file."""
        with self._open_session() as session:
            return Source(session).stored_uri(dag_id, run_id, task_id, map_index, number)


class _Listing:
    """One request for cards."""

    def __init__(
        self, source: Source, scope: Scope, readable: frozenset[str], card_filter: CardFilter, now: datetime
    ) -> None:
        self._source = source
        self._scope = replace(scope, needle=card_filter.needle)
        self._readable = readable
        self._filter = card_filter
        self._now = now
        self._limits = source.limits

    def page(self, after: Cursor | None) -> Page:
        """Return the cards after a cursor."""
        previous, shown = (None, 0) if after is None else (after.position, after.shown)
        rows = self._source.newest_first(self._scope, previous)
        cards: list[Card] = []
        unread = seen = 0
        while batch := list(islice(rows, self._limits.batch)):
            related = self._related(batch)
            for row in batch:
                unread += isinstance(row.value, str)
                for number, generation_id in enumerate(row.generation_ids):
                    card = self._card(row, generation_id, related) if number >= shown else None
                    if card is not None and len(cards) == self._limits.cards:
                        return Page(cards, Cursor(previous, number), unread)
                    if card is not None:
                        cards.append(card)
                previous, shown = Position.of(row), 0
            seen += len(batch)
            if seen >= self._limits.rows:
                return Page(cards, Cursor(previous, 0), unread)
        return Page(cards, None, unread)

    def _related(self, batch: list[Row]) -> dict[str, list[Row]]:
        """Return all rows about the generations of some rows, by generation."""
        ids = {generation_id for row in batch for generation_id in row.generation_ids}
        found = _by_generation([*batch, *self._source.of_runs({row.dag_run_id for row in batch}, ids)])
        open_ids = [generation_id for generation_id in ids if _may_have_more(found[generation_id])]
        if not open_ids:
            return found
        times = [row.at for generation_id in open_ids for row in found[generation_id]]
        others = self._source.within(self._readable, min(times) - SPAN, max(times) + SPAN, open_ids)
        return _by_generation([*(row for rows in found.values() for row in rows), *others])

    def _card(self, row: Row, generation_id: str, related: dict[str, list[Row]]) -> Card | None:
        """Return the card of a generation at one of its rows; ``None`` where another one shows it."""
        if not self._filter.fits_row(row):
            return None
        rows = related[generation_id]
        shown = [each for each in rows if self._scope.shows(each) and self._filter.fits_row(each)]
        if _anchor(shown).identity != row.identity:
            return None
        card = merge(generation_id, rows, row, self._now)
        return card if self._filter.fits(card) else None


def _by_generation(rows: Iterable[Row]) -> dict[str, list[Row]]:
    """Return each row once, by the generations that it is about."""
    found: dict[str, list[Row]] = {}
    for row in {row.identity: row for row in rows}.values():
        for generation_id in row.generation_ids:
            found.setdefault(generation_id, []).append(row)
    return found


def _anchor(rows: Iterable[Row]) -> Row:
    """Return the row of the task that a card shows: one that generated, else waited, else stored."""
    return min(rows, key=lambda row: (row.role, row.at, row.identity))


def _may_have_more(rows: Iterable[Row]) -> bool:
    """Return whether tasks of other runs may have generated or stored the video."""
    roles = {row.role for row in rows}
    has_failed = any(row.manifest.get("status") == Status.FAILED for row in rows)
    return not has_failed and not {Role.GENERATING, Role.STORING} <= roles


def _overview(source: Source, dags: frozenset[str], now: datetime) -> Overview:
    rows = _by_generation(source.recent(dags, now - SPAN))
    cards = [_shared_card(generation_id, found, now) for generation_id, found in rows.items()]
    in_flight = sorted(
        (card for card in cards if card.status is Status.IN_FLIGHT), key=lambda card: card.accepted_at
    )
    unstored = [(card.links_end, card) for card in cards if card.links_end and card.is_at_risk(now)]
    unstored = sorted(unstored, key=lambda pair: (pair[0], pair[1].id))
    tasks = source.storing_tasks({(card.dag_id, card.run_id) for _, card in unstored})
    at_risk = []
    for links_end, card in unstored:
        task = _storing_task(tasks.get((card.dag_id, card.run_id), []), card.map_index)
        if task is None or not task.is_pending or links_end - now < SOON:
            at_risk.append(AtRisk(card, task))
    return Overview(in_flight[:MOST_LISTED], at_risk[:MOST_LISTED], _usual(cards))


def _shared_card(generation_id: str, rows: list[Row], now: datetime) -> Card:
    """Return a card for all who may read its DAG, and perhaps no other DAG."""
    anchor = _anchor(rows)
    seen = [row if row.dag_id == anchor.dag_id else _ending(row) for row in rows]
    return merge(generation_id, seen, anchor, now)


def _ending(row: Row) -> Row:
    """Return a row with only how and when its generations ended, and what is stored."""
    manifest, files = row.manifest, [file for _, file in row.stored]
    if manifest:
        return replace(row, value={name: manifest.get(name) for name in ("id", "status", "completed_at")})
    return replace(row, value=[{name: file[name] for name in ("generation_id", "uri")} for file in files])


def _storing_task(tasks: Iterable[StoringTask], map_index: int) -> StoringTask | None:
    """Return the task that stores what a task of the same run generates: mapped alike, if there is one."""
    return min(
        tasks, key=lambda task: (task.map_index != map_index, task.task_id, task.map_index), default=None
    )


def _usual(cards: Iterable[Card]) -> dict[str, float]:
    """Return the median seconds from acceptance to completion, by model."""
    seconds: dict[str, list[float]] = {}
    for card in cards:
        if card.model and card.completed_at and card.completed_at > card.accepted_at:
            seconds.setdefault(card.model, []).append((card.completed_at - card.accepted_at).total_seconds())
    return {
        model: statistics.median(found) for model, found in seconds.items() if len(found) >= FEWEST_MEASURED
    }
