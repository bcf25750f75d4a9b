"""A VEO3 account in memory, with a clock that moves only in sleeps: days pass in no time."""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_veo3 import exceptions as errors
from airflow_provider_veo3.api.models import Generation, Status
from airflow_provider_veo3.api.throttle import TokenBucket
from airflow_provider_veo3.history.pages import Page
from airflow_provider_veo3.polling.durations import Durations
from airflow_provider_veo3.polling.result import WaitResult
from airflow_provider_veo3.polling.schedule import Schedule, StatusRequest
from airflow_provider_veo3.polling.wait import Wait
from tests.support.history import page_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_veo3.api.models import HistoryPage
    from airflow_provider_veo3.polling.schedule import Request, Response

START = 1_800_000_000.0
FAST = "veo-3.1-fast-generate-001"
DAY = 86_400.0


@dataclass
class Job:
    """A generation in the account."""

    id: str
    accepted: float
    ends: float
    model: str = FAST
    fails: bool = False
    listed_from: float = 0.0

    def at(self, now: float, *, listed: bool, reasons: bool) -> Generation:
        done = now >= self.ends
        status = (Status.FAILED if self.fails else Status.COMPLETED) if done else Status.PROCESSING
        return Generation(
            self.id,
            status,
            model=self.model,
            created_at=datetime.fromtimestamp(self.accepted, UTC),
            completed_at=datetime.fromtimestamp(self.ends, UTC) if done and not self.fails else None,
            processing_seconds=self.ends - self.accepted if done and not self.fails else None,
            error="it fell over" if done and self.fails and (reasons or not listed) else None,
        )


@dataclass
class World:
    """The account, the clock, and all waiters.

    :param old_to_new: the order of the history.
    :param filters: whether the history honours ``status``.
    :param totals: what its total counts: ``listed`` (under the filter), ``all``, or ``None`` for no total.
    :param reasons: whether the history says why a generation failed.
    :param trouble: gives the error of a request, ``None`` for a good response.
    """

    old_to_new: bool = False
    filters: bool = True
    totals: str | None = "listed"
    reasons: bool = True
    trouble: Callable[[Request, float], Exception | None] = lambda *_: None
    now: float = START
    jobs: dict[str, Job] = field(default_factory=dict)
    requests: list[tuple[float, Request]] = field(default_factory=list)
    ended: dict[str, tuple[float, WaitResult]] = field(default_factory=dict)
    troubles: list[tuple[str, str]] = field(default_factory=list)
    jitter: Callable[[], float] = lambda: 0.5

    def __post_init__(self) -> None:
        self.durations = Durations()
        self.bucket = TokenBucket(60)
        self.schedule = Schedule(self.durations, jitter=self.jitter)

    def job(self, seconds: float, *, accepted: float | None = None, **more: Any) -> Job:
        """Add a generation that takes so long."""
        begin = self.now if accepted is None else accepted
        job = Job(f"veo_{len(self.jobs)}_x", begin, begin + seconds, **more)
        self.jobs[job.id] = job
        return job

    def wait(
        self, job: Job | str, *, timeout: float = 1800.0, interval: float = 5.0, known: bool = True
    ) -> Wait:
        """Wait for a generation; ``known``: as an operator, which has just submitted it."""
        name = job if isinstance(job, str) else job.id
        facts = (job.accepted, job.model) if known and isinstance(job, Job) else (None, None)
        wait = Wait(name, self.now + timeout, interval, *facts, self.durations)
        self.schedule.join(wait, self.now)
        return wait

    def run(self, until: float = START + 10 * DAY, *, on_end: Callable[[str], None] = lambda _: None) -> None:
        """Let time pass until no waiter is left."""
        rounds = 0
        while (moment := self.schedule.next_event()) is not None and moment <= until:
            assert len(self.requests) < 5000, "a storm"
            rounds += 1
            assert rounds < 50_000, "time stands still"
            self.now = max(self.now, moment)
            poll = self.schedule.begin(self.now)
            response: Any = None
            if poll is not None:
                with suppress(StopIteration):
                    while True:
                        request = poll.send(response)
                        self.now += self.bucket.reserve(self.now)
                        self.requests.append((self.now, request))
                        self.now += 0.05
                        response = (self.respond(request), self.now)
                        self._collect_updates(on_end)
            self._collect_updates(on_end)
            self.now += 0.001
        if self.schedule.next_event() is not None:
            self.now = until

    def _collect_updates(self, on_end: Callable[[str], None]) -> None:
        for wait, update in self.schedule.take_updates():
            if isinstance(update, WaitResult):
                self.ended[wait.generation_id] = (self.now, update)
                on_end(wait.generation_id)
            elif update.level >= logging.WARNING:
                self.troubles.append((wait.generation_id, update.text))

    def respond(self, request: Request) -> Response:
        error = self.trouble(request, self.now)
        if error is not None:
            assert isinstance(error, errors.Veo3Error)
            return error
        if isinstance(request, StatusRequest):
            job = self.jobs.get(request.generation_id)
            if job is None:
                return errors.Veo3GenerationNotFoundError("no such generation", status=404)
            return job.at(self.now, listed=False, reasons=self.reasons)
        return self._page(request)

    def _page(self, page: Page) -> HistoryPage:
        jobs = sorted(self.jobs.values(), key=lambda job: job.accepted, reverse=not self.old_to_new)
        rows = [
            job.at(self.now, listed=True, reasons=self.reasons) for job in jobs if job.listed_from <= self.now
        ]
        return page_of(rows, page, filters=self.filters, totals=self.totals)

    @property
    def pages(self) -> list[Page]:
        return [request for _, request in self.requests if isinstance(request, Page)]

    @property
    def singles(self) -> list[str]:
        return [request.generation_id for _, request in self.requests if isinstance(request, StatusRequest)]

    def delays(self) -> list[float]:
        """Seconds from each end to its report, shortest first."""
        return sorted(moment - self.jobs[name].ends for name, (moment, _) in self.ended.items())
