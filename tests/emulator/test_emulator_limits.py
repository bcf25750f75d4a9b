"""The vendor's limits, the headers that announce them, and the time scale."""

from __future__ import annotations

import socket
import time
from contextlib import ExitStack

import pytest


@pytest.fixture
def closing():
    with ExitStack() as stack:
        yield stack


def test_every_answer_carries_the_limits(start, connect):
    api = start(requests_per_minute=60)
    answers = [
        api.text(),
        api.text(prompt=""),
        api.status("nothing"),
        api.http.get("/nowhere"),
        connect(api, None).history(),
        connect(api, "veo3_unknown").history(),
    ]
    remaining = [answer.headers["x-ratelimit-remaining"] for answer in answers]
    assert remaining == ["59", "58", "57", "57", "60", "60"]
    for answer in answers:
        assert answer.headers["x-ratelimit-limit"] == "60"
        assert answer.headers["x-ratelimit-reset"] == str(1_767_225_600 + 60)
        assert answer.headers["x-ratelimit-retry-after"] == "60"


def test_the_minute(start):
    api = start(requests_per_minute=3)
    for _ in range(3):
        assert api.history().status_code == 200
        api.emulator.advance(10)
    answer = api.history()
    assert answer.status_code == 429
    assert answer.headers["x-ratelimit-remaining"] == "0"
    assert answer.headers["x-ratelimit-retry-after"] == "30"
    assert answer.json() == {
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
        answer = api.history()
        seen.append((answer.status_code, answer.headers["x-ratelimit-remaining"]))
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
    answer = api.history()
    assert answer.status_code == 429
    assert "per day" in answer.json()["error"]["message"]
    assert answer.headers["x-ratelimit-retry-after"] == "400"
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
    answers = [api.history() for _ in range(70)]
    assert {answer.status_code for answer in answers} == {200}
    assert not any(name.startswith("x-ratelimit") for answer in answers for name in answer.headers)


def test_the_queue(start, connect):
    api = start(queue_limit=2, processing_seconds=100)
    api.emulator.add_key("veo3_other", credits=1000)
    api.submit()
    api.emulator.advance(40)
    api.submit()
    answer = api.text()
    assert answer.status_code == 429
    assert "generation queue" in answer.json()["error"]["message"]
    assert answer.headers["x-ratelimit-retry-after"] == "60"
    assert connect(api, "veo3_other").text().status_code == 202
    api.emulator.advance(60)
    assert api.text().status_code == 202
    totals = api.emulator.ledger()["totals"]
    assert (totals["accepted"], totals["completed"]) == (4, 1)


@pytest.mark.parametrize(("whose", "statuses"), [("key", [202, 429, 202]), ("account", [202, 429, 429])])
def test_whose_videos_are_queued(start, connect, whose, statuses):
    api = start(limits_of=whose, queue_limit=1)
    api.emulator.add_key("veo3_second", account="account-1")
    second = connect(api, "veo3_second")
    assert [client.text().status_code for client in (api, api, second)] == statuses


@pytest.mark.parametrize(("whose", "remaining"), [("key", ["2", "2", "1"]), ("account", ["2", "1", "0"])])
def test_whose_requests_are_counted(start, connect, whose, remaining):
    api = start(limits_of=whose, requests_per_minute=3)
    api.emulator.add_key("veo3_second", account="account-1")
    second = connect(api, "veo3_second")
    answers = [client.history() for client in (api, second, second)]
    assert [answer.headers["x-ratelimit-remaining"] for answer in answers] == remaining
    assert second.history().status_code == (200 if whose == "key" else 429)
    api.emulator.configure(limits_of="account")
    assert second.history().status_code == 429


def test_requests_at_the_same_time(start, closing):
    api = start(concurrent_requests=2)
    emulator = api.emulator
    emulator.inject({"kind": "delay", "endpoint": "models", "seconds": 3600, "times": 2})
    request = f"GET /api/veo/models HTTP/1.1\r\nHost: x\r\nX-API-Key: {emulator.api_key}\r\n\r\n"
    address = ("127.0.0.1", api.http.base_url.port)
    for _ in range(2):
        waiting = closing.enter_context(socket.create_connection(address))
        waiting.sendall(request.encode())
    while emulator.faults()[0]["met"] < 2:
        time.sleep(0.001)
    answer = api.history()
    assert answer.status_code == 429
    assert "2 concurrent" in answer.json()["error"]["message"]
    assert answer.headers["x-ratelimit-retry-after"] == "1"


def test_one_generation_at_a_time(start):
    api = start(rendering_at_once=1, processing_seconds=50, pending_seconds=10, queue_limit=None)
    first, second, third = (api.submit() for _ in range(3))
    seen = []
    for _ in range(4):
        api.emulator.advance(35)
        seen.append([api.status(task_id).json()["status"] for task_id in (first, second, third)])
    assert seen == [
        ["processing", "pending", "pending"],
        ["completed", "processing", "pending"],
        ["completed", "completed", "processing"],
        ["completed", "completed", "completed"],
    ]


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
    answer = api.history()
    assert answer.headers["x-ratelimit-reset"] == str(1_767_225_609 + 6)


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
