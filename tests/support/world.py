"""A VEO3 account in memory, and a clock that only moves when somebody would sleep: days pass in no time."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_veo3 import exceptions as errors
from airflow_provider_veo3.api.models import Generation, HistoryPage, Status
from airflow_provider_veo3.api.throttle import TokenBucket
from airflow_provider_veo3.history.pages import Page
from airflow_provider_veo3.polling.durations import Pace
from airflow_provider_veo3.polling.questions import One
from airflow_provider_veo3.polling.result import WaitResult
from airflow_provider_veo3.polling.schedule import Schedule
from airflow_provider_veo3.polling.wait import Wait

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_veo3.polling.questions import Answer, Question

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
    """The account, the clock, and everyone who waits.

    :param old_to_new: the listing's order.
    :param filters: whether the listing heeds ``status``.
    :param totals: what its total counts: ``listed`` (under the filter), ``all``, or ``None`` for no total.
    :param trouble: what a question meets instead of an answer.
    """

    old_to_new: bool = False
    filters: bool = True
    totals: str | None = "listed"
    reasons: bool = True
    trouble: Callable[[Question, float], Exception | None] = lambda *_: None
    now: float = START
    jobs: dict[str, Job] = field(default_factory=dict)
    asked: list[tuple[float, Question]] = field(default_factory=list)
    ended: dict[str, tuple[float, WaitResult]] = field(default_factory=dict)
    troubles: list[tuple[str, str]] = field(default_factory=list)
    jitter: Callable[[], float] = lambda: 0.5

    def __post_init__(self) -> None:
        self.pace = Pace()
        self.bucket = TokenBucket(60)
        self.schedule = Schedule(self.pace, jitter=self.jitter)

    def job(self, seconds: float, *, accepted: float | None = None, **more: Any) -> Job:
        """Put a generation into the account that takes so long."""
        begin = self.now if accepted is None else accepted
        job = Job(f"veo_{len(self.jobs)}_x", begin, begin + seconds, **more)
        self.jobs[job.id] = job
        return job

    def wait(
        self, job: Job | str, *, timeout: float = 1800.0, interval: float = 5.0, known: bool = True
    ) -> Wait:
        """Let somebody wait for one; ``known``: as an operator does, who has just submitted it."""
        name = job if isinstance(job, str) else job.id
        facts = (job.accepted, job.model) if known and isinstance(job, Job) else (None, None)
        wait = Wait(name, self.now + timeout, interval, *facts, self.pace)
        self.schedule.join(wait, self.now)
        return wait

    def run(self, until: float = START + 10 * DAY, *, on_end: Callable[[str], None] = lambda _: None) -> None:
        """Let time pass until nobody waits any more."""
        rounds = 0
        while (moment := self.schedule.next_event()) is not None and moment <= until:
            assert len(self.asked) < 5000, "a storm"
            rounds += 1
            assert rounds < 50_000, "time stands still"
            self.now = max(self.now, moment)
            look = self.schedule.begin(self.now)
            answer: Any = None
            if look is not None:
                try:
                    while True:
                        question = look.send(answer)
                        self.now += self.bucket.reserve(self.now)
                        self.asked.append((self.now, question))
                        self.now += 0.05
                        answer = (self.answer(question), self.now)
                        self._hear(on_end)
                except StopIteration:
                    pass
            self._hear(on_end)
            self.now += 0.001
        if self.schedule.next_event() is not None:
            self.now = until

    def _hear(self, on_end: Callable[[str], None]) -> None:
        for wait, news in self.schedule.take_news():
            if isinstance(news, WaitResult):
                self.ended[wait.generation_id] = (self.now, news)
                on_end(wait.generation_id)
            else:
                self.troubles.append((wait.generation_id, news))

    def answer(self, question: Question) -> Answer:
        error = self.trouble(question, self.now)
        if error is not None:
            assert isinstance(error, errors.Veo3Error)
            return error
        if isinstance(question, One):
            job = self.jobs.get(question.generation_id)
            if job is None:
                return errors.Veo3GenerationNotFoundError("no such generation", status=404)
            return job.at(self.now, listed=False, reasons=self.reasons)
        return self._page(question)

    def _page(self, page: Page) -> HistoryPage:
        jobs = sorted(self.jobs.values(), key=lambda job: job.accepted, reverse=not self.old_to_new)
        rows = [
            job.at(self.now, listed=True, reasons=self.reasons) for job in jobs if job.listed_from <= self.now
        ]
        everything = len(rows)
        if page.status is not None and self.filters:
            rows = [row for row in rows if row.status is page.status]
        count = {"listed": len(rows), "all": everything, None: None}[self.totals]
        shown = tuple(rows[page.skip : page.skip + 100])
        behind = page.skip + len(shown)
        return HistoryPage(shown, count, behind if behind < len(rows) and shown else None, None)

    @property
    def pages(self) -> list[Page]:
        return [question for _, question in self.asked if isinstance(question, Page)]

    @property
    def singles(self) -> list[str]:
        return [question.generation_id for _, question in self.asked if isinstance(question, One)]

    def delays(self) -> list[float]:
        """Seconds from each end to when it was noticed, shortest first."""
        return sorted(moment - self.jobs[name].ends for name, (moment, _) in self.ended.items())
