"""The token bucket, on a clock of the test's own."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_veo3.api.limits import TokenBucket

SHARES = st.integers(1, 2000) | st.floats(1, 2000)
GAPS = st.lists(
    st.sampled_from([0.0, 0.0, 0.1, 1.0, 7.0, 59.0, 61.0]) | st.floats(0, 200), min_size=1, max_size=150
)


def places(bucket: TokenBucket, gaps: list[float]) -> list[float]:
    """When requests that come after such gaps are sent."""
    now, sent = 0.0, []
    for gap in gaps:
        now += gap
        wait = bucket.reserve(now)
        assert wait >= 0
        sent.append(now + wait)
    return sent


@given(SHARES, GAPS)
def test_no_minute_holds_more_than_the_share_and_the_burst(share: float, gaps: list[float]) -> None:
    sent = places(TokenBucket(share), gaps)
    assert sent == sorted(sent)
    burst = max(1.0, share / 6)
    for first in sent:
        within = [moment for moment in sent if first <= moment < first + 60]
        assert len(within) <= share + burst + 1e-6


@given(SHARES)
def test_a_burst_goes_at_once_and_the_rest_at_the_share(share: float) -> None:
    sent = places(TokenBucket(share), [0.0] * 100)
    burst = int(max(1.0, share / 6) + 1e-9)
    assert sent[: min(burst, 100)] == pytest.approx([0.0] * min(burst, 100), abs=1e-6)
    for earlier, later in zip(sent[burst:], sent[burst + 1 :], strict=False):
        assert later - earlier == pytest.approx(60 / share, rel=1e-6)


def test_a_request_a_minute() -> None:
    assert places(TokenBucket(1), [0, 0, 0, 300, 0]) == [0, 60, 120, 300, 360]


def test_sixty_a_minute() -> None:
    sent = places(TokenBucket(60), [0.0] * 15)
    assert sent == [0.0] * 10 + [1.0, 2.0, 3.0, 4.0, 5.0]


@given(SHARES, st.floats(0, 500), GAPS)
def test_nothing_is_sent_before_a_hold_ends(share: float, until: float, gaps: list[float]) -> None:
    bucket = TokenBucket(share)
    bucket.hold(until)
    assert min(places(bucket, gaps)) >= until - 1e-6


def test_an_earlier_hold_takes_nothing_back() -> None:
    bucket = TokenBucket(1)
    assert bucket.reserve(0) == 0
    bucket.hold(5)
    assert bucket.reserve(0) == 60
