"""The ledger: every accepted generation, credit and request, for tests to assert."""

from __future__ import annotations

import dataclasses
from collections import Counter, defaultdict, deque
from typing import TYPE_CHECKING, Any

from airflow_provider_veo3.emulator.service.clock import iso
from airflow_provider_veo3.emulator.service.tasks import State

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow_provider_veo3.emulator.service.accounts import Key
    from airflow_provider_veo3.emulator.service.tasks import Task

# Older entries are dropped, so that a campaign of days does not fill the memory; the counts stay exact.
RECENT = 2000
CUT = "cut"


@dataclasses.dataclass(frozen=True)
class Entry:
    """A request in the ledger.

    :param status: HTTP status of the response, or ``cut`` for a connection that was reset instead.
    :param key: fingerprint of the API key.
    :param fault: names of the faults that the request met.
    """

    at: float
    method: str
    endpoint: str
    path: str
    status: str
    key: str | None
    task_id: str | None
    fault: str | None

    def shown(self) -> dict[str, Any]:
        """Return the entry as JSON."""
        return {**dataclasses.asdict(self), "at": iso(self.at)}


class Ledger:
    """Counts of all requests, and the recent requests in full."""

    def __init__(self) -> None:
        self._recent: deque[Entry] = deque(maxlen=RECENT)
        self._counts: dict[str, Counter[str]] = defaultdict(Counter)
        self._leaks: deque[dict[str, Any]] = deque(maxlen=RECENT)

    def add(self, entry: Entry) -> None:
        """Record a request."""
        self._recent.append(entry)
        self._counts[entry.endpoint][entry.status] += 1

    def add_leak(self, at: float, path: str, key: str) -> None:
        """Record an API key in a request to the file host.

        :param key: fingerprint of the key.
        """
        self._leaks.append({"at": iso(at), "path": path, "key": key})

    def shown(self, now: float, tasks: Iterable[Task], keys: Iterable[Key]) -> dict[str, Any]:
        """Return the whole ledger as JSON."""
        entries = [_task(task, now) for task in tasks]
        states = Counter(entry["status"] for entry in entries)
        accounts: dict[str, dict[str, Any]] = {}
        for key in keys:
            owner = key.account
            account = accounts.setdefault(
                owner.name, {"account": owner.name, "credits": owner.credits, "keys": []}
            )
            account["keys"].append({"fingerprint": key.fingerprint, "disabled": key.disabled})
        return {
            "now": iso(now),
            "accounts": list(accounts.values()),
            "tasks": entries,
            "totals": {
                "accepted": len(entries),
                **{state.name.lower(): states[state.name.lower()] for state in State},
                "charged": sum(entry["charged"] for entry in entries),
                "refunded": sum(entry["refunded"] for entry in entries),
                "fetched_files": sum(len(entry["fetched"]) for entry in entries),
                "fetched_bytes": sum(file["bytes"] for entry in entries for file in entry["fetched"]),
                "requests": sum(counts.total() for counts in self._counts.values()),
            },
            "requests": {endpoint: dict(counts) for endpoint, counts in self._counts.items()},
            "recent_requests": [entry.shown() for entry in self._recent],
            "api_key_leaks": list(self._leaks),
        }


def _task(task: Task, now: float) -> dict[str, Any]:
    state = task.state(now)
    return {
        "id": task.id,
        "account": task.account.name,
        "key": task.key,
        "type": task.type,
        "model": task.parameters.model.id,
        "prompt": task.parameters.prompt,
        "options": task.options,
        "images": [
            {
                "field": upload.field,
                "filename": upload.filename,
                "size": upload.size,
                "mime_type": upload.mime_type,
                "sha256": upload.sha256,
            }
            for upload in task.uploads
        ],
        "created": iso(task.created_at),
        "finished": iso(task.ends_at) if state.finished else None,
        "status": state.name.lower(),
        "error": task.failure.message if task.failure and state.finished else None,
        "reply": task.sent_status,
        "lost": task.lost,
        "charged": task.cost,
        "refunded": task.refunded,
        "videos": task.samples if state is State.COMPLETED else 0,
        "fetched": [
            {"index": index, "requests": fetches.requests, "bytes": fetches.bytes}
            for index, fetches in sorted(task.fetches.items())
        ],
    }
