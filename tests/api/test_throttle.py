"""The requests-per-minute limiter, on a clock of the test's own."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_veo3.api.retry_after import exhausted_window
from airflow_provider_veo3.api.throttle import TokenBucket

LIMITS = st.integers(1, 2000) | st.floats(1, 2000)
GAPS = st.lists(
    st.sampled_from([0.0, 0.0, 0.1, 1.0, 7.0, 59.0, 61.0]) | st.floats(0, 200), min_size=1, max_size=150
)


def sending_times(bucket: TokenBucket, gaps: list[float]) -> list[float]:
    """Return the times at which requests with these gaps are sent."""
    now, sent = 0.0, []
    for gap in gaps:
        now += gap
        wait = bucket.reserve(now)
        assert wait >= 0
        sent.append(now + wait)
    return sent


@given(LIMITS, GAPS)
def test_no_minute_holds_more_requests_than_allowed(share: float, gaps: list[float]) -> None:
    sent = sending_times(TokenBucket(share), gaps)
    assert sent == sorted(sent)
    for first in sent:
        within = [moment for moment in sent if first <= moment < first + 60 - 1e-6]
        assert len(within) <= share


@given(LIMITS)
def test_a_burst_goes_at_once_and_the_rest_at_even_intervals(share: float) -> None:
    sent = sending_times(TokenBucket(share), [0.0] * 100)
    burst = max(1, int(share) // 6)
    assert sent[:burst] == pytest.approx([0.0] * len(sent[:burst]), abs=1e-6)
    for earlier, later in zip(sent[burst:], sent[burst + 1 :], strict=False):
        assert later - earlier == pytest.approx(60 / (int(share) - burst + 1), rel=1e-6)


def test_a_request_a_minute() -> None:
    assert sending_times(TokenBucket(1), [0, 0, 0, 300, 0]) == [0, 60, 120, 300, 360]


def test_sixty_a_minute() -> None:
    sent = sending_times(TokenBucket(60), [0.0] * 61)
    assert sent[:10] == pytest.approx([0.0] * 10, abs=1e-6)
    assert sent[59] < 60 <= sent[60] + 1e-6


def test_no_slot_is_free_before_a_used_up_window_resets() -> None:
    bucket = TokenBucket(60)
    assert bucket.reserve(100.0) == 0
    bucket.hold(100.0, 30.0)
    assert bucket.reserve(101.0) == pytest.approx(29.0)
    assert bucket.reserve(101.0) > 29.0
    bucket.hold(101.0, 1.0)
    assert bucket.reserve(101.0) > 29.0, "a shorter one does not shorten it"


@pytest.mark.parametrize(
    ("values", "seconds"),
    [
        ({"remaining": "0", "retry-after": "40"}, 40.0),
        ({"remaining": "-1", "retry-after": "60"}, 60.0),
        ({"remaining": "0", "reset": "1640995240"}, 40.0),
        ({"remaining": "0", "reset": "1640995240", "retry-after": "7"}, 7.0),
        ({"remaining": "1", "retry-after": "40", "reset": "1640995240"}, 0.0),
        ({"remaining": "0"}, 0.0),
        ({"retry-after": "40"}, 0.0),
        ({"remaining": "0", "reset": "1640995199"}, 0.0),
        ({"remaining": "0", "reset": "1640995261"}, 0.0),
        ({"remaining": "0", "retry-after": "61"}, 0.0),
        ({"remaining": "0", "reset": "soon"}, 0.0),
        ({"remaining": "none", "retry-after": "40"}, 0.0),
    ],
)
def test_only_a_plausible_rate_window_is_used(values: dict[str, str], seconds: float) -> None:
    headers = {f"x-ratelimit-{name}": value for name, value in values.items()}
    assert exhausted_window({**headers, "date": "Sat, 01 Jan 2022 00:00:00 GMT"}) == seconds


def test_the_reset_of_a_window_is_ignored_without_the_api_s_date() -> None:
    """The API's clock may be ahead of ours, and every request would wait as long."""
    assert exhausted_window({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "1640995240"}) == 0.0
