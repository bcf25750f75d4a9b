"""Limits with their headers, processing times, and the time scale."""

from __future__ import annotations

import socket
import time
from contextlib import ExitStack

import pytest


def test_every_response_has_the_rate_limit_headers(start, connect):
    api = start(requests_per_minute=60)
    responses = [
        api.text(),
        api.text(prompt=""),
        api.status("nothing"),
        api.http.get("/nowhere"),
        connect(api, None).history(),
        connect(api, "veo3_unknown").history(),
    ]
    remaining = [response.headers["x-ratelimit-remaining"] for response in responses]
    assert remaining == ["59", "58", "57", "57", "60", "60"]
    for response in responses:
        assert response.headers["x-ratelimit-limit"] == "60"
        assert response.headers["x-ratelimit-reset"] == str(1_767_225_600 + 60)
        assert response.headers["x-ratelimit-retry-after"] == "60"


def test_the_minute(start):
    api = start(requests_per_minute=3)
    for _ in range(3):
        assert api.history().status_code == 200
        api.emulator.advance(10)
    response = api.history()
    assert response.status_code == 429
    assert response.headers["x-ratelimit-remaining"] == "0"
    assert response.headers["x-ratelimit-retry-after"] == "30"
    assert response.json() == {
        "error": {
            "code": "RATE_LIMIT_EXCEEDED",
            "message": "Rate limit exceeded. Maximum 3 requests per minute allowed.",
            "details": {"limit": 3, "remaining": 0, "reset": 1_767_225_660, "retry_after": 30},
        }
    }
    api.emulator.advance(29.9)
    assert api.history().status_code == 429
    api.emulator.advance(0.1)
    assert api.history().headers["x-ratelimit-remaining"] == "2"


def test_limits_are_counted_for_each_key(start, connect):
    api = start(requests_per_minute=1)
    api.emulator.add_key("veo3_other")
    assert api.history().status_code == 200
    assert connect(api, "veo3_other").history().status_code == 200
    assert api.history().status_code == 429


@pytest.mark.parametrize("mode", ["first-request", "aligned", "sliding"])
def test_windows(start, mode):
    api = start(requests_per_minute=2, rate_window=mode)
    api.emulator.advance(30)
    api.history()
    api.emulator.advance(15)
    api.history()
    assert api.history().status_code == 429
    seen = []
    for seconds in (20, 26):  # 65 s: a new minute; 91 s: the first request is older than a minute
        api.emulator.advance(seconds)
        response = api.history()
        seen.append((response.status_code, response.headers["x-ratelimit-remaining"]))
    expected = {
        "first-request": [(429, "0"), (200, "1")],
        "aligned": [(200, "1"), (200, "0")],
        "sliding": [(429, "0"), (200, "0")],
    }
    assert seen == expected[mode]


def test_the_day(start):
    api = start(requests_per_day=2)
    api.emulator.advance(86_000)
    api.history()
    api.history()
    response = api.history()
    assert response.status_code == 429
    assert "per day" in response.json()["error"]["message"]
    assert response.headers["x-ratelimit-retry-after"] == "400"
    api.emulator.advance(400)
    assert api.history().status_code == 200


def test_the_day_from_the_first_request(start):
    api = start(requests_per_day=1, day_window="first-request")
    api.emulator.advance(86_000)
    api.history()
    api.emulator.advance(400)
    assert api.history().headers["x-ratelimit-retry-after"] == "86000"


def test_limits_can_be_off(start):
    api = start(requests_per_minute=None, requests_per_day=None)
    responses = [api.history() for _ in range(70)]
    assert {response.status_code for response in responses} == {200}
    assert not any(name.startswith("x-ratelimit") for response in responses for name in response.headers)


def test_the_queue(start, connect):
    api = start(queue_limit=2, processing_seconds=100)
    api.emulator.add_key("veo3_other", credits=1000)
    api.submit()
    api.emulator.advance(40)
    api.submit()
    response = api.text()
    assert response.status_code == 429
    assert "generation queue" in response.json()["error"]["message"]
    assert response.headers["x-ratelimit-retry-after"] == "60"
    assert connect(api, "veo3_other").text().status_code == 202
    api.emulator.advance(60)
    assert api.text().status_code == 202
    totals = api.emulator.ledger()["totals"]
    assert (totals["accepted"], totals["completed"]) == (4, 1)


@pytest.mark.parametrize(("scope", "statuses"), [("key", [202, 429, 202]), ("account", [202, 429, 429])])
def test_the_scope_of_the_queue_limit(start, connect, scope, statuses):
    api = start(limits_of=scope, queue_limit=1)
    api.emulator.add_key("veo3_second", account="account-1")
    second = connect(api, "veo3_second")
    assert [client.text().status_code for client in (api, api, second)] == statuses


@pytest.mark.parametrize(("scope", "remaining"), [("key", ["2", "2", "1"]), ("account", ["2", "1", "0"])])
def test_the_scope_of_the_request_limit(start, connect, scope, remaining):
    api = start(limits_of=scope, requests_per_minute=3)
    api.emulator.add_key("veo3_second", account="account-1")
    second = connect(api, "veo3_second")
    responses = [client.history() for client in (api, second, second)]
    assert [response.headers["x-ratelimit-remaining"] for response in responses] == remaining
    assert second.history().status_code == (200 if scope == "key" else 429)
    api.emulator.configure(limits_of="account")
    assert second.history().status_code == 429


def test_requests_at_the_same_time(start):
    api = start(concurrent_requests=2)
    emulator = api.emulator
    emulator.inject({"kind": "delay", "endpoint": "models", "seconds": 3600, "times": 2})
    request = f"GET /api/veo/models HTTP/1.1\r\nHost: x\r\nX-API-Key: {emulator.api_key}\r\n\r\n"
    address = ("127.0.0.1", api.http.base_url.port)
    with ExitStack() as connections:
        for _ in range(2):
            waiting = connections.enter_context(socket.create_connection(address))
            waiting.sendall(request.encode())
        while emulator.faults()[0]["met"] < 2:
            time.sleep(0.001)
        response = api.history()
    assert response.status_code == 429
    assert "2 concurrent" in response.json()["error"]["message"]
    assert response.headers["x-ratelimit-retry-after"] == "1"


def test_time_scale(start):
    api = start(
        time_scale=10, processing_seconds=90, requests_per_minute=3, requests_per_day=None, pending_seconds=0
    )
    task_id = api.submit()
    api.emulator.advance(9)
    body = api.status(task_id).json()
    assert (body["status"], body["processingTime"]) == ("completed", 9)
    assert body["createdAt"] == "2026-01-01T00:00:00.000Z"
    assert body["completedAt"] == "2026-01-01T00:00:09.000Z"
    assert body["videos"][0]["expiresAt"] == "2026-01-01T02:24:09.000Z"
    response = api.history()
    assert response.headers["x-ratelimit-reset"] == str(1_767_225_609 + 6)


@pytest.mark.parametrize(
    ("model", "low", "high"),
    [
        ("veo-3.1-generate-001", 90, 150),
        ("veo-3.1-fast-generate-001", 45, 75),
        ("veo-3.1-lite-generate-001", 33, 57),
    ],
)
def test_typical_times_scatter_around_the_published_ones(start, model, low, high):
    api = start(queue_limit=None, file_size=64, credits=100_000)
    ids = [api.submit(model=model) for _ in range(20)]
    api.emulator.advance(1000)
    times = [api.status(task_id).json()["processingTime"] for task_id in ids]
    assert low <= min(times) < max(times) <= high
    assert len(set(times)) > 5


def test_a_range_of_times_is_repeatable(start):
    def times(seed: int) -> list[str]:
        api = start(processing_seconds="60-120", seed=seed, file_size=64)
        ids = [api.submit() for _ in range(5)]
        api.emulator.advance(120)
        return [api.status(task_id).json()["completedAt"] for task_id in ids]

    assert times(1) == times(1)
    assert times(1) != times(2)
    assert len(set(times(1))) == 5
