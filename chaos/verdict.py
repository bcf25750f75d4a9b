"""Verdict on a campaign: paid once, stored whole, never visible broken. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

COMPLETED: Final = "completed"


class Content(NamedTuple):
    """Size and hash of a file."""

    size: int
    sha256: str


@dataclass(frozen=True)
class LedgerEntry:
    """A generation that the API accepted, as its ledger has it.

    :param status: ``completed``, ``failed``, or a status of a generation in progress.
    :param charged: credits charged.
    :param refunded: credits refunded.
    """

    id: str
    prompt: str
    status: str
    charged: int
    refunded: int

    @property
    def paid(self) -> bool:
        """Return whether the generation cost credits after refunds."""
        return self.charged > self.refunded


@dataclass(frozen=True)
class Observation:
    """A change of a visible file at the destination.

    :param at: Unix time in seconds.
    :param name: path below the destination.
    :param content: the new content; ``None`` if the file has disappeared.
    """

    at: float
    name: str
    content: Content | None


@dataclass(frozen=True)
class Delivery:
    """A video that a download task returned.

    :param prompt: prompt that the task was for.
    :param generation_id: generation that the task says it stored.
    :param name: file name that the task says it stored.
    :param content: content that the task says it stored.
    """

    prompt: str
    generation_id: str
    name: str
    content: Content


@dataclass(frozen=True)
class Evidence:
    """Evidence that a campaign leaves.

    :param requested: prompts, repeated for duplicates.
    :param ledger: generations that the API accepted.
    :param deliveries: results of the download tasks.
    :param observations: changes that the observer saw, in order.
    :param scans: number of scans that the observer made.
    :param expected_files: the files by name, as the API serves them without faults.
    :param run_state: ``success``, or the state of the DAG run that did not succeed.
    :param kills_planned: number of planned kills.
    :param kills: number of kills carried out, by victim.
    :param key_leaks: requests to the file host that carried the API key.
    """

    requested: Sequence[str]
    ledger: Sequence[LedgerEntry]
    deliveries: Sequence[Delivery]
    observations: Sequence[Observation]
    scans: int
    expected_files: Mapping[str, Content]
    run_state: str
    kills_planned: int
    kills: Mapping[str, int] = field(default_factory=dict)
    key_leaks: int = 0


@dataclass(frozen=True)
class Verdict:
    """Counts of a campaign, and a sentence for each breach.

    :param requested: number of requested videos.
    :param accepted: number of generations that the API accepted.
    :param charged: credits charged.
    :param refunded: credits refunded.
    :param stored: paid generations that are stored whole.
    :param double_charges: generations paid for beyond what was requested.
    :param lost_videos: generations paid for, but not stored whole at the end or not delivered.
    :param broken_objects: observations of a file that is not what the API serves.
    :param problems: reasons why the campaign proves nothing.
    """

    requested: int
    accepted: int
    charged: int
    refunded: int
    stored: int
    double_charges: tuple[str, ...]
    lost_videos: tuple[str, ...]
    broken_objects: tuple[str, ...]
    problems: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Return whether there is neither a breach nor a problem."""
        return not (self.double_charges or self.lost_videos or self.broken_objects or self.problems)


@dataclass
class KillCounts:
    """Numbers of kills, hangs and restarts that were carried out.

    :param kills: SIGKILLs by victim.
    :param moments: kills and hangs by the event that they waited for.
    :param hangs: number of hangs.
    :param restarts: restarts by component; also of components that ended by themselves.
    :param stuck_schedulers: restarts of a scheduler whose executor had lost a task.
    """

    kills: Counter[str] = field(default_factory=Counter)
    moments: Counter[str] = field(default_factory=Counter)
    hangs: int = 0
    restarts: Counter[str] = field(default_factory=Counter)
    stuck_schedulers: int = 0


@dataclass
class Outcome:
    """Verdict on a campaign, and the numbers of its report.

    :param faults: faults that met a request, by name.
    :param reused: paid generations that a later attempt reused, by the way it found them.
    :param attempts: attempts of all tasks together.
    :param scans: scans of the destination.
    :param seconds: duration from the start of the first process.
    :param logs: folder of the logs, kept only for a failed campaign.
    """

    verdict: Verdict
    killed: KillCounts
    faults: Counter[str]
    reused: Counter[str]
    attempts: int
    scans: int
    seconds: float
    logs: Path | None = None


def judge(evidence: Evidence) -> Verdict:
    """Return the verdict on the evidence."""
    paid = [entry for entry in evidence.ledger if entry.paid]
    final_files = {each.name: each.content for each in evidence.observations}
    names = _names_by_generation(evidence.expected_files)
    whole = [
        entry for entry in paid if _is_whole(names.get(entry.id, ()), final_files, evidence.expected_files)
    ]
    return Verdict(
        requested=len(evidence.requested),
        accepted=len(evidence.ledger),
        charged=sum(entry.charged for entry in evidence.ledger),
        refunded=sum(entry.refunded for entry in evidence.ledger),
        stored=len(whole),
        double_charges=tuple(_double_charges(evidence.requested, paid)),
        lost_videos=tuple(_lost_videos(evidence, paid, {entry.id for entry in whole})),
        broken_objects=tuple(_broken_objects(evidence.observations, evidence.expected_files)),
        problems=tuple(_problems(evidence, final_files)),
    )


def _names_by_generation(names: Iterable[str]) -> dict[str, list[str]]:
    """Group file names, ``{generation_id}_{index}.mp4``, by generation."""
    grouped: dict[str, list[str]] = defaultdict(list)
    for name in names:
        grouped[name.rsplit("_", 1)[0]].append(name)
    return grouped


def _is_whole(
    names: Sequence[str], final_files: Mapping[str, Content | None], expected: Mapping[str, Content]
) -> bool:
    return bool(names) and all(final_files.get(name) == expected[name] for name in names)


def _double_charges(requested: Sequence[str], paid: Sequence[LedgerEntry]) -> Iterable[str]:
    count = Counter(requested)
    by_prompt: dict[str, list[str]] = defaultdict(list)
    for entry in paid:
        by_prompt[entry.prompt].append(entry.id)
    for prompt, ids in by_prompt.items():
        extra = len(ids) - count[prompt]
        for number in range(1, extra + 1):
            yield (
                f"{prompt!r}: {count[prompt]} requested, {len(ids)} paid for ({', '.join(ids)});"
                f" extra charge {number} of {extra}"
            )


def _lost_videos(evidence: Evidence, paid: Sequence[LedgerEntry], whole: set[str]) -> Iterable[str]:
    deliveries = Counter(each.generation_id for each in evidence.deliveries)
    for entry in paid:
        if entry.id not in whole:
            yield f"{entry.id} ({entry.prompt!r}, {entry.status}) was paid for and is not stored whole"
        elif not deliveries[entry.id]:
            yield f"{entry.id} ({entry.prompt!r}) is stored, but no task delivered it"
    for generation_id, count in deliveries.items():
        if count > 1:
            yield f"{generation_id} was delivered to {count} tasks, each of which requested its own"


def _broken_objects(
    observations: Sequence[Observation], expected_files: Mapping[str, Content]
) -> Iterable[str]:
    for each in observations:
        expected = expected_files.get(each.name)
        if each.content is None:
            yield f"{each.name} disappeared at {each.at:.3f}"
        elif expected is None:
            yield f"{each.name} belongs to no completed generation"
        elif each.content != expected:
            yield (
                f"{each.name} at {each.at:.3f}: {each.content.size} bytes, {each.content.sha256:.12};"
                f" expected {expected.size} bytes, {expected.sha256:.12}"
            )


def _problems(evidence: Evidence, final_files: Mapping[str, Content | None]) -> Iterable[str]:
    if evidence.run_state != "success":
        yield f"the DAG run did not succeed: {evidence.run_state}"
    missing = Counter(evidence.requested) - Counter(each.prompt for each in evidence.deliveries)
    for prompt, count in missing.items():
        yield f"{prompt!r}: {count} requested but not delivered"
    for each in evidence.deliveries:
        if (
            evidence.expected_files.get(each.name) != each.content
            or final_files.get(each.name) != each.content
        ):
            yield f"{each.name}: the task returned {each.content.size} bytes, which is not what is stored"
    prompts = {entry.id: entry.prompt for entry in evidence.ledger}
    for each in evidence.deliveries:
        if prompts.get(each.generation_id) != each.prompt:
            yield f"{each.generation_id} was delivered for {each.prompt!r}, which is not its prompt"
    if not evidence.scans:
        yield "the observer made no scan of the destination"
    done = sum(evidence.kills.values())
    if done < evidence.kills_planned:
        yield f"only {done} of {evidence.kills_planned} kills were carried out before the campaign ended"
    if evidence.key_leaks:
        yield f"requests to the file host that carried the API key: {evidence.key_leaks}"


def read_ledger(ledger: Mapping[str, Any]) -> list[LedgerEntry]:
    """Parse the generations of the emulator's ledger."""
    return [
        LedgerEntry(task["id"], task["prompt"], task["status"], task["charged"], task["refunded"])
        for task in ledger["tasks"]
    ]
