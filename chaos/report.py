"""Report of campaigns: progress lines, and tables at the end. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from testbed.console import text_table

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Mapping, Sequence

    from chaos.verdict import Outcome

MOST_BREACHES: Final = 12
"""Breaches of each kind that are printed."""


def progress_line(states: Mapping[str, int], ledger: Mapping[str, Any], kills: Counter[str]) -> str:
    """Return a line about the progress of a campaign.

    :param states: numbers of tasks by state; empty if the API server did not respond.
    """
    totals = ledger["totals"]
    tasks = ", ".join(
        f"{count} {state.replace('None', 'not scheduled')}" for state, count in sorted(states.items())
    )
    tasks = tasks or "the API server does not respond"
    accepted, completed = totals["accepted"], totals["completed"]
    return f"{accepted:3} accepted, {completed:3} completed, {kills.total():3} kills; tasks: {tasks}"


def summary(outcomes: Mapping[str, Outcome]) -> str:
    """Return a table of the verdicts, one column per campaign."""
    found = list(outcomes.values())
    rows: list[Sequence[str]] = [("", *outcomes)]
    for title, numbers in (
        ("generations requested", [o.verdict.requested for o in found]),
        ("generations accepted", [o.verdict.accepted for o in found]),
        ("credits charged", [o.verdict.charged for o in found]),
        ("credits refunded", [o.verdict.refunded for o in found]),
        ("stored whole", [o.verdict.stored for o in found]),
        ("double charges", [len(o.verdict.double_charges) for o in found]),
        ("lost videos", [len(o.verdict.lost_videos) for o in found]),
        ("broken objects ever visible", [len(o.verdict.broken_objects) for o in found]),
        ("scans of the destination", [o.scans for o in found]),
        ("SIGKILLs", [o.killed.kills.total() for o in found]),
        ("hangs (SIGSTOP)", [o.killed.hangs for o in found]),
        ("stuck schedulers restarted", [o.killed.stuck_schedulers for o in found]),
        ("task attempts", [o.attempts for o in found]),
        ("paid generations reused", [o.reused.total() for o in found]),
        ("faults met", [o.faults.total() for o in found]),
        ("seconds", [round(o.seconds) for o in found]),
    ):
        rows.append((title, *(str(number) for number in numbers)))
    return text_table(rows, right=range(1, len(rows[0])))


def disruptions(outcomes: Mapping[str, Outcome]) -> str:
    """Return a table of kills, restarts, faults and recoveries, one column per campaign."""
    found = list(outcomes.values())
    rows: list[Sequence[str]] = [("event", *outcomes)]
    for title, counters in (
        ("killed", [o.killed.kills for o in found]),
        ("restarted", [o.killed.restarts for o in found]),
        ("moment", [o.killed.moments for o in found]),
        ("fault", [o.faults for o in found]),
        ("reused", [o.reused for o in found]),
    ):
        names = sorted({name for counter in counters for name in counter})
        rows += [(f"{title}: {name}", *(str(counter[name]) for counter in counters)) for name in names]
    return text_table(rows, right=range(1, len(rows[0])))


def breaches(name: str, outcome: Outcome) -> str:
    """Return a line for each breach and problem, and the folder of the logs.

    It is empty for a passed campaign.

    :param name: name of the campaign.
    """
    lines = []
    verdict = outcome.verdict
    for kind, found in (
        ("DOUBLE CHARGE", verdict.double_charges),
        ("LOST VIDEO", verdict.lost_videos),
        ("BROKEN OBJECT", verdict.broken_objects),
        ("PROBLEM", verdict.problems),
    ):
        lines += [f"{name}, {kind}: {breach}" for breach in found[:MOST_BREACHES]]
        if len(found) > MOST_BREACHES:
            lines.append(f"{name}, {kind}: and {len(found) - MOST_BREACHES} more")
    if outcome.logs:
        lines.append(f"{name}, logs, ledger and observations: {outcome.logs}")
    return "\n".join(lines)
