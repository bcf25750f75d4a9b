"""What a campaign wants, what goes wrong in it and who is killed: all of it from one seed. Pure."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

T = TypeVar("T")

TWIN_SHARE: Final = 5
"""Of so many generations one has a twin: another with the very same prompt."""

CHAIN_SHARE: Final = 4
"""Of so many generations one is submitted, waited for and stored by three tasks instead of two."""

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
class Wanted:
    """One video that somebody wants.

    :param group: the DAG's task group. ``whole``: one task submits and waits, another stores; ``chain``:
        submit, sensor, store; ``twin_whole`` and ``twin_chain``: likewise, for prompts that come twice.
    :param prompt: told apart by its number, but for twins, which share one.
    """

    group: str
    prompt: str
    duration_seconds: int


HANG: Final = "hang"
"""The victim that is stopped and goes on later, in place of being killed."""

HANG_SHARE: Final = 6
"""Of so many kills each brings a hang along."""


@dataclass(frozen=True)
class Kill:
    """One SIGKILL, or a hang: a task and its supervisor are stopped, and go on when others have taken over.

    :param victim: who; see ``victims``.
    :param after: seconds since the kill before it.
    :param moment: what to wait for then: ``task`` (a task runs), ``accepted`` (the API has just accepted a
        generation) or ``fetching`` (a file is being fetched).
    :param aim: seconds from that moment to the kill.
    :param draw: 0 to 1; which of several possible victims it is.
    :param hang: seconds until it goes on; 0 for a kill.
    """

    victim: str
    after: float
    moment: str
    aim: float
    draw: float
    hang: float = 0.0


@dataclass(frozen=True)
class Plan:
    """A campaign, whole and reproducible."""

    seed: int
    wanted: tuple[Wanted, ...]
    faults: tuple[dict[str, Any], ...]
    kills: tuple[Kill, ...]
    emulator: dict[str, str | float]

    def wave(self, number: int) -> tuple[Wanted, ...]:
        """Give what the DAG run of this number, from 1, is to make.

        Each wants other prompts. Only the tasks of one run know of each other, and of two runs that want the
        same within a minute or two one may take a video of the other's for one whose answer was lost.
        """
        if number == 1:
            return self.wanted
        return tuple(replace(each, prompt=f"Take {number}, {each.prompt}") for each in self.wanted)


def make_plan(seed: int, generations: int, kills: int, victims: Sequence[tuple[str, int]]) -> Plan:
    """Draw everything from the seed.

    :param victims: who can be killed, and how often in relation to the others.
    """
    wanted = tuple(_wanted(random.Random(f"{seed}/wanted"), generations))
    faults = _faults(random.Random(f"{seed}/faults"), wanted)
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
    return Plan(
        seed, wanted, tuple(faults), tuple(_kills(random.Random(f"{seed}/kills"), kills, victims)), emulator
    )


def _wanted(draws: random.Random, generations: int) -> Iterator[Wanted]:
    twins = 2 * (generations // (2 * TWIN_SHARE)) or (2 if generations > 1 else 0)
    groups = ["chain" if number % CHAIN_SHARE == 0 else "whole" for number in range(1, generations + 1)]
    draws.shuffle(groups)
    for number, group in enumerate(groups):
        if number < twins:  # the same in everything, or they are no twins
            pair = number // 2
            yield Wanted(f"twin_{group}", f"Twins {pair:02d}: {SCENES[pair % len(SCENES)]}", 8)
        else:
            scene = SCENES[number % len(SCENES)]
            yield Wanted(group, f"Video {number:02d}: {scene}", draws.choice((5, 6, 8)))


TOO_MANY: Final = {"kind": "status", "status": 429, "headers": {"X-RateLimit-Retry-After": "2"}}

# What can happen to one generation's requests; each is dealt out like cards, so that every kind comes up.
_SUBMIT: Final[tuple[dict[str, Any], ...]] = (
    {"kind": "accept_then_disconnect"},
    {"kind": "accept_then_status", "status": 502},
    {"kind": "stall", "seconds": 4.0, "bytes": 5},
    {"kind": "disconnect_before"},
    {"kind": "accept_then_disconnect"},
    TOO_MANY,
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
    TOO_MANY,
    {"kind": "truncate"},
    {"kind": "html_instead"},
    {"kind": "delay", "seconds": 2.0},
    {"kind": "status", "status": 503},
)
_LINKS: Final[tuple[dict[str, Any], ...]] = (
    {"kind": "status", "status": 503},
    {"kind": "garbage"},
    {"kind": "disconnect_before"},
    TOO_MANY,
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
    TOO_MANY,
    {"kind": "truncate"},
    {"kind": "delay", "seconds": 2.0},
)
FAILED_SHARE: Final = 5
"""Of so many generations that a task waits for one fails at the vendor, and is refunded."""


def _faults(draws: random.Random, wanted: Sequence[Wanted]) -> list[dict[str, Any]]:
    submits, statuses, links, files = (_deal(draws, cards) for cards in (_SUBMIT, _STATUS, _LINKS, _FILE))
    faults: list[dict[str, Any]] = []
    # only where the same task can want it anew; what is merely submitted is then for a person to clear
    chained = {each.prompt for each in wanted if "chain" in each.group}
    failing = [number for number, each in enumerate(wanted) if each.prompt not in chained][1::FAILED_SHARE]
    for number, each in enumerate(wanted):
        mine = {"prompt_contains": each.prompt}
        if draws.random() < 0.75:  # noqa: PLR2004 - the others go well at first
            faults.append({**next(submits), "endpoint": "text-to-video", **mine})
        if number in failing:
            faults.append({"kind": "fail_generation", **mine})
        faults.append({**next(statuses), "endpoint": "status", **mine, "times": draws.randint(1, 2)})
        if draws.random() < 0.5:  # noqa: PLR2004 - likewise
            faults.append({**next(links), "endpoint": "download", **mine})
        faults.append({**next(files), "endpoint": "file", **mine, "times": draws.randint(1, 2)})
    for card in _HISTORY:
        count = max(1, len(wanted) // 10)
        faults.append({**card, "endpoint": "history", "skip": draws.randint(0, 5), "times": count})
    return faults


_MOMENTS: Final = ("task", "accepted", "task", "fetching")


def _kills(draws: random.Random, count: int, victims: Sequence[tuple[str, int]]) -> Iterator[Kill]:
    who = _deal(draws, [name for name, share in victims for _ in range(share)])
    moments = _deal(draws, _MOMENTS)
    for number in range(count):
        yield _kill(draws, next(who), next(moments))
        if number % HANG_SHARE == 1:
            yield replace(_kill(draws, HANG, next(moments)), hang=round(draws.uniform(25, 45), 1))


def _kill(draws: random.Random, victim: str, moment: str) -> Kill:
    return Kill(
        victim=victim,
        after=round(draws.uniform(0.3, 4.0), 2),
        moment=moment,
        aim=round(draws.uniform(0.0, 2.5 if moment == "task" else 0.4), 3),
        draw=draws.random(),
    )


def _deal(draws: random.Random, cards: Sequence[T]) -> Iterator[T]:
    """Yield the cards in a random order, and again, without end: none comes up seldom."""
    while True:
        pack = list(cards)
        draws.shuffle(pack)
        yield from pack
