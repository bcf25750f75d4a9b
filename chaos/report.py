"""What a person reads: lines of progress, and the table at the end. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from demo.videos import table

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Mapping, Sequence

    from chaos.campaign import Outcome

SHOWN: Final = 12
"""Breaches that are printed of each sort."""


def progress(states: Mapping[str, int], ledger: Mapping[str, Any], kills: Counter[str]) -> str:
    """Say in one line how far the campaign is."""
    totals = ledger["totals"]
    tasks = ", ".join(
        f"{count} {state.replace('None', 'not yet')}" for state, count in sorted(states.items())
    )
    tasks = tasks or "the API server does not answer"
    return f"{totals['accepted']:3} accepted, {totals['completed']:3} made, {kills.total():3} kills; {tasks}"


def fault_name(fault: Mapping[str, Any]) -> str:
    """Name a fault by what it does and where."""
    status = f" {fault['status']}" if fault.get("status") else ""
    endpoint = "submit" if fault["endpoint"] in ("text-to-video", "any") else fault["endpoint"]
    return f"{fault['kind']}{status} at {endpoint}"


def summary(outcomes: Mapping[str, Outcome]) -> str:
    """Lay out the verdicts of some campaigns side by side."""
    found = list(outcomes.values())
    rows: list[Sequence[str]] = [("", *outcomes)]
    for title, numbers in (
        ("generations wanted", [o.verdict.wanted for o in found]),
        ("generations accepted", [o.verdict.accepted for o in found]),
        ("credits charged", [o.verdict.charged for o in found]),
        ("credits refunded", [o.verdict.refunded for o in found]),
        ("stored whole", [o.verdict.stored for o in found]),
        ("double charges", [len(o.verdict.doubled) for o in found]),
        ("lost videos", [len(o.verdict.lost) for o in found]),
        ("broken objects ever visible", [len(o.verdict.broken) for o in found]),
        ("looks at the destination", [o.looks for o in found]),
        ("SIGKILLs", [o.kills.total() for o in found]),
        ("hangs (SIGSTOP)", [o.hangs for o in found]),
        ("stuck schedulers restarted", [o.nudges for o in found]),
        ("task attempts", [o.attempts for o in found]),
        ("paid videos taken up again", [o.rescued.total() for o in found]),
        ("faults met", [o.faults.total() for o in found]),
        ("seconds", [round(o.seconds) for o in found]),
    ):
        rows.append((title, *(str(number) for number in numbers)))
    return table(rows, right=range(1, len(rows[0])))


def deeds(outcomes: Mapping[str, Outcome]) -> str:
    """Lay out who was killed and what went wrong on purpose, campaigns side by side."""
    found = list(outcomes.values())
    rows: list[Sequence[str]] = [("what was done, how often", *outcomes)]
    for title, counters in (
        ("killed", [o.kills for o in found]),
        ("restarted", [o.restarts for o in found]),
        ("when", [o.moments for o in found]),
        ("fault", [o.faults for o in found]),
        ("taken up again", [o.rescued for o in found]),
    ):
        names = sorted({name for counter in counters for name in counter})
        rows += [(f"{title}: {name}", *(str(counter[name]) for counter in counters)) for name in names]
    return table(rows, right=range(1, len(rows[0])))


def breaches(name: str, outcome: Outcome) -> str:
    """Tell every breach of the promise, and where to look for its cause."""
    lines = []
    verdict = outcome.verdict
    for what, found in (
        ("DOUBLE CHARGE", verdict.doubled),
        ("LOST VIDEO", verdict.lost),
        ("BROKEN OBJECT", verdict.broken),
        ("TROUBLE", verdict.trouble),
    ):
        lines += [f"{name}, {what}: {breach}" for breach in found[:SHOWN]]
        if len(found) > SHOWN:
            lines.append(f"{name}, {what}: and {len(found) - SHOWN} more")
    if outcome.logs:
        lines.append(f"{name}, all logs, the ledger and what was seen: {outcome.logs}")
    return "\n".join(lines)
