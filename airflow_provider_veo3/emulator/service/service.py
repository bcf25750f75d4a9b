"""The emulated service: its state, the effects of API requests, and the controls of tests."""

from __future__ import annotations

import hashlib
import random
import threading
from typing import TYPE_CHECKING, Any

from airflow_provider_veo3.emulator.config.options import YEAR, validated
from airflow_provider_veo3.emulator.config.settings import check_key
from airflow_provider_veo3.emulator.service.accounts import Key, KeyRing, fingerprint
from airflow_provider_veo3.emulator.service.catalog import TEXT_TO_VIDEO
from airflow_provider_veo3.emulator.service.clock import iso
from airflow_provider_veo3.emulator.service.errors import ApiError, insufficient_credits, task_not_found
from airflow_provider_veo3.emulator.service.faults import ActiveFaults, Fault, Target
from airflow_provider_veo3.emulator.service.file_urls import Signer
from airflow_provider_veo3.emulator.service.ledger import Entry, Ledger
from airflow_provider_veo3.emulator.service.limits import DAY, RateLimiter, Usage, rate_limited
from airflow_provider_veo3.emulator.service.parameters import Parameters, read_parameters
from airflow_provider_veo3.emulator.service.tasks import (
    Failure,
    FalseFailure,
    Task,
    Upload,
    new_task_id,
    processing_seconds,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_veo3.emulator.config.settings import Settings
    from airflow_provider_veo3.emulator.service.clock import Clock

OUTCOMES = ("complete", "fail", "lose")
MAX_EARLIER = 100_000


class Service:
    """Accounts, tasks, limits, faults and the ledger, guarded by one lock.

    API requests come from the server's thread, and controls from any other thread.

    :param settings: options at the start, which :meth:`reset` restores.
    :param clock: clock of all timestamps and durations.
    """

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self.clock = clock
        self.signer = Signer()
        self._lock = threading.RLock()
        self._initial = self.settings = settings
        self.reset()

    # Controls.

    @property
    def api_key(self) -> str:
        """The key of the default account."""
        return self.settings.api_key

    def inject(self, fault: Fault | Mapping[str, Any]) -> str:
        """Activate a fault, and return its id."""
        return self._faults.add(fault if isinstance(fault, Fault) else validated(Fault, fault))

    def faults(self) -> list[dict[str, Any]]:
        """Return the active faults; ``met`` counts the requests that met each."""
        return self._faults.shown()

    def clear_faults(self) -> None:
        """Remove all faults."""
        self._faults.clear()

    def ledger(self) -> dict[str, Any]:
        """Return the ledger as JSON: accounts, tasks, credits, requests, and leaked API keys."""
        with self._lock:
            now = self.clock.now()
            self._settle(now)
            tasks = [task for task in self._tasks.values() if not task.earlier]
            return self._ledger.shown(now, tasks, self._keys.all())

    def configure(self, **changes: Any) -> None:
        """Change options at run time; tasks that are already accepted keep theirs."""
        with self._lock:
            self.settings = self.settings.changed(changes)

    def shown_settings(self) -> dict[str, Any]:
        """Return the options as JSON, without the key."""
        return self.settings.model_dump(mode="json", exclude={"api_key"})

    def reset(self) -> None:
        """Delete tasks, faults, keys and requests, and restore the first options.

        The clock stays.
        """
        with self._lock:
            settings = self.settings = self._initial
            self._faults = ActiveFaults(settings.seed)
            self._keys = KeyRing()
            self._tasks: dict[str, Task] = {}
            self._unfinished: list[Task] = []
            self._ledger = Ledger()
            self._rng = random.Random(settings.seed)  # noqa: S311 - reproducible, not secret
            self._keys.put(settings.api_key, credits_left=settings.credits)

    def add_key(
        self,
        key: str,
        *,
        credits: int | None = None,  # noqa: A002 - the vendor's word
        disabled: bool | None = None,
        account: str | None = None,
    ) -> dict[str, Any]:
        """Add a key or change one, and return it as JSON.

        :param key: the key; begins with ``veo3_``.
        :param credits: new balance of the account; a new account has 0.
        :param disabled: whether the key is refused with 401.
        :param account: account of a new key, so that several keys can share one; by default a new account.
        """
        if credits is not None and credits < 0:
            raise ValueError(f"credits={credits!r}: must not be negative")
        with self._lock:
            added = self._keys.put(check_key(key), credits_left=credits, disabled=disabled, account=account)
            return {
                "fingerprint": added.fingerprint,
                "account": added.account.name,
                "credits": added.account.credits,
                "disabled": added.disabled,
            }

    def force(self, task_id: str, outcome: str, error: str | None = None) -> dict[str, Any]:
        """Decide the outcome of a task now, and return its state as JSON.

        :param outcome: ``complete``, ``fail`` (refunds the credits) or ``lose`` (the API no longer knows it).
        :param error: error text of a failure.
        """
        with self._lock:
            now = self.clock.now()
            self._settle(now)
            task = self._tasks.get(task_id)
            if task is None:
                raise LookupError(f"task_id={task_id!r}: no such task")
            if outcome not in OUTCOMES:
                raise ValueError(f"outcome={outcome!r}: allowed are {', '.join(OUTCOMES)}")
            if outcome == "lose":
                task.lost = True
            elif task.state(now).finished:
                raise ValueError(f"task_id={task_id!r}: the task is {task.state(now).name.lower()} already")
            else:
                failure = Failure("GENERATION_FAILED", error or "Video generation failed")
                task.failure = failure if outcome == "fail" else None
                task.starts_at, task.ends_at = min(task.starts_at, now), now
                self._settle(now)
            state = task.state(now).name.lower()
            return {"id": task.id, "status": state, "lost": task.lost, "refunded": task.refunded}

    def add_history(
        self,
        count: int,
        *,
        seconds: float = DAY,
        prompts: list[str] | None = None,
        api_key: str | None = None,
    ) -> list[str]:
        """Add completed generations of the past to the history, and return their ids, oldest first.

        They cost nothing, count against no limit, are not in the ledger, and are not rendered before their
        files are requested.

        :param count: number of generations, at most 100,000.
        :param seconds: time before now, in seconds, over which they are spread evenly from its beginning.
        :param prompts: prompts in turn; by default numbered: Prompt 1, Prompt 2.
        :param api_key: key whose account they belong to; by default the default key.
        """
        if not 1 <= count <= MAX_EARLIER:
            raise ValueError(f"count={count!r}: must be between 1 and {MAX_EARLIER}")
        if not 0 <= seconds <= YEAR:
            raise ValueError(f"seconds={seconds!r}: must be between 0 and {YEAR}")
        if prompts is not None and not prompts:
            raise ValueError("prompts=[]: must not be empty")
        with self._lock:
            now, settings = self.clock.now(), self.settings
            key = self._keys.get(api_key or self.api_key)
            if key is None:
                raise LookupError("api_key: no such key")
            same = {"durationSeconds": 8, "aspectRatio": settings.aspect_ratios[0]}
            added = []
            for number in range(count):
                fields = {
                    "prompt": prompts[number % len(prompts)] if prompts else f"Prompt {number + 1}",
                    **same,
                }
                try:
                    parameters = read_parameters(fields, TEXT_TO_VIDEO, settings, form=False)
                except ApiError as error:
                    raise ValueError(f"prompts: {error.message}") from None
                created_at = now - seconds * (1 - number / count)
                task = self._new_task(key, TEXT_TO_VIDEO, parameters, fields, (), created_at=created_at)
                task.earlier, task.starts_at, task.ends_at = True, created_at, min(task.ends_at, now)
                added.append(task.id)
            self._tasks = {
                task.id: task for task in sorted(self._tasks.values(), key=lambda task: task.created_at)
            }
            return added

    def advance(self, seconds: float) -> str:
        """Move the clock forward without waiting, and return the new time."""
        with self._lock:
            self.clock.advance(seconds)
            return iso(self.clock.now())

    # Requests.

    def begin_request(self, secret: str | None) -> Key:
        """Accept an API request, or refuse it with 401 or 429."""
        with self._lock:
            settings, now = self.settings, self.clock.now()
            key = self._keys.authenticate(secret, invalid_code=settings.invalid_key_code)
            key.limiter_of(settings.limits_of).check(now, settings)
            for limiter in (key.limiter, key.account.limiter):
                limiter.begin(now)
            return key

    def end_request(self, key: Key) -> None:
        """End an accepted API request."""
        with self._lock:
            for limiter in (key.limiter, key.account.limiter):
                limiter.end()

    def rate_headers(self, secret: str | None) -> dict[str, str]:
        """Return the rate limit headers for a key; an unknown key has used nothing."""
        with self._lock:
            key = self._keys.get(secret)
            limiter = key.limiter_of(self.settings.limits_of) if key else RateLimiter()
            return limiter.headers(self.clock.now(), self.settings)

    def take_fault(self, stage: str, target: Target) -> Fault | None:
        """Return the fault that a request meets at a stage."""
        return self._faults.take(stage, target)

    def record(self, entry: Entry) -> None:
        """Record a request in the ledger."""
        with self._lock:
            self._ledger.add(entry)

    def record_leak(self, path: str, secret: str) -> None:
        """Record an API key that the file host received."""
        with self._lock:
            self._ledger.add_leak(self.clock.now(), path, fingerprint(secret))

    # Tasks.

    def submit(
        self,
        key: Key,
        kind: str,
        parameters: Parameters,
        options: dict[str, Any],
        uploads: tuple[Upload, ...] = (),
    ) -> Task:
        """Charge the account and accept a generation."""
        with self._lock:
            now, settings, account = self.clock.now(), self.settings, key.account
            self._settle(now)
            if account.credits < parameters.cost:
                raise insufficient_credits(parameters.cost, account.credits, settings.insufficient_credits)
            self._check_queue(key, now)
            task = self._new_task(key, kind, parameters, options, uploads, created_at=now)
            if settings.policy_when == "generation" and parameters.violates_policy:
                task.failure = Failure("CONTENT_POLICY_VIOLATION", "Content violates usage policies")
            account.credits -= task.cost
            self._unfinished.append(task)
            return task

    def _new_task(
        self,
        key: Key,
        kind: str,
        parameters: Parameters,
        options: dict[str, Any],
        uploads: tuple[Upload, ...],
        *,
        created_at: float,
    ) -> Task:
        settings = self.settings
        duration = processing_seconds(parameters.model, settings, self._rng)
        task_id = self._new_id(created_at)
        task = self._tasks[task_id] = Task(
            id=task_id,
            numeric_id=settings.numeric_task_ids,
            account=key.account,
            key=key.fingerprint,
            type=kind,
            parameters=parameters,
            options=options,
            uploads=uploads,
            created_at=created_at,
            starts_at=created_at + settings.scaled(min(settings.pending_seconds, duration)),
            ends_at=created_at + settings.scaled(duration),
            height=settings.height,
            file_size=settings.file_size,
            file_layout=settings.file_layout,
            samples=parameters.sample_count,
        )
        return task

    def _check_queue(self, key: Key, now: float) -> None:
        settings = self.settings
        queued = [
            task
            for task in self._unfinished
            if task.account is key.account
            and (task.key == key.fingerprint or settings.limits_of == "account")
        ]
        if settings.queue_limit is None or len(queued) < settings.queue_limit:
            return
        message = f"Maximum {settings.queue_limit} videos in generation queue allowed."
        if settings.queue_full == "503":
            raise ApiError(503, "SERVICE_UNAVAILABLE", message)
        code = "QUEUE_FULL" if settings.queue_full == "queue-full" else "RATE_LIMIT_EXCEEDED"
        usage = Usage(len(queued), 0, min(task.ends_at for task in queued))
        raise rate_limited(message, usage, now, settings, code=code)

    def _new_id(self, now: float) -> str:
        while True:
            task_id = new_task_id(now, self.settings, self._rng)
            if task_id not in self._tasks:
                return task_id

    def find(self, key: Key, task_id: str) -> Task:
        """Return a task of this key's account, or refuse the request with 404."""
        with self._lock:
            task, now = self.find_any(task_id), self.clock.now()
            if task is None or not self._is_known(task, now) or task.account is not key.account:
                raise task_not_found(task_id)
            if now < task.created_at + self.settings.scaled(self.settings.status_lag_seconds):
                raise task_not_found(task_id)
            return task

    def find_any(self, task_id: str) -> Task | None:
        """Return a task of any account, also a lost task."""
        with self._lock:
            self._settle(self.clock.now())
            return self._tasks.get(task_id)

    def secret_of(self, task: Task) -> str | None:
        """Return the key that submitted a task."""
        with self._lock:
            return next((key.secret for key in self._keys.all() if key.fingerprint == task.key), None)

    def history(self, key: Key) -> list[Task]:
        """Return the tasks of the key's account in the order of the history."""
        with self._lock:
            now, settings = self.clock.now(), self.settings
            self._settle(now)
            newest = now - settings.scaled(settings.history_lag_seconds)
            tasks = [
                task
                for task in self._tasks.values()
                if task.account is key.account and self._is_known(task, now) and task.created_at <= newest
            ]
            if settings.history_order == "newest":
                tasks.reverse()
            elif settings.history_order == "shuffled":
                # By a hash, so that the order is the same on every page.
                tasks.sort(key=lambda task: hashlib.sha256(f"{settings.seed}/{task.id}".encode()).digest())
            return tasks

    def apply_fault(self, task: Task, fault: Fault) -> None:
        """Change the course of a task as a fault demands."""
        with self._lock:
            if fault.kind == "fail_generation":
                task.failure = Failure("GENERATION_FAILED", fault.error)
            elif fault.kind == "report_failed":
                start = self.clock.now() + fault.after
                reason = Failure("GENERATION_FAILED", fault.error)
                task.false_failure = FalseFailure(start, start + fault.seconds, reason)
            elif fault.kind == "lose_task":
                task.lost = True
            elif fault.kind == "no_videos":
                task.samples = 0
            else:
                task.samples = max(0, task.samples - 1)

    def _is_known(self, task: Task, now: float) -> bool:
        lifetime = self.settings.task_lifetime_seconds
        expired = lifetime is not None and now >= task.ends_at + self.settings.scaled(lifetime)
        return not (expired or task.lost)

    def _settle(self, now: float) -> None:
        """Refund the tasks that failed since the last call."""
        for task in self._unfinished:
            if task.ends_at <= now and task.failure is not None:
                task.refunded = task.cost
                task.account.credits += task.cost
        self._unfinished = [task for task in self._unfinished if task.ends_at > now]
