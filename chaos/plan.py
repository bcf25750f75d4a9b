"""Plan of a campaign, drawn from a seed: videos, faults of the API, kills. Pure."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

T = TypeVar("T")

VICTIMS: Final = {
    "embedded": (
        ("task", 4),
        ("supervisor", 2),
        ("supervisor+task", 2),
        ("triggerer", 2),
        ("triggerer+all", 1),
        ("scheduler", 2),
        ("scheduler+all", 1),
        ("api-server", 1),
    ),
    "distributed": (
        ("task", 3),
        ("supervisor", 2),
        ("supervisor+task", 1),
        ("worker", 2),
        ("worker+all", 2),
        ("triggerer", 2),
        ("triggerer+all", 1),
        ("scheduler", 2),
        ("api-server", 1),
    ),
}
"""Processes that can be killed, with their weights, by mode. ``+all`` adds all child processes."""

HANG: Final = "hang"
"""Victim of a hang: a task and its supervisor, which are stopped and resumed later."""

HANG_INTERVAL: Final = 6
"""Kills per hang."""

DUPLICATE_INTERVAL: Final = 5
"""Generations per generation that has a duplicate, a second request with the same prompt."""

CHAIN_INTERVAL: Final = 4
"""Generations per generation that three tasks handle (submit, wait, download) instead of two."""

FAILURE_INTERVAL: Final = 5
"""Generations that a task waits for, per failure at the vendor with a refund."""

SCENES: Final = (
    "a lighthouse in fog",
    "a paper boat on a pond",
    "a fox crossing a snowfield",
    "rain on a tin roof",
    "a tram at dusk",
    "steam over a cup of tea",
    "a kite above dunes",
)


@dataclass(frozen=True)
class VideoRequest:
    """A video that the campaign requests.

    :param group: task group of the DAG. ``combined``: one task submits and waits, another downloads;
        ``chain``: submit, sensor, download. ``duplicate_combined`` and ``duplicate_chain`` do the same for
        prompts that are requested twice.
    :param prompt: unique by its number, except that two duplicates share one.
    """

    group: str
    prompt: str
    duration_seconds: int


@dataclass(frozen=True)
class Kill:
    """A planned SIGKILL, or a hang: SIGSTOP, and SIGCONT when other processes have taken over.

    :param victim: an entry of ``VICTIMS``, or ``HANG``.
    :param after: seconds since the kill before.
    :param moment: event to wait for then: ``task`` (a task is running), ``accepted`` (the API has just
        accepted a generation) or ``fetching`` (a file is being downloaded).
    :param delay: seconds from that moment to the kill.
    :param choice: selects among several possible victims; 0 <= choice < 1.
    :param hang: seconds of the hang; 0 for a kill.
    """

    victim: str
    after: float
    moment: str
    delay: float
    choice: float
    hang: float = 0.0


@dataclass(frozen=True)
class Plan:
    """A reproducible campaign.

    :param emulator: options of the emulator.
    """

    seed: int
    requests: tuple[VideoRequest, ...]
    faults: tuple[dict[str, Any], ...]
    kills: tuple[Kill, ...]
    emulator: dict[str, str | float]

    def wave(self, number: int) -> tuple[VideoRequest, ...]:
        """Return the requests of a DAG run.

        The prompts differ from run to run. Only the tasks of one run know each other's claims: if two runs
        requested the same within a minute or two, one could adopt a generation of the other.

        :param number: number of the run, from 1.
        """
        if number == 1:
            return self.requests
        return tuple(replace(each, prompt=f"Take {number}, {each.prompt}") for each in self.requests)


def make_plan(mode: str, seed: int, generations: int, kills: int) -> Plan:
    """Draw a plan from a seed.

    :param mode: ``embedded`` or ``distributed``.
    """
    requests = tuple(_requests(random.Random(f"{seed}/wanted"), generations))
    faults = tuple(_faults(random.Random(f"{seed}/faults"), requests))
    planned_kills = tuple(_kills(random.Random(f"{seed}/kills"), kills, VICTIMS[mode]))
    draws = random.Random(f"{seed}/world")
    emulator: dict[str, str | float] = {
        "seed": seed,
        "credits": 1_000_000,
        "processing_seconds": "3-10",
        "pending_seconds": 0.5,
        "height": 90,
        "requests_per_minute": "off",
        "requests_per_day": "off",
        "history_lag_seconds": round(draws.uniform(2, 8), 1),
        "history_order": draws.choice(("newest", "oldest", "shuffled")),
    }
    return Plan(seed, requests, faults, planned_kills, emulator)


def _requests(draws: random.Random, generations: int) -> Iterator[VideoRequest]:
    duplicates = 2 * (generations // (2 * DUPLICATE_INTERVAL)) or (2 if generations > 1 else 0)
    groups = ["chain" if number % CHAIN_INTERVAL == 0 else "combined" for number in range(1, generations + 1)]
    draws.shuffle(groups)
    for number, group in enumerate(groups):
        if number < duplicates:  # the same duration too, so that the requests are equal
            pair = number // 2
            prompt = f"Duplicate {pair:02d}: {SCENES[pair % len(SCENES)]}"
            yield VideoRequest(f"duplicate_{group}", prompt, 8)
        else:
            prompt = f"Video {number:02d}: {SCENES[number % len(SCENES)]}"
            yield VideoRequest(group, prompt, draws.choice((5, 6, 8)))


_RATE_LIMITED: Final = {"kind": "status", "status": 429, "headers": {"X-RateLimit-Retry-After": "2"}}

# Faults by endpoint. Each generation gets the next of a shuffled deck, so that every kind occurs.
_SUBMIT: Final[tuple[dict[str, Any], ...]] = (
    {"kind": "accept_then_disconnect"},
    {"kind": "accept_then_status", "status": 502},
    {"kind": "stall", "seconds": 4.0, "bytes": 5},
    {"kind": "disconnect_before"},
    {"kind": "accept_then_disconnect"},
    _RATE_LIMITED,
    {"kind": "truncate"},
    {"kind": "accept_then_status", "status": 500},
    {"kind": "delay", "seconds": 3.0},
    {"kind": "status", "status": 503},
    {"kind": "disconnect_mid_body"},
    {"kind": "garbage"},
)
_STATUS: Final[tuple[dict[str, Any], ...]] = (
    {"kind": "status", "status": 500},
    {"kind": "disconnect_before"},
    {"kind": "garbage"},
    _RATE_LIMITED,
    {"kind": "truncate"},
    {"kind": "html_instead"},
    {"kind": "delay", "seconds": 2.0},
    {"kind": "status", "status": 503},
)
_LINKS: Final[tuple[dict[str, Any], ...]] = (
    {"kind": "status", "status": 503},
    {"kind": "garbage"},
    {"kind": "disconnect_before"},
    _RATE_LIMITED,
)
_FILE: Final[tuple[dict[str, Any], ...]] = (
    {"kind": "truncate"},
    {"kind": "stall", "seconds": 3.0},
    {"kind": "html_instead"},
    {"kind": "expire"},
    {"kind": "disconnect_mid_body"},
    {"kind": "wrong_length"},
    {"kind": "stall", "seconds": 5.0},
    {"kind": "corrupt"},
    {"kind": "status", "status": 503},
    {"kind": "ignore_range"},
)
_HISTORY: Final[tuple[dict[str, Any], ...]] = (
    {"kind": "status", "status": 500},
    {"kind": "garbage"},
    {"kind": "disconnect_before"},
    _RATE_LIMITED,
    {"kind": "truncate"},
    {"kind": "delay", "seconds": 2.0},
)


def fault_name(fault: Mapping[str, Any]) -> str:
    """Return the kind, status and endpoint of a fault, such as ``status 503 at file``."""
    status = f" {fault['status']}" if fault.get("status") else ""
    endpoint = "submit" if fault["endpoint"] in ("text-to-video", "any") else fault["endpoint"]
    return f"{fault['kind']}{status} at {endpoint}"


def _faults(draws: random.Random, requests: Sequence[VideoRequest]) -> list[dict[str, Any]]:
    submits, statuses, links, files = (_deal(draws, deck) for deck in (_SUBMIT, _STATUS, _LINKS, _FILE))
    faults: list[dict[str, Any]] = []
    # Generations fail only where the same task can submit again; else a person would have to clear the task.
    chained = {each.prompt for each in requests if "chain" in each.group}
    retryable = [number for number, each in enumerate(requests) if each.prompt not in chained]
    failing = retryable[1::FAILURE_INTERVAL]
    for number, each in enumerate(requests):
        match = {"prompt_contains": each.prompt}
        if draws.random() < 0.75:  # noqa: PLR2004 - the others are accepted at first
            faults.append({**next(submits), "endpoint": "text-to-video", **match})
        if number in failing:
            faults.append({"kind": "fail_generation", **match})
        faults.append({**next(statuses), "endpoint": "status", **match, "times": draws.randint(1, 2)})
        if draws.random() < 0.5:  # noqa: PLR2004 - the others get their links at first
            faults.append({**next(links), "endpoint": "download", **match})
        faults.append({**next(files), "endpoint": "file", **match, "times": draws.randint(1, 2)})
    for fault in _HISTORY:
        count = max(1, len(requests) // 10)
        faults.append({**fault, "endpoint": "history", "skip": draws.randint(0, 5), "times": count})
    return faults


_MOMENTS: Final = ("task", "accepted", "task", "fetching")


def _kills(draws: random.Random, count: int, victims: Sequence[tuple[str, int]]) -> Iterator[Kill]:
    names = _deal(draws, [name for name, weight in victims for _ in range(weight)])
    moments = _deal(draws, _MOMENTS)
    for number in range(count):
        yield _kill(draws, next(names), next(moments))
        if number % HANG_INTERVAL == 1:
            yield replace(_kill(draws, HANG, next(moments)), hang=round(draws.uniform(25, 45), 1))


def _kill(draws: random.Random, victim: str, moment: str) -> Kill:
    return Kill(
        victim=victim,
        after=round(draws.uniform(0.3, 4.0), 2),
        moment=moment,
        delay=round(draws.uniform(0.0, 2.5 if moment == "task" else 0.4), 3),
        choice=draws.random(),
    )


def _deal(draws: random.Random, deck: Sequence[T]) -> Iterator[T]:
    """Yield the deck in random order, again and again, so that no card is rare."""
    while True:
        cards = list(deck)
        draws.shuffle(cards)
        yield from cards
