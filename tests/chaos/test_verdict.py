"""The verdict on a campaign, and above all that it can be bad."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from chaos.report import breaches, disruptions, summary
from chaos.verdict import (
    Content,
    Delivery,
    Evidence,
    KillCounts,
    LedgerEntry,
    Observation,
    Outcome,
    judge,
    read_ledger,
)

FOX, BOAT = "Video 00: a fox", "Video 01: a boat"
WHOLE, HALF = Content(1000, "aa" * 32), Content(500, "bb" * 32)


def accepted(id_: str, prompt: str, status: str = "completed", refunded: int = 0) -> LedgerEntry:
    return LedgerEntry(id_, prompt, status, 190, refunded)


def delivered(id_: str, prompt: str, content: Content = WHOLE) -> Delivery:
    return Delivery(prompt, id_, f"{id_}_0.mp4", content)


def seen(id_: str, content: Content | None = WHOLE, at: float = 1.0) -> Observation:
    return Observation(at, f"{id_}_0.mp4", content)


GOOD = Evidence(
    requested=[FOX, BOAT],
    ledger=[accepted("veo_1", FOX), accepted("veo_2", BOAT)],
    deliveries=[delivered("veo_1", FOX), delivered("veo_2", BOAT)],
    observations=[seen("veo_1"), seen("veo_2")],
    scans=99,
    expected_files={"veo_1_0.mp4": WHOLE, "veo_2_0.mp4": WHOLE},
    run_state="success",
    kills_planned=2,
    kills={"task": 1, "scheduler": 1},
)


def test_videos_paid_once_and_stored_whole_pass() -> None:
    verdict = judge(GOOD)
    assert verdict.passed
    assert (verdict.requested, verdict.accepted, verdict.stored) == (2, 2, 2)
    assert (verdict.charged, verdict.refunded) == (380, 0)


def test_a_refunded_generation_that_was_submitted_again_is_no_double_charge() -> None:
    failed = accepted("veo_0", FOX, "failed", refunded=190)
    verdict = judge(replace(GOOD, ledger=[failed, *GOOD.ledger]))
    assert verdict.passed
    assert (verdict.accepted, verdict.charged, verdict.refunded) == (3, 570, 190)


def test_duplicates_are_two_requests_and_may_cost_twice() -> None:
    evidence = replace(
        GOOD,
        requested=[FOX, FOX],
        ledger=[accepted("veo_1", FOX), accepted("veo_2", FOX)],
        deliveries=[delivered("veo_1", FOX), delivered("veo_2", FOX)],
    )
    assert judge(evidence).passed


def test_a_video_paid_for_twice_is_a_double_charge_and_lost() -> None:
    verdict = judge(replace(GOOD, ledger=[*GOOD.ledger, accepted("veo_3", FOX)]))
    assert not verdict.passed
    (double_charge,) = verdict.double_charges
    assert FOX in double_charge
    assert "veo_1" in double_charge
    assert "veo_3" in double_charge
    assert any("veo_3" in lost for lost in verdict.lost_videos)


def test_a_video_paid_for_twice_is_a_double_charge_even_if_another_is_missing() -> None:
    verdict = judge(replace(GOOD, ledger=[accepted("veo_1", FOX), accepted("veo_2", FOX)]))
    assert len(verdict.double_charges) == 1


def test_a_failed_generation_that_was_not_refunded_is_lost() -> None:
    verdict = judge(replace(GOOD, ledger=[*GOOD.ledger, accepted("veo_3", BOAT, "failed")]))
    assert any("veo_3" in lost for lost in verdict.lost_videos)
    assert verdict.double_charges


def test_a_paid_video_that_is_not_stored_is_lost() -> None:
    verdict = judge(replace(GOOD, observations=[seen("veo_1")], deliveries=[delivered("veo_1", FOX)]))
    assert verdict.lost_videos == (f"veo_2 ({BOAT!r}, completed) was paid for and is not stored whole",)
    assert verdict.stored == 1
    assert any(BOAT in problem for problem in verdict.problems)


def test_a_generation_that_is_in_progress_at_the_end_is_lost() -> None:
    verdict = judge(replace(GOOD, ledger=[*GOOD.ledger, accepted("veo_3", FOX, "processing")]))
    assert any("veo_3" in lost for lost in verdict.lost_videos)


def test_one_generation_delivered_for_two_requests_is_a_loss() -> None:
    deliveries = [delivered("veo_1", FOX), delivered("veo_1", FOX)]
    evidence = replace(GOOD, requested=[FOX, FOX], deliveries=deliveries)
    assert any("delivered to 2 tasks" in lost for lost in judge(evidence).lost_videos)


def test_a_stored_video_that_no_task_delivered_is_lost() -> None:
    verdict = judge(replace(GOOD, deliveries=[delivered("veo_1", FOX)]))
    assert any("no task delivered it" in lost for lost in verdict.lost_videos)


@pytest.mark.parametrize(
    "observations",
    [
        [seen("veo_1", HALF, 1.0), seen("veo_1", WHOLE, 2.0), seen("veo_2")],
        [seen("veo_1"), seen("veo_2"), seen("veo_9")],
        [seen("veo_1"), seen("veo_1", None, 2.0), seen("veo_1", WHOLE, 3.0), seen("veo_2")],
        [seen("veo_1", Content(1000, "cc" * 32)), seen("veo_2")],
    ],
    ids=["half for a moment", "an unknown file", "gone for a moment", "right size, wrong bytes"],
)
def test_a_file_that_was_ever_visible_and_not_whole_is_broken(observations: list[Observation]) -> None:
    assert len(judge(replace(GOOD, observations=observations)).broken_objects) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"run_state": "failed"},
        {"scans": 0},
        {"kills": {"task": 1}},
        {"key_leaks": 1},
        {"deliveries": [delivered("veo_1", FOX), delivered("veo_2", BOAT, HALF)]},
        {"deliveries": [delivered("veo_2", FOX), delivered("veo_1", BOAT)]},
    ],
    ids=["run failed", "no scans", "too few kills", "key leaked", "wrong hash returned", "mixed up"],
)
def test_a_campaign_that_proves_nothing_does_not_pass(changes: dict[str, object]) -> None:
    verdict = judge(replace(GOOD, **changes))  # type: ignore[arg-type]
    assert not verdict.passed
    assert verdict.problems


def outcome_of(evidence: Evidence, kills: int = 0) -> Outcome:
    return Outcome(
        verdict=judge(evidence),
        killed=KillCounts(kills=Counter({"task": kills})),
        faults=Counter(),
        reused=Counter(),
        attempts=9,
        scans=99,
        seconds=61.2,
    )


def test_the_report_shows_every_kind_of_breach() -> None:
    evidence = replace(
        GOOD,
        ledger=[*GOOD.ledger, *(accepted(f"veo_x{number}", FOX) for number in range(20))],
        observations=[seen("veo_1", HALF), seen("veo_2")],
        run_state="failed",
    )
    outcome = outcome_of(evidence, kills=2)
    text = breaches("embedded", outcome)
    for word in ("DOUBLE CHARGE", "LOST VIDEO", "BROKEN OBJECT", "PROBLEM", "and 8 more"):
        assert word in text
    lines = {line[:27].strip(): line.split()[-1] for line in summary({"embedded": outcome}).splitlines()[2:]}
    assert lines["double charges"] == "20"
    assert lines["broken objects ever visible"] == "1"
    assert lines["SIGKILLs"] == "2"
    assert "killed: task" in disruptions({"embedded": outcome})


def test_the_report_of_a_passed_campaign_has_no_breaches() -> None:
    assert breaches("embedded", outcome_of(GOOD)) == ""


def test_the_ledger_is_parsed_as_the_emulator_writes_it() -> None:
    task = {"id": "veo_1", "prompt": FOX, "status": "failed", "charged": 190, "refunded": 190, "more": 1}
    (entry,) = read_ledger({"tasks": [task]})
    assert entry == accepted("veo_1", FOX, "failed", 190)
    assert not entry.paid
