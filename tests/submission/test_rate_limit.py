"""How long a refused task stays away, and for how long it goes on asking."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_veo3.api.protocol import status
from airflow_provider_veo3.exceptions import Veo3GenerationError, Veo3RateLimitError, Veo3ServerError
from airflow_provider_veo3.submission.rate_limit import (
    LONGEST_SPREAD,
    WORTH_DEFERRING,
    BriefRetries,
    RateLimitBackoff,
    is_worth_deferring,
    pause,
)

HINTS = st.floats(0, 1e7)
JITTERS = st.floats(0, 1)


def refusal(hint: float | None) -> Veo3RateLimitError:
    return Veo3RateLimitError("Slow down.", status=429, code="RATE_LIMIT_EXCEEDED", retry_after=hint)


@given(HINTS, st.integers(1, 10_000), JITTERS)
def test_never_sooner_than_asked_and_never_much_later(hint: float, refusals: int, jitter: float) -> None:
    seconds = pause(hint, refusals, jitter)
    assert max(hint, WORTH_DEFERRING) <= seconds <= max(hint, WORTH_DEFERRING) + LONGEST_SPREAD


def test_those_refused_again_and_again_spread_out() -> None:
    assert [pause(20, refusals, 1.0) for refusals in (1, 2, 3, 4, 5, 99)] == [25, 30, 40, 60, 80, 80]


@given(HINTS, st.floats(0, 1e6), st.floats(-1e6, 1e6), JITTERS)
def test_it_never_waits_beyond_its_end(hint: float, patience: float, spent: float, jitter: float) -> None:
    admission = RateLimitBackoff(give_up_at=1e9 + patience)
    now = 1e9 + spent
    if now >= admission.give_up_at or hint > admission.give_up_at - now:
        with pytest.raises(Veo3RateLimitError, match=f" {hint:.0f} s;") as raised:
            admission.after(refusal(hint), now, jitter)
        assert (raised.value.status, raised.value.retry_after) == (429, hint)
        return
    until, again = admission.after(refusal(hint), now, jitter)
    assert now < until <= again.give_up_at == admission.give_up_at
    assert until >= min(now + hint, admission.give_up_at)
    assert (again.refused_since, again.refusals) == (now, 1)


def test_it_says_how_long_it_was_refused() -> None:
    _, first = RateLimitBackoff(give_up_at=1100).after(refusal(30), 1000, 0.5)
    until, second = first.after(refusal(30), 1060, 1.0)
    assert (until, second.refused_since, second.refusals) == (1100, 1000, 2)
    with pytest.raises(Veo3RateLimitError, match=r"Slow down\..* for 100 seconds .* of 60 s; .* in 0 s\."):
        second.after(refusal(None), 1100, 0.0)


def test_it_travels_as_json() -> None:
    _, first = RateLimitBackoff(give_up_at=1100.5).after(refusal(30), 1000.25, 0.5)
    assert RateLimitBackoff.from_event(json.loads(json.dumps(first.to_event()))) == first
    with pytest.raises(Veo3GenerationError):
        RateLimitBackoff.from_event(RateLimitBackoff(give_up_at=1.0).to_event())


def test_only_a_long_refusal_is_left_to_a_deferral() -> None:
    brief = BriefRetries(attempts=9, jitter=lambda: 0.0)
    assert brief.attempts == 9
    request = status("veo_1_a")
    assert brief.pause_after(request, refusal(WORTH_DEFERRING), 1) == WORTH_DEFERRING
    assert brief.pause_after(request, refusal(WORTH_DEFERRING + 0.1), 1) is None
    assert brief.pause_after(request, Veo3ServerError("x", status=503, retry_after=100), 1) == 100
    assert not is_worth_deferring(Veo3ServerError("x", status=503, retry_after=100))
    assert not is_worth_deferring(refusal(None))
