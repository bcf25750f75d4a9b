"""The verdict of a campaign, above all that it can be bad: one that cannot fail proves nothing."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from chaos.campaign import Outcome
from chaos.report import breaches, deeds, summary
from chaos.verdict import Accepted, Content, Delivered, Facts, Sighting, judge, read_accepted

FOX, BOAT = "Video 00: a fox", "Video 01: a boat"
WHOLE, HALF = Content(1000, "aa" * 32), Content(500, "bb" * 32)


def accepted(id_: str, prompt: str, status: str = "completed", refunded: int = 0) -> Accepted:
    return Accepted(id_, prompt, status, 190, refunded)


def delivered(id_: str, prompt: str, content: Content = WHOLE) -> Delivered:
    return Delivered(prompt, id_, f"{id_}_0.mp4", content)


def seen(id_: str, content: Content | None = WHOLE, at: float = 1.0) -> Sighting:
    return Sighting(at, f"{id_}_0.mp4", content)


GOOD = Facts(
    wanted=[FOX, BOAT],
    accepted=[accepted("veo_1", FOX), accepted("veo_2", BOAT)],
    delivered=[delivered("veo_1", FOX), delivered("veo_2", BOAT)],
    sightings=[seen("veo_1"), seen("veo_2")],
    looks=99,
    truth={"veo_1_0.mp4": WHOLE, "veo_2_0.mp4": WHOLE},
    run_state="success",
    kills_planned=2,
    kills={"task": 1, "scheduler": 1},
)


def test_what_was_paid_once_and_stored_whole_keeps_the_promise() -> None:
    verdict = judge(GOOD)
    assert verdict.kept
    assert (verdict.wanted, verdict.accepted, verdict.stored) == (2, 2, 2)
    assert (verdict.charged, verdict.refunded) == (380, 0)


def test_a_failed_generation_that_was_refunded_and_made_again_is_no_double_charge() -> None:
    again = accepted("veo_0", FOX, "failed", refunded=190)
    verdict = judge(replace(GOOD, accepted=[again, *GOOD.accepted]))
    assert verdict.kept
    assert (verdict.accepted, verdict.charged, verdict.refunded) == (3, 570, 190)


def test_twins_are_two_and_may_cost_twice() -> None:
    facts = replace(
        GOOD,
        wanted=[FOX, FOX],
        accepted=[accepted("veo_1", FOX), accepted("veo_2", FOX)],
        delivered=[delivered("veo_1", FOX), delivered("veo_2", FOX)],
    )
    assert judge(facts).kept


def test_a_video_paid_for_twice_is_a_double_charge_and_lost() -> None:
    verdict = judge(replace(GOOD, accepted=[*GOOD.accepted, accepted("veo_3", FOX)]))
    assert not verdict.kept
    (doubled,) = verdict.doubled
    assert FOX in doubled
    assert "veo_1" in doubled
    assert "veo_3" in doubled
    assert any("veo_3" in lost for lost in verdict.lost)


def test_a_video_paid_for_twice_is_a_double_charge_even_if_another_is_missing() -> None:
    verdict = judge(replace(GOOD, accepted=[accepted("veo_1", FOX), accepted("veo_2", FOX)]))
    assert len(verdict.doubled) == 1


def test_one_that_failed_and_was_not_refunded_is_lost() -> None:
    verdict = judge(replace(GOOD, accepted=[*GOOD.accepted, accepted("veo_3", BOAT, "failed")]))
    assert any("veo_3" in lost for lost in verdict.lost)
    assert verdict.doubled


def test_a_paid_video_that_is_not_stored_is_lost() -> None:
    verdict = judge(replace(GOOD, sightings=[seen("veo_1")], delivered=[delivered("veo_1", FOX)]))
    assert verdict.lost == (f"veo_2 ({BOAT!r}, completed) was paid for and is not stored whole",)
    assert verdict.stored == 1
    assert any(BOAT in trouble for trouble in verdict.trouble)


def test_a_generation_that_is_still_going_at_the_end_is_lost() -> None:
    verdict = judge(replace(GOOD, accepted=[*GOOD.accepted, accepted("veo_3", FOX, "processing")]))
    assert any("veo_3" in lost for lost in verdict.lost)


def test_one_generation_for_two_who_each_wanted_their_own_is_a_loss() -> None:
    facts = replace(GOOD, wanted=[FOX, FOX], delivered=[delivered("veo_1", FOX), delivered("veo_1", FOX)])
    assert any("delivered to 2 tasks" in lost for lost in judge(facts).lost)


def test_a_stored_video_that_nobody_was_given_is_lost() -> None:
    verdict = judge(replace(GOOD, delivered=[delivered("veo_1", FOX)]))
    assert any("no task delivered it" in lost for lost in verdict.lost)


@pytest.mark.parametrize(
    "sightings",
    [
        [seen("veo_1", HALF, 1.0), seen("veo_1", WHOLE, 2.0), seen("veo_2")],
        [seen("veo_1"), seen("veo_2"), seen("veo_9")],
        [seen("veo_1"), seen("veo_1", None, 2.0), seen("veo_1", WHOLE, 3.0), seen("veo_2")],
        [seen("veo_1", Content(1000, "cc" * 32)), seen("veo_2")],
    ],
    ids=["half for a moment", "a stranger", "gone for a moment", "right size, wrong bytes"],
)
def test_what_was_once_seen_and_was_not_whole_is_broken(sightings: list[Sighting]) -> None:
    assert len(judge(replace(GOOD, sightings=sightings)).broken) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"run_state": "failed"},
        {"looks": 0},
        {"kills": {"task": 1}},
        {"key_leaks": 1},
        {"delivered": [delivered("veo_1", FOX), delivered("veo_2", BOAT, HALF)]},
        {"delivered": [delivered("veo_2", FOX), delivered("veo_1", BOAT)]},
    ],
    ids=["run failed", "nobody looked", "too few kills", "key leaked", "wrong sum told", "mixed up"],
)
def test_a_campaign_that_proves_nothing_is_not_passed(changes: dict[str, object]) -> None:
    verdict = judge(replace(GOOD, **changes))  # type: ignore[arg-type]
    assert not verdict.kept
    assert verdict.trouble


def made(facts: Facts, kills: int = 0) -> Outcome:
    return Outcome(
        verdict=judge(facts),
        faults=Counter(),
        kills=Counter({"task": kills}),
        moments=Counter(),
        hangs=0,
        nudges=0,
        restarts=Counter(),
        rescued=Counter(),
        attempts=9,
        looks=99,
        seconds=61.2,
    )


def test_the_report_shows_every_sort_of_breach() -> None:
    facts = replace(
        GOOD,
        accepted=[*GOOD.accepted, *(accepted(f"veo_x{number}", FOX) for number in range(20))],
        sightings=[seen("veo_1", HALF), seen("veo_2")],
        run_state="failed",
    )
    outcome = made(facts, kills=2)
    text = breaches("embedded", outcome)
    for word in ("DOUBLE CHARGE", "LOST VIDEO", "BROKEN OBJECT", "TROUBLE", "and 8 more"):
        assert word in text
    lines = {line[:27].strip(): line.split()[-1] for line in summary({"embedded": outcome}).splitlines()[2:]}
    assert lines["double charges"] == "20"
    assert lines["broken objects ever visible"] == "1"
    assert lines["SIGKILLs"] == "2"
    assert "killed: task" in deeds({"embedded": outcome})


def test_the_report_of_a_kept_promise_has_no_breaches() -> None:
    assert breaches("embedded", made(GOOD)) == ""


def test_the_ledger_is_read_as_the_emulator_writes_it() -> None:
    task = {"id": "veo_1", "prompt": FOX, "status": "failed", "charged": 190, "refunded": 190, "more": 1}
    (read,) = read_accepted({"tasks": [task]})
    assert read == accepted("veo_1", FOX, "failed", 190)
    assert not read.paid
