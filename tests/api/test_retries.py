"""Delays that responses request, and retries: tables."""

from __future__ import annotations

import email.utils
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_veo3 import exceptions as errors
from airflow_provider_veo3.api import flows
from airflow_provider_veo3.api.flows import Pause
from airflow_provider_veo3.api.protocol import NoResponse
from airflow_provider_veo3.api.request import GenerationRequest
from airflow_provider_veo3.api.retries import Retries, is_transient
from airflow_provider_veo3.api.retry_after import RATE_LIMIT_FALLBACK, retry_after
from tests.support import samples
from tests.support.judge import NOW, POST, STATUS, response
from tests.support.samples import BASE, ID

SOON = email.utils.formatdate(NOW + 30, usegmt=True)
PAST = email.utils.formatdate(NOW - 30, usegmt=True)
OWN, STANDARD, RESET = "x-ratelimit-retry-after", "retry-after", "x-ratelimit-reset"


def body(**details: Any) -> dict[str, Any]:
    return {"error": {"code": "RATE_LIMIT_EXCEEDED", "details": details}}


@pytest.mark.parametrize(
    ("headers", "details", "seconds"),
    [
        ({OWN: "7", STANDARD: "8", RESET: str(NOW + 10)}, body(retry_after=9), 7),
        ({STANDARD: "8", RESET: str(NOW + 10)}, body(retry_after=9), 8),
        ({RESET: str(NOW + 10)}, body(retry_after=9), 9),
        ({RESET: str(NOW + 10)}, body(), 10),
        ({}, body(reset=NOW + 11), 11),
        ({}, body(), RATE_LIMIT_FALLBACK),
        ({}, {}, RATE_LIMIT_FALLBACK),
        ({}, {"error": "RATE_LIMIT_EXCEEDED", "details": "wait"}, RATE_LIMIT_FALLBACK),
        ({}, {"error": {"details": ["x"]}}, RATE_LIMIT_FALLBACK),
        ({}, samples.flat("RATE_LIMIT_EXCEEDED", details={"retry_after": 9}), 9),
        ({}, samples.flat("RATE_LIMIT_EXCEEDED", details={"reset": NOW + 11}), 11),
        ({}, samples.flat("RATE_LIMIT_EXCEEDED", retry_after=9), 9),
        ({}, samples.nested("RATE_LIMIT_EXCEEDED") | {"details": {"retry_after": 9}}, 9),
        ({OWN: "0"}, {}, 0),
        ({OWN: "1.5"}, {}, 1.5),
        ({OWN: "-1", STANDARD: "8"}, {}, 8),
        ({OWN: "soon", STANDARD: "8"}, {}, 8),
        ({OWN: "nan"}, {}, RATE_LIMIT_FALLBACK),
        ({OWN: "inf"}, {}, RATE_LIMIT_FALLBACK),
        ({OWN: ""}, {}, RATE_LIMIT_FALLBACK),
        ({STANDARD: SOON}, {}, 30),
        ({STANDARD: SOON.replace("GMT", "-0000")}, {}, 30),
        ({STANDARD: SOON.removesuffix(" GMT")}, {}, 30),
        ({STANDARD: PAST}, {}, 0),
        ({STANDARD: "Wed, 99 Foo 2026"}, {}, RATE_LIMIT_FALLBACK),
        ({STANDARD: "tomorrow"}, body(retry_after="9"), 9),
        ({STANDARD: "-5"}, {}, RATE_LIMIT_FALLBACK),
        ({}, body(retry_after=-9), RATE_LIMIT_FALLBACK),
        ({}, body(retry_after=True), RATE_LIMIT_FALLBACK),
        ({}, body(retry_after={"seconds": 9}), RATE_LIMIT_FALLBACK),
        ({RESET: "1640995200"}, {}, RATE_LIMIT_FALLBACK),  # the vendor's sample: years ago
        ({RESET: str(int(NOW + 10) * 1000)}, {}, RATE_LIMIT_FALLBACK),  # milliseconds
        ({RESET: "60"}, {}, RATE_LIMIT_FALLBACK),  # seconds to go
        ({RESET: "0"}, body(reset=NOW + 11), 11),
        ({RESET: str(NOW)}, {}, 0),
    ],
)
def test_the_first_usable_hint_of_a_429_decides(
    headers: dict[str, str], details: dict[str, Any], seconds: float
) -> None:
    assert retry_after(429, headers, details, NOW) == pytest.approx(seconds)


def test_dates_are_gmt_wherever_the_worker_is(monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    monkeypatch.setenv("TZ", "Pacific/Auckland")
    time.tzset()
    try:
        for header in (SOON, SOON.replace("GMT", "-0000"), SOON.removesuffix(" GMT")):
            assert retry_after(429, {STANDARD: header}, {}, NOW) == pytest.approx(30)
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize("status", [200, 400, 404, 500, 503])
def test_for_any_other_status_only_the_standard_header_counts(status: int) -> None:
    everywhere = {OWN: "60", RESET: str(NOW + 10)}
    assert retry_after(status, everywhere, body(retry_after=9), NOW) is None
    assert retry_after(status, {**everywhere, STANDARD: "8"}, {}, NOW) == 8
    assert retry_after(status, {**everywhere, STANDARD: SOON}, {}, NOW) == pytest.approx(30)
    assert retry_after(status, {**everywhere, STANDARD: "-8"}, {}, NOW) is None
    assert retry_after(status, {**everywhere, STANDARD: "soon"}, {}, NOW) is None


@given(st.text() | st.floats().map(str), st.text(), st.floats(allow_nan=False) | st.integers() | st.text())
def test_any_hint_is_a_delay_from_0_up_or_none(own: str, standard: str, reset: object) -> None:
    headers = {OWN: own, STANDARD: standard, RESET: str(reset)}
    seconds = retry_after(429, headers, body(retry_after=reset, reset=reset), NOW)
    assert seconds is not None
    assert seconds >= 0
    assert (retry_after(503, headers, {}, NOW) or 0) >= 0


REFUSED = errors.Veo3RateLimitError("x", status=429)
BROKEN = errors.Veo3ServerError("x", status=503)
LOST = errors.Veo3NoAnswerError("x", sent=True)
NEVER_SENT = errors.Veo3NoAnswerError("x", sent=False)
GARBLED = errors.Veo3UnreadableAnswerError("x")
NO_VIDEOS = errors.Veo3NoVideosError("x")
NOT_READY = errors.Veo3VideoNotReadyError("x")
PERMANENT = [
    kind("x")
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, errors.Veo3PermanentApiError)
]


@pytest.mark.parametrize(
    ("error", "get_request", "submission"),
    [
        (REFUSED, True, True),
        (NEVER_SENT, True, True),
        (LOST, True, False),
        (BROKEN, True, False),
        (GARBLED, True, False),
        (NO_VIDEOS, True, False),
        (NOT_READY, True, False),
        *((error, False, False) for error in PERMANENT),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_which_errors_are_retried(error: errors.Veo3ApiError, get_request: bool, submission: bool) -> None:
    again = Retries()
    assert (again.pause_after(STATUS, error, 1) is not None) == get_request
    assert (again.pause_after(POST, error, 1) is not None) == submission
    assert is_transient(error) == (error in (REFUSED, NEVER_SENT, LOST, BROKEN, GARBLED))


@pytest.mark.parametrize("jitter", [0.0, 0.5, 1.0])
def test_pauses_double_between_half_and_whole_up_to_the_longest(jitter: float) -> None:
    again = Retries(attempts=9, jitter=lambda: jitter)
    pauses = [again.pause_after(STATUS, BROKEN, attempt) for attempt in range(1, 10)]
    wholes = [1, 2, 4, 8, 16, 30, 30, 30]
    assert pauses == [*(whole * (1 + jitter) / 2 for whole in wholes), None]


def hinted(seconds: float) -> errors.Veo3ApiError:
    return errors.Veo3RateLimitError("x", status=429, retry_after=seconds)


@pytest.mark.parametrize("jitter", [0.0, 1.0])
def test_a_hint_is_waited_out_and_never_shortened(jitter: float) -> None:
    again = Retries(jitter=lambda: jitter)
    for attempt, extra in ((1, 1), (2, 2), (3, 4)):
        for seconds in (0.0, 7.0, 120.0):
            assert again.pause_after(STATUS, hinted(seconds), attempt) == seconds + extra * jitter


@pytest.mark.parametrize("seconds", [120.5, 3600, 1e300])
def test_a_long_hint_gives_up(seconds: float) -> None:
    assert Retries().pause_after(STATUS, hinted(seconds), 1) is None


@given(st.integers(1, 10), st.integers(1, 12), st.floats(0, 1), st.none() | st.floats(0, 1e6))
def test_a_pause_is_within_its_bounds(attempts: int, attempt: int, jitter: float, hint: float | None) -> None:
    error = errors.Veo3ServerError("x", retry_after=hint)
    pause = Retries(attempts=attempts, jitter=lambda: jitter).pause_after(STATUS, error, attempt)
    if attempt >= attempts or (hint or 0) > 120:
        assert pause is None
    else:
        assert pause is not None
        assert (hint or 0) <= pause <= (hint or 0) + 30


def steps(flow: flows.Flow[Any], outcome: Any) -> list[Any]:
    """Every step of a call that always gets the same outcome, and its error."""
    seen: list[Any] = [next(flow)]
    while True:
        try:
            seen.append(flow.send(None if isinstance(seen[-1], Pause) else outcome))
        except errors.Veo3ApiError as error:
            return [*seen, type(error)]


def test_a_get_request_is_sent_four_times_at_most() -> None:
    flow = flows.get_generation(ID, BASE, Retries(jitter=lambda: 1.0))
    pauses = [Pause(1.0), Pause(2.0), Pause(4.0)]
    expected = [STATUS, pauses[0], STATUS, pauses[1], STATUS, pauses[2], STATUS, errors.Veo3ServerError]
    assert steps(flow, response(503, {})) == expected


@pytest.mark.parametrize(
    ("outcome", "posts"),
    [
        (response(429, samples.RATE_LIMIT), 4),
        (NoResponse("refused", sent=False), 4),
        (NoResponse("cut", sent=True), 1),
        (response(500, {}), 1),
        (response(503, {}, {"retry-after": "1"}), 1),
        (response(408, {}), 1),
        (response(202, {}), 1),
        (response(202, {"taskId": "\x07"}), 1),
        (response(400, {}), 1),
        (response(429, {}), 1),
        (response(429, b"<html>Slow down</html>", {"retry-after": "1"}), 1),
        (response(429, samples.RATE_LIMIT, {"x-ratelimit-retry-after": "86400"}), 1),
        (response(200, samples.flat("RATE_LIMIT_EXCEEDED")), 4),
    ],
)
def test_a_submission_is_repeated_only_where_it_cannot_have_been_accepted(outcome: Any, posts: int) -> None:
    flow = flows.submit(GenerationRequest("text-to-video", "a dragon"), BASE, {}, Retries())
    assert steps(flow, outcome).count(POST) == posts


def test_a_transport_must_send_the_outcome() -> None:
    flow = flows.list_models(Retries())
    next(flow)
    with pytest.raises(RuntimeError, match="must send the outcome"):
        next(flow)
