"""What ledger, DAG run and observer say together: paid once, stored whole, never seen broken. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

COMPLETED: Final = "completed"


class Content(NamedTuple):
    """What a file is made of."""

    size: int
    sha256: str


@dataclass(frozen=True)
class Accepted:
    """A generation that the API has accepted, as its ledger says.

    :param id: its id.
    :param prompt: what was asked for.
    :param status: ``completed``, ``failed``, or what it is still.
    :param charged: credits taken.
    :param refunded: credits given back.
    """

    id: str
    prompt: str
    status: str
    charged: int
    refunded: int

    @property
    def paid(self) -> bool:
        """Whether somebody has paid for it in the end."""
        return self.charged > self.refunded


@dataclass(frozen=True)
class Sighting:
    """A file as it was once seen under its name.

    :param at: Unix seconds.
    :param name: below the destination.
    :param content: ``None`` when it was there before and is gone.
    """

    at: float
    name: str
    content: Content | None


@dataclass(frozen=True)
class Delivered:
    """What a download task returned at its end.

    :param prompt: of the video that was wanted.
    :param generation_id: which generation it says it has stored.
    :param name: under which name.
    :param content: what it says it has stored.
    """

    prompt: str
    generation_id: str
    name: str
    content: Content


@dataclass(frozen=True)
class Facts:
    """All that is known at the end of a campaign.

    :param wanted: prompts, each as often as it was wanted.
    :param accepted: the ledger.
    :param delivered: what the DAG run's download tasks returned.
    :param sightings: what the observer saw, in order.
    :param looks: how often it looked.
    :param truth: the files as the API serves them when nothing goes wrong, by name.
    :param run_state: of the DAG run; ``success`` when all went to its end.
    :param kills_planned: how many were to be.
    :param kills: how many there were, by victim.
    :param key_leaks: requests to the file host that carried the API key.
    """

    wanted: Sequence[str]
    accepted: Sequence[Accepted]
    delivered: Sequence[Delivered]
    sightings: Sequence[Sighting]
    looks: int
    truth: Mapping[str, Content]
    run_state: str
    kills_planned: int
    kills: Mapping[str, int] = field(default_factory=dict)
    key_leaks: int = 0


@dataclass(frozen=True)
class Verdict:
    """The counts, and every breach of the promise in words.

    :param doubled: what was paid for beyond what was wanted.
    :param lost: paid for, but not stored whole at the end, or delivered to nobody.
    :param broken: looks at which a visible file was not what the API serves.
    :param trouble: what keeps the campaign from proving anything.
    """

    wanted: int
    accepted: int
    charged: int
    refunded: int
    stored: int
    doubled: tuple[str, ...]
    lost: tuple[str, ...]
    broken: tuple[str, ...]
    trouble: tuple[str, ...]

    @property
    def kept(self) -> bool:
        """Whether the promise was kept, and put to the test."""
        return not (self.doubled or self.lost or self.broken or self.trouble)


def judge(facts: Facts) -> Verdict:
    """Weigh the facts."""
    paid = [each for each in facts.accepted if each.paid]
    at_the_end = {sighting.name: sighting.content for sighting in facts.sightings}
    names = _names(facts.truth)
    whole = [each for each in paid if _is_whole(names.get(each.id, ()), at_the_end, facts.truth)]
    return Verdict(
        wanted=len(facts.wanted),
        accepted=len(facts.accepted),
        charged=sum(each.charged for each in facts.accepted),
        refunded=sum(each.refunded for each in facts.accepted),
        stored=len(whole),
        doubled=tuple(_doubled(facts.wanted, paid)),
        lost=tuple(_lost(facts, paid, {each.id for each in whole})),
        broken=tuple(_broken(facts.sightings, facts.truth)),
        trouble=tuple(_trouble(facts, at_the_end)),
    )


def _names(truth: Iterable[str]) -> dict[str, list[str]]:
    """Give the files of each generation: ``{generation_id}_{index}.mp4``."""
    names: dict[str, list[str]] = defaultdict(list)
    for name in truth:
        names[name.rsplit("_", 1)[0]].append(name)
    return names


def _is_whole(
    names: Sequence[str], at_the_end: Mapping[str, Content | None], truth: Mapping[str, Content]
) -> bool:
    return bool(names) and all(at_the_end.get(name) == truth[name] for name in names)


def _doubled(wanted: Sequence[str], paid: Sequence[Accepted]) -> Iterable[str]:
    count = Counter(wanted)
    by_prompt: dict[str, list[str]] = defaultdict(list)
    for each in paid:
        by_prompt[each.prompt].append(each.id)
    for prompt, ids in by_prompt.items():
        for extra in range(len(ids) - count[prompt]):
            yield f"{prompt!r}: wanted {count[prompt]}, paid {', '.join(ids)}: {extra + 1} too many"


def _lost(facts: Facts, paid: Sequence[Accepted], whole: set[str]) -> Iterable[str]:
    holders = Counter(each.generation_id for each in facts.delivered)
    for each in paid:
        if each.id not in whole:
            yield f"{each.id} ({each.prompt!r}, {each.status}) was paid for and is not stored whole"
        elif not holders[each.id]:
            yield f"{each.id} ({each.prompt!r}) is stored, but no task delivered it"
    for generation_id, count in holders.items():
        if count > 1:
            yield f"{generation_id} was delivered to {count} tasks, of which each wanted its own"


def _broken(sightings: Sequence[Sighting], truth: Mapping[str, Content]) -> Iterable[str]:
    for sighting in sightings:
        right = truth.get(sighting.name)
        if sighting.content is None:
            yield f"{sighting.name} vanished at {sighting.at:.3f}"
        elif right is None:
            yield f"{sighting.name} is no file of a completed generation"
        elif sighting.content != right:
            seen = f"{sighting.content.size} bytes, {sighting.content.sha256:.12}"
            yield f"{sighting.name} at {sighting.at:.3f}: {seen}, not {right.size} bytes, {right.sha256:.12}"


def _trouble(facts: Facts, at_the_end: Mapping[str, Content | None]) -> Iterable[str]:
    if facts.run_state != "success":
        yield f"the DAG run did not succeed: {facts.run_state}"
    missing = Counter(facts.wanted) - Counter(each.prompt for each in facts.delivered)
    for prompt, count in missing.items():
        yield f"{prompt!r}: wanted, but {count} not delivered"
    for each in facts.delivered:
        if facts.truth.get(each.name) != each.content or at_the_end.get(each.name) != each.content:
            yield f"{each.name}: its task returned {each.content.size} bytes, which is not what is stored"
    known = {each.id: each for each in facts.accepted}
    for each in facts.delivered:
        if each.generation_id not in known or known[each.generation_id].prompt != each.prompt:
            yield f"{each.generation_id} was delivered for {each.prompt!r}, which it does not show"
    if not facts.looks:
        yield "the observer never looked"
    done = sum(facts.kills.values())
    if done < facts.kills_planned:
        yield f"only {done} of {facts.kills_planned} kills were done before the campaign was over"
    if facts.key_leaks:
        yield f"the file host was sent the API key {facts.key_leaks} times"


def read_accepted(ledger: Mapping[str, Any]) -> list[Accepted]:
    """Read the emulator's ledger."""
    return [
        Accepted(task["id"], task["prompt"], task["status"], task["charged"], task["refunded"])
        for task in ledger["tasks"]
    ]
