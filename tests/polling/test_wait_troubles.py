"""Troubles of a wait: late ids, failures taken back, warnings, and lines about its progress."""

from __future__ import annotations

import inspect
import json
import logging
from typing import Any

import pytest

from airflow_provider_veo3 import exceptions as errors
from airflow_provider_veo3.airflow_names import AirflowFailException
from airflow_provider_veo3.api.models import Generation, Status
from airflow_provider_veo3.polling.result import Ending, WaitResult
from airflow_provider_veo3.polling.wait import LATE, Wait, acceptance_of

NOW = 1_800_000_000.0
DEADLINE = NOW + 1800
ID = "some/id"
FAILED = Generation(ID, Status.FAILED, error="boom")
COMPLETED = Generation(ID, Status.COMPLETED)
UNKNOWN = errors.Veo3GenerationNotFoundError("no such generation", status=404, code="TASK_NOT_FOUND")

PERMANENT = [
    kind
    for kind in vars(errors).values()
    if inspect.isclass(kind)
    and issubclass(kind, errors.Veo3PermanentApiError | errors.Veo3ConnectionConfigError)
]


def wait(generation_id: str = ID, **options: Any) -> Wait:
    return Wait(generation_id, DEADLINE, **{"poll_interval": 10.0, **options})


def texts(one: Wait, level: int) -> list[str]:
    return [line.text for line in one.take_lines() if line.level == level]


def ending(verdict: WaitResult | float) -> Ending:
    assert isinstance(verdict, WaitResult), verdict
    return verdict.ending


@pytest.mark.parametrize("kind", PERMANENT, ids=lambda kind: kind.__name__)
def test_every_permanent_error_ends_the_wait_and_reaches_the_task_as_its_own_class(
    kind: type[errors.Veo3Error],
) -> None:
    result = wait().on_error(kind("It says why."), NOW)
    assert ending(result) is Ending.ERROR
    assert isinstance(result, WaitResult)
    carried = WaitResult.from_event(json.loads(json.dumps(result.to_event())))
    with pytest.raises(errors.Veo3Error, match="It says why") as caught:
        carried.manifest_or_raise()
    assert type(caught.value) is kind
    assert isinstance(caught.value, AirflowFailException)


def test_the_list_of_permanent_errors_is_not_empty() -> None:
    names = {kind.__name__ for kind in PERMANENT}
    assert {"Veo3EnvironmentError", "Veo3AuthenticationError", "Veo3GenerationNotFoundError"} <= names


@pytest.mark.parametrize(
    "error",
    [
        errors.Veo3ApiError("A gateway's page.", status=403),
        errors.Veo3ServerError("Busy.", status=503),
        errors.Veo3RateLimitError("Slow down.", status=429),
        errors.Veo3NoAnswerError("No response.", sent=True),
    ],
    ids=lambda error: f"{type(error).__name__}",
)
def test_every_other_error_of_the_api_is_waited_out(error: errors.Veo3Error) -> None:
    assert wait().on_error(error, NOW) == 10.0


@pytest.mark.parametrize(
    ("generation_id", "options", "known"),
    [
        (ID, {"accepted_at": NOW - 119}, True),
        (ID, {"accepted_at": NOW - 120}, False),
        (ID, {"find_acceptance": lambda: NOW - 119}, True),
        (ID, {"find_acceptance": lambda: NOW - 120}, False),
        (ID, {"find_acceptance": lambda: None}, False),
        (ID, {}, False),
        (f"veo_{int(NOW * 1000) - 119_000}_abc", {}, True),
        (f"veo_{int(NOW * 1000) - 121_000}_abc", {}, False),
        (f"veo_{int(NOW * 1000) + 60_000}_abc", {}, True),  # the API's clock is fast
        (f"veo_{int(NOW * 1000) + 86_400_000}_abc", {}, False),  # no time of these days
        (f"veo_{int(NOW * 1000) - 119_000}_abc", {"accepted_at": NOW - 500}, False),  # only a hint
        (f"veo_{int(NOW * 1000) - 500_000}_abc", {"find_acceptance": lambda: NOW - 5}, True),
        ("veo_1703123456789_abc123def", {}, False),
    ],
)
def test_an_unknown_id_is_waited_out_within_two_minutes_of_its_acceptance(
    generation_id: str, options: dict[str, Any], *, known: bool
) -> None:
    one = wait(generation_id, **options)
    verdict = one.on_error(UNKNOWN, NOW)
    if not known:
        assert ending(verdict) is Ending.ERROR
        return
    assert verdict == 10.0
    (warning,) = texts(one, logging.WARNING)
    assert generation_id in warning
    assert "No credits were spent" in warning
    assert one.on_error(UNKNOWN, NOW + 0.5) == 10.0
    assert one.take_lines() == [], "one warning is enough"
    assert ending(one.on_error(UNKNOWN, NOW + 200)) is Ending.ERROR


def test_the_acceptance_is_looked_up_once_and_only_for_an_unknown_id() -> None:
    calls: list[None] = []
    one = wait(find_acceptance=lambda: calls.append(None))
    one.on_error(errors.Veo3ServerError("Busy.", status=503), NOW)
    assert calls == []
    one.on_error(UNKNOWN, NOW)
    one.on_error(UNKNOWN, NOW)
    assert len(calls) == 1


@pytest.mark.parametrize(
    ("manifest", "expected"),
    [
        ({"accepted_at": "2027-01-15T08:00:00+00:00", "created_at": "2027-01-15T07:00:00+00:00"}, NOW),
        ({"created_at": "2027-01-15T07:59:00Z"}, NOW - 60),
        ({"accepted_at": "2027-01-15T09:00:00+00:00"}, NOW),  # another clock is fast
        ({"accepted_at": None, "created_at": "soon"}, None),
        ({}, None),
    ],
)
def test_the_acceptance_is_read_from_a_manifest(manifest: dict[str, Any], expected: float | None) -> None:
    assert acceptance_of(manifest, NOW) == expected


@pytest.mark.parametrize(("poll_interval", "pause"), [(2.0, 12.0), (5.0, 30.0), (10.0, 30.0), (60.0, 60.0)])
def test_a_failure_ends_the_wait_when_a_later_response_confirms_it(
    poll_interval: float, pause: float
) -> None:
    one = wait(poll_interval=poll_interval)
    assert one.on_generation(FAILED, NOW) == pytest.approx(LATE * pause)
    assert one.needs_confirmation
    early = one.on_generation(FAILED, NOW + 0.99 * pause)
    assert early == pytest.approx((LATE - 0.99) * pause), "too early to count"
    assert one.on_error(errors.Veo3ServerError("Busy.", status=503), NOW + pause / 2) >= poll_interval
    assert ending(one.on_generation(FAILED, NOW + pause)) is Ending.FAILED
    (warning, *_) = texts(one, logging.WARNING)
    assert warning.startswith(f"Generation {ID} is reported as failed; polling again")


def test_a_failure_that_the_api_takes_back_does_not_end_the_wait() -> None:
    one = wait()
    one.on_generation(FAILED, NOW)
    assert one.on_generation(Generation(ID, Status.PROCESSING), NOW + 30) == 10.0
    assert not one.needs_confirmation
    assert texts(one, logging.INFO) == [f"Generation {ID} is no longer reported as failed."]
    assert one.on_generation(FAILED, NOW + 50) == pytest.approx(LATE * 30), (
        "that one has to be confirmed itself"
    )
    assert ending(one.on_generation(COMPLETED, NOW + 80)) is Ending.COMPLETED


def test_a_failure_at_the_deadline_is_believed() -> None:
    assert ending(wait().on_generation(FAILED, DEADLINE)) is Ending.FAILED
    one = wait()
    assert one.on_generation(FAILED, DEADLINE - 4) == 4.0
    assert ending(one.time_out()) is Ending.FAILED


def test_a_timeout_names_a_status_word_that_is_not_known() -> None:
    one = wait()
    one.on_generation(Generation(ID, Status.PROCESSING, raw_status="levitating"), NOW)
    assert "is still processing (the API's word is 'levitating'" in one.time_out().message
    one.on_generation(Generation(ID, Status.PROCESSING), NOW)
    assert "levitating" not in one.time_out().message


def test_trouble_is_warned_of_when_it_begins_when_it_changes_and_every_five_minutes() -> None:
    one = wait()
    busy, slow = errors.Veo3ServerError("Busy.", status=503), errors.Veo3RateLimitError("Slow.", status=429)
    warnings = {}
    for seconds in range(0, 1000, 10):
        one.on_error(slow if seconds == 100 else busy, NOW + seconds)
        if lines := texts(one, logging.WARNING):
            (warnings[seconds],) = lines
    assert list(warnings) == [0, 100, 300, 600, 900]
    assert warnings[0] == "Busy. Polling again in 10 s."
    assert warnings[100].startswith("Slow. 10 polls have failed since ")
    assert warnings[300].startswith("Busy. 20 polls have failed since ")


def test_progress_is_logged_at_the_beginning_and_at_each_quarter() -> None:
    one = wait(accepted_at=NOW - 60, model="veo-3.1-fast-generate-001")
    moments = {}
    for seconds in range(0, 1900, 10):
        one.log_progress(NOW + seconds)
        if lines := texts(one, logging.INFO):
            (moments[seconds],) = lines
        if seconds == 10:
            one.on_generation(Generation(ID, Status.PROCESSING), NOW + seconds)
    assert list(moments) == [0, 450, 900, 1350]
    assert moments[0].startswith(
        f"Waiting for generation {ID}: accepted 60 s ago, usually completed after about "
    )
    assert "given up in 30 min (2027-01-15T08:30:00+00:00)." in moments[0]
    assert moments[900].startswith(f"Generation {ID} is still processing: accepted 16 min ago")


def test_the_next_line_about_progress_is_never_due_in_the_past() -> None:
    one = wait()
    one.log_progress(NOW)
    moment = NOW
    for _ in range(4):
        assert one.next_progress() > moment
        moment = one.next_progress()
        one.log_progress(moment)
    assert moment == DEADLINE
    assert one.next_progress() == float("inf")
