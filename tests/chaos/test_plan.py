"""The plan of a campaign: drawn from a seed, with all faults and kills."""

from __future__ import annotations

from collections import Counter

import pytest

from airflow_provider_veo3.emulator import Fault, Settings
from chaos.plan import HANG, VICTIMS, Plan, fault_name, make_plan


def plan(seed: int = 7, generations: int = 30, kills: int = 24, mode: str = "embedded") -> Plan:
    return make_plan(mode, seed, generations, kills)


def test_the_same_seed_gives_the_same_plan() -> None:
    assert plan() == plan()
    assert plan() != plan(seed=8)


def test_the_plan_has_the_requested_numbers() -> None:
    made = plan()
    assert len(made.requests) == 30
    assert len([kill for kill in made.kills if not kill.hang]) == 24
    assert len([kill for kill in made.kills if kill.hang]) == 4
    assert {each.group for each in made.requests} >= {"combined", "chain", "duplicate_combined"}


def test_only_duplicates_share_a_prompt() -> None:
    prompts = Counter(each.prompt for each in plan().requests)
    assert set(prompts.values()) == {1, 2}
    for each in plan().requests:
        assert (prompts[each.prompt] == 2) == each.group.startswith("duplicate_")
    for pair in (prompt for prompt, count in prompts.items() if count == 2):
        assert len({each.duration_seconds for each in plan().requests if each.prompt == pair}) == 1


def test_no_prompt_is_part_of_another() -> None:
    prompts = {each.prompt for each in plan(generations=120).requests}
    assert not [(one, other) for one in prompts for other in prompts if one != other and one in other]


@pytest.mark.parametrize("mode", sorted(VICTIMS))
def test_every_victim_and_every_moment_occurs(mode: str) -> None:
    kills = plan(mode=mode).kills
    assert {kill.victim for kill in kills} == {name for name, _ in VICTIMS[mode]} | {HANG}
    assert all((kill.hang > 0) == (kill.victim == HANG) for kill in kills)
    assert {kill.moment for kill in kills} == {"task", "accepted", "fetching"}
    assert all(0 <= kill.choice < 1 for kill in kills)


@pytest.mark.parametrize("seed", range(20))
def test_the_emulator_accepts_every_fault_and_option(seed: int) -> None:
    made = plan(seed)
    faults = [Fault(**fault) for fault in made.faults]
    assert {fault.endpoint for fault in faults} >= {"text-to-video", "status", "history", "download", "file"}
    options = {name: None if value == "off" else value for name, value in made.emulator.items()}
    assert Settings(**options).seed == seed  # type: ignore[arg-type]


def test_responses_are_lost_after_acceptance_and_generations_fail() -> None:
    kinds = Counter(fault["kind"] for fault in plan().faults)
    assert kinds["accept_then_disconnect"] >= 2
    assert kinds["accept_then_status"] >= 2
    assert kinds["fail_generation"] >= 2


def test_a_generation_that_its_task_does_not_wait_for_never_fails_at_the_vendor() -> None:
    made = plan(generations=60)
    failing = {fault["prompt_contains"] for fault in made.faults if fault["kind"] == "fail_generation"}
    chained = {each.prompt for each in made.requests if "chain" in each.group}
    assert failing
    assert not failing & chained


def test_every_wave_requests_the_same_number_of_other_videos() -> None:
    first, second = plan().wave(1), plan().wave(2)
    assert first == plan().requests
    assert [each.group for each in first] == [each.group for each in second]
    assert not {each.prompt for each in first} & {each.prompt for each in second}


def test_a_fault_is_named_by_kind_status_and_endpoint() -> None:
    names = {fault_name(fault) for fault in plan().faults if "endpoint" in fault}
    assert {"accept_then_status 502 at submit", "status 503 at file", "garbage at history"} <= names
