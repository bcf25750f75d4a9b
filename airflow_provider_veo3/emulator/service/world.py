"""The state of the emulated service, and everything that can happen to it; no HTTP in here."""

from __future__ import annotations

import hashlib
import random
import threading
from typing import TYPE_CHECKING, Any

from airflow_provider_veo3.emulator.service.accounts import Key, KeyRing, fingerprint
from airflow_provider_veo3.emulator.service.errors import ApiError, insufficient_credits, task_not_found
from airflow_provider_veo3.emulator.service.faults import FaultBook
from airflow_provider_veo3.emulator.service.ledger import Entry, Ledger
from airflow_provider_veo3.emulator.service.limits import Meter, Usage, rate_limited
from airflow_provider_veo3.emulator.service.links import Signer
from airflow_provider_veo3.emulator.service.parameters import Parameters, violates_policy
from airflow_provider_veo3.emulator.service.tasks import (
    Failure,
    Task,
    Upload,
    new_task_id,
    processing_seconds,
    start_time,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_veo3.emulator.config.settings import Settings
    from airflow_provider_veo3.emulator.service.clock import Clock
    from airflow_provider_veo3.emulator.service.faults import Fault

OUTCOMES = ("complete", "fail", "lose")


class World:
    """Accounts, tasks, limits and the ledger, guarded by one lock.

    Requests come from the server's thread, and the test that owns the emulator calls from its own.

    :param settings: what :meth:`reset` goes back to.
    :param clock: the time on the wire.
    """

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self.clock = clock
        self.signer = Signer()
        self._lock = threading.RLock()
        self._initial = settings
        self.reset()

    def reset(self) -> None:
        """Forget everything and go back to the settings of the start."""
        with self._lock:
            settings = self.settings = self._initial
            self.faults = FaultBook(settings.seed)
            self._keys = KeyRing()
            self._tasks: dict[str, Task] = {}
            self._open: list[Task] = []
            self._ledger = Ledger()
            self._rng = random.Random(settings.seed)  # noqa: S311 - reproducible, not secret
            self._keys.put(settings.api_key, credits_left=settings.credits, disabled=None, account=None)

    def configure(self, changes: Mapping[str, Any]) -> None:
        """Change options at run time; they hold for what comes after."""
        with self._lock:
            self.settings = self.settings.changed(changes)

    def put_key(
        self, secret: str, *, credits_left: int | None, disabled: bool | None, account: str | None
    ) -> Key:
        """Add a key or change one."""
        with self._lock:
            return self._keys.put(secret, credits_left=credits_left, disabled=disabled, account=account)

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        with self._lock:
            self.clock.advance(seconds)

    # Requests.

    def enter(self, endpoint: str, secret: str | None) -> Key:
        """Let an API request in, or refuse it with 401 or 429."""
        with self._lock:
            settings = self.settings
            key = self._keys.check(
                secret, missing_code=settings.missing_key_code, invalid_code=settings.invalid_key_code
            )
            counts = settings.polls_count or endpoint not in ("status", "history")
            now = self.clock.now()
            key.meter_of(settings.limits_of).check(now, settings, counts=counts)
            for meter in (key.meter, key.account.meter):
                meter.enter(now, counts=counts)
            return key

    def leave(self, key: Key) -> None:
        """End an API request that was let in."""
        with self._lock:
            for meter in (key.meter, key.account.meter):
                meter.leave()

    def rate_headers(self, secret: str | None) -> dict[str, str]:
        """The rate limit headers for this key; a key that nobody knows has used nothing."""
        with self._lock:
            known = next((key for key in self._keys.all() if key.secret == secret), None)
            meter = known.meter_of(self.settings.limits_of) if known else Meter()
            return meter.headers(self.clock.now(), self.settings)

    def record(self, entry: Entry) -> None:
        """Write a request into the ledger."""
        with self._lock:
            self._ledger.add(entry)

    def record_leak(self, path: str, secret: str) -> None:
        """Write down that the file host was sent an API key."""
        with self._lock:
            self._ledger.add_leak(self.clock.now(), path, str(fingerprint(secret)))

    # Generations.

    def submit(
        self,
        key: Key,
        kind: str,
        parameters: Parameters,
        options: dict[str, Any],
        uploads: tuple[Upload, ...] = (),
    ) -> Task:
        """Take the credits and accept a generation."""
        with self._lock:
            now, settings, account = self.clock.now(), self.settings, key.account
            self._settle(now)
            if account.credits < parameters.cost:
                raise insufficient_credits(parameters.cost, account.credits, settings.insufficient_credits)
            mine = [task for task in self._open if task.account is account]
            queued = [t for t in mine if t.key == key.fingerprint or settings.limits_of == "account"]
            if settings.queue_limit is not None and len(queued) >= settings.queue_limit:
                raise self._queue_full(queued, now)
            starts_at, ends_at = self._plan(parameters, now, mine)
            task = Task(
                id=self._new_id(now),
                account=account,
                key=key.fingerprint,
                type=kind,
                parameters=parameters,
                options=options,
                uploads=uploads,
                created_at=now,
                starts_at=starts_at,
                ends_at=ends_at,
                height=settings.height,
                file_size=settings.file_size,
                samples=parameters.sample_count,
            )
            if settings.policy_when == "generation" and violates_policy(parameters, settings):
                task.failure = Failure("CONTENT_POLICY_VIOLATION", "Content violates usage policies")
            account.credits -= task.cost
            self._tasks[task.id] = task
            self._open.append(task)
            return task

    def _plan(self, parameters: Parameters, now: float, mine: list[Task]) -> tuple[float, float]:
        """When a generation will start and end, behind those that are open already."""
        settings = self.settings
        duration = processing_seconds(parameters.model, settings, self._rng)
        pending = min(settings.pending_seconds, duration)
        ready = now + settings.scaled(pending)
        starts_at = start_time(ready, settings.rendering_at_once, mine)
        return starts_at, starts_at + settings.scaled(duration - pending)

    def _new_id(self, now: float) -> str:
        while True:
            task_id = new_task_id(now, self.settings.task_ids, self._rng)
            if task_id not in self._tasks:
                return task_id

    def _queue_full(self, mine: list[Task], now: float) -> ApiError:
        settings = self.settings
        message = f"Maximum {settings.queue_limit} videos in generation queue allowed."
        if settings.queue_full == "503":
            return ApiError(503, "SERVICE_UNAVAILABLE", message)
        code = "QUEUE_FULL" if settings.queue_full == "queue-full" else "RATE_LIMIT_EXCEEDED"
        usage = Usage(len(mine), 0, min(task.ends_at for task in mine))
        return rate_limited(message, usage, now, settings, code=code, of_window=False)

    def find(self, key: Key, task_id: str) -> Task:
        """A task of this key's account, or a refusal with 404."""
        with self._lock:
            self._settle(self.clock.now())
            task = self._tasks.get(task_id)
            if task is None or not self._is_known(task) or task.account is not key.account:
                raise task_not_found(task_id)
            return task

    def _is_known(self, task: Task) -> bool:
        lifetime = self.settings.task_lifetime_seconds
        gone = lifetime is not None and self.clock.now() >= task.ends_at + self.settings.scaled(lifetime)
        return not (gone or task.lost)

    def peek(self, task_id: str) -> Task | None:
        """Any task, whoever owns it."""
        with self._lock:
            self._settle(self.clock.now())
            return self._tasks.get(task_id)

    def secret_of(self, task: Task) -> str | None:
        """The key that a task was submitted with."""
        with self._lock:
            return next((key.secret for key in self._keys.all() if key.fingerprint == task.key), None)

    def listing(self, key: Key) -> list[Task]:
        """The account's tasks as the history orders them."""
        with self._lock:
            now, settings = self.clock.now(), self.settings
            self._settle(now)
            newest = now - settings.scaled(settings.history_lag_seconds)
            tasks = [
                task
                for task in self._tasks.values()
                if task.account is key.account and self._is_known(task) and task.created_at <= newest
            ]
            if settings.history_order == "newest":
                tasks.reverse()
            elif settings.history_order == "shuffled":
                # By a hash, so that the order is the same on every page.
                tasks.sort(key=lambda task: hashlib.sha256(f"{settings.seed}/{task.id}".encode()).digest())
            return tasks

    def force(self, task_id: str, outcome: str, error: str | None = None) -> Task:
        """Decide a task's fate now: complete, fail or lose."""
        with self._lock:
            now = self.clock.now()
            self._settle(now)
            task = self._tasks.get(task_id)
            if task is None:
                raise LookupError(f"no task {task_id}")
            if outcome == "lose":
                task.lost = True
                return task
            if outcome not in OUTCOMES:
                raise ValueError(f"outcome={outcome!r}: allowed are {', '.join(OUTCOMES)}")
            if task.state(now).finished:
                raise ValueError(f"{task_id} is {task.state(now).name.lower()} already")
            task.failure = None
            if outcome == "fail":
                task.failure = Failure("GENERATION_FAILED", error or "Video generation failed")
            task.starts_at = min(task.starts_at, now)
            task.ends_at = now
            self._settle(now)
            return task

    def afflict(self, task: Task, fault: Fault) -> None:
        """Let a fault decide what becomes of a task."""
        with self._lock:
            if fault.kind == "fail_generation":
                task.failure = Failure("GENERATION_FAILED", fault.error)
            elif fault.kind == "lose_task":
                task.lost = True
            elif fault.kind == "no_videos":
                task.samples = 0
            else:
                task.samples = max(0, task.samples - 1)

    def _settle(self, now: float) -> None:
        """Refund what has failed since anybody looked."""
        for task in self._open:
            if task.ends_at > now:
                continue
            task.settled = True
            if task.failure is not None:
                task.refunded = task.cost
            elif self.settings.partial_refund:
                wanted = task.parameters.sample_count
                task.refunded = task.cost * (wanted - task.samples) // wanted
            task.account.credits += task.refunded
        self._open = [task for task in self._open if not task.settled]

    def ledger(self) -> dict[str, Any]:
        """All facts as JSON."""
        with self._lock:
            now = self.clock.now()
            self._settle(now)
            return self._ledger.shown(now, self._tasks.values(), self._keys.all())
