"""Every kind of fault, as the client sees it on a real socket."""

from __future__ import annotations

import json
import socket
import tracemalloc
from pathlib import Path

import httpx
import pytest

from airflow_provider_veo3.emulator import Fault
from airflow_provider_veo3.emulator.service.faults import KINDS

FILE_SIZE = 10_000


@pytest.fixture
def files(start):
    """A client whose tasks have cheap files of 10,000 bytes."""
    return start(file_size=FILE_SIZE)


def reply_of(address: httpx.URL, text: str) -> tuple[bytes, bool]:
    """Everything that a raw socket receives, and whether the connection was reset at its end."""
    with socket.create_connection((address.host, address.port), timeout=60) as client:
        client.sendall(text.encode())
        received = b""
        try:
            while data := client.recv(65536):
                received += data
        except ConnectionResetError:
            return received, True
    return received, False


def raw_get(url: str, key: str = "") -> tuple[bytes, bool]:
    address = httpx.URL(url)
    path = address.raw_path.decode()
    return reply_of(
        address, f"GET {path} HTTP/1.1\r\nHost: x\r\nX-API-Key: {key}\r\nConnection: close\r\n\r\n"
    )


def test_status_with_body_and_headers(api):
    rule = {
        "kind": "status",
        "endpoint": "text-to-video",
        "status": 503,
        "body": {"error": "BUSY"},
        "headers": {"Retry-After": "7", "X-RateLimit-Limit": None},
    }
    api.emulator.inject(rule)
    response = api.text()
    assert (response.status_code, response.json()) == (503, {"error": "BUSY"})
    assert response.headers["retry-after"] == "7"
    api.emulator.configure(requests_per_minute=60)
    api.emulator.inject({**rule, "content_type": "text/plain", "body": "so"})
    response = api.text()
    assert (response.text, response.headers["content-type"]) == ("so", "text/plain")
    assert "x-ratelimit-limit" not in response.headers
    assert "x-ratelimit-remaining" in response.headers
    assert api.emulator.ledger()["totals"]["accepted"] == 0
    assert api.text().status_code == 202


def test_a_fault_without_a_body_still_sends_json(api):
    api.emulator.inject({"kind": "status", "status": 500})
    assert api.history().json()["success"] is False


@pytest.mark.parametrize("kind", ["disconnect_before", "accept_then_disconnect"])
def test_cut_connections_are_reset(api, kind):
    emulator = api.emulator
    emulator.inject({"kind": kind, "endpoint": "text-to-video"})
    body = json.dumps({"prompt": "A"})
    received, reset = reply_of(
        httpx.URL(emulator.base_url),
        "POST /api/veo/text-to-video HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        f"X-API-Key: {emulator.api_key}\r\nContent-Length: {len(body)}\r\n\r\n{body}",
    )
    assert (received, reset) == (b"", True)
    ledger = emulator.ledger()
    accepted = kind == "accept_then_disconnect"
    assert ledger["totals"]["accepted"] == accepted
    assert ledger["totals"]["charged"] == 190 * accepted
    assert ledger["requests"] == {"text-to-video": {"cut": 1}}
    assert [task["reply"] for task in ledger["tasks"]] == ["cut"] * accepted


def test_httpx_sees_a_cut_as_a_lost_reply(api, png):
    api.emulator.inject({"kind": "accept_then_disconnect", "times": 2})
    with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
        api.text("lost")
    with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
        api.image(png, "lost too")
    prompts = [video["prompt"] for video in api.history().json()["videos"]]
    assert prompts == ["lost too", "lost"]


def test_accepted_but_answered_with_an_error(api):
    api.emulator.inject({"kind": "accept_then_status", "status": 500})
    assert api.text().status_code == 500
    task = api.emulator.ledger()["tasks"][0]
    assert (task["charged"], task["refunded"], task["reply"]) == (190, 0, "500")


def test_refusals_do_not_use_up_faults_of_accepted_requests(api):
    api.emulator.inject({"kind": "accept_then_disconnect"})
    assert api.text(prompt="").status_code == 400
    assert api.emulator.faults()[0]["met"] == 0


def test_delay(api):
    api.emulator.inject({"kind": "delay", "seconds": 3600})
    with pytest.raises(httpx.ReadTimeout):
        api.http.get("/api/veo/models", timeout=httpx.Timeout(60, read=0.05))
    assert api.http.get("/api/veo/models").status_code == 200


def test_a_delay_and_a_fault_combine(api):
    api.emulator.inject({"kind": "delay", "seconds": 0})
    api.emulator.inject({"kind": "status", "status": 502})
    api.emulator.inject({"kind": "status", "status": 503})
    assert [api.history().status_code for _ in range(3)] == [502, 503, 200]
    entry = api.emulator.ledger()["recent_requests"][0]
    assert (entry["status"], entry["fault"]) == ("502", "delay, status")


@pytest.mark.parametrize(
    ("kind", "length"), [("disconnect_mid_body", FILE_SIZE), ("truncate", FILE_SIZE), ("wrong_length", 5000)]
)
def test_half_a_file(files, kind, length):
    url = files.urls(files.finished())[0]
    whole = files.get(url).content
    files.emulator.inject({"kind": kind, "endpoint": "file"})
    received, reset = raw_get(url)
    head, _, body = received.partition(b"\r\n\r\n")
    assert f"content-length: {length}".encode() in head.lower()
    if kind == "disconnect_mid_body":
        assert reset
        assert len(body) <= 5000
    else:
        assert (body, reset) == (whole[:5000], False)


@pytest.mark.parametrize("kind", ["disconnect_mid_body", "truncate"])
def test_clients_notice_half_a_body(api, kind):
    api.emulator.inject({"kind": kind, "endpoint": "models"})
    with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
        api.http.get("/api/veo/models")


def test_a_body_is_truncated_at_the_given_position(files):
    url = files.urls(files.finished())[0]
    files.emulator.inject({"kind": "truncate", "endpoint": "file", "bytes": 77})
    received, _ = raw_get(url)
    assert len(received.partition(b"\r\n\r\n")[2]) == 77


def test_a_length_that_is_too_long(files):
    url = files.urls(files.finished())[0]
    files.emulator.inject({"kind": "wrong_length", "bytes": FILE_SIZE + 1})
    received, _ = raw_get(url)
    head, _, body = received.partition(b"\r\n\r\n")
    assert b"content-length: 10001" in head.lower()
    assert len(body) == FILE_SIZE


def test_no_length(files):
    url = files.urls(files.finished())[0]
    files.emulator.inject({"kind": "no_length"})
    response = files.get(url)
    assert "content-length" not in response.headers
    assert len(response.content) == FILE_SIZE


@pytest.mark.parametrize(("offset", "at"), [(None, 0), (300, 300)])
def test_corrupt(files, offset, at):
    url = files.urls(files.finished())[0]
    whole = files.get(url).content
    files.emulator.inject({"kind": "corrupt", "bytes": offset})
    broken = files.get(url).content
    assert len(broken) == len(whole)
    assert [i for i in range(FILE_SIZE) if whole[i] != broken[i]] == list(range(at, at + 64))


def test_stall(files):
    address = httpx.URL(files.urls(files.finished())[0])
    files.emulator.inject({"kind": "stall", "seconds": 3600, "bytes": 500})
    with socket.create_connection((address.host, address.port), timeout=60) as client:
        client.sendall(f"GET {address.raw_path.decode()} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        received = b""
        while len(received.partition(b"\r\n\r\n")[2]) < 500:
            received += client.recv(65536)
        client.settimeout(0.05)
        with pytest.raises(TimeoutError):
            client.recv(1)
    head, _, body = received.partition(b"\r\n\r\n")
    assert f"content-length: {FILE_SIZE}".encode() in head.lower()
    assert len(body) == 500


def test_a_stall_of_zero_seconds_keeps_the_body_whole(files):
    url = files.urls(files.finished())[0]
    whole = files.get(url).content
    files.emulator.inject({"kind": "stall", "seconds": 0})
    assert files.get(url).content == whole


def test_ignore_range(files):
    url = files.urls(files.finished())[0]
    files.emulator.inject({"kind": "ignore_range"})
    responses = [files.get(url, Range="bytes=100-") for _ in range(2)]
    assert [(response.status_code, len(response.content)) for response in responses] == [
        (200, FILE_SIZE),
        (206, FILE_SIZE - 100),
    ]


def test_faults_strike_within_the_range(files):
    url = files.urls(files.finished())[0]
    files.emulator.inject({"kind": "truncate", "endpoint": "file", "bytes": 10})
    with pytest.raises(httpx.RemoteProtocolError):
        files.get(url, Range="bytes=9000-")
    assert files.emulator.ledger()["tasks"][0]["fetched"] == [{"index": 0, "requests": 1, "bytes": 10}]


def test_html_instead(files):
    url = files.urls(files.finished())[0]
    files.emulator.inject({"kind": "html_instead", "times": 2})
    response = files.get(url)
    assert (response.status_code, response.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert files.history().text.startswith("<!DOCTYPE html>")


def test_garbage(api):
    api.emulator.inject({"kind": "garbage", "content_type": "application/json; charset=x-nothing"})
    response = api.history()
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json; charset=x-nothing"
    with pytest.raises(ValueError, match="can't decode"):
        response.content.decode("utf-8")


def test_redirect(files):
    url = files.urls(files.finished())[0]
    files.emulator.inject({"kind": "redirect", "location": "http://127.0.0.1:9/x", "times": 2})
    response = files.get(url)
    assert (response.status_code, response.headers["location"]) == (302, "http://127.0.0.1:9/x")
    assert files.history().status_code == 302


@pytest.mark.parametrize("status", [403, 404])
def test_expire(start, status):
    api = start(file_size=FILE_SIZE, expired_url_status=status)
    url = api.urls(api.finished())[0]
    api.emulator.inject({"kind": "expire"})
    assert [api.get(url).status_code for _ in range(2)] == [status, 200]


@pytest.mark.parametrize("endpoint", ["text-to-video", "status", "download"])
def test_lost_tasks(api, endpoint):
    api.emulator.inject({"kind": "lose_task", "endpoint": endpoint})
    task_id = api.submit()
    api.status(task_id)
    api.download(task_id)
    for response in (api.status(task_id), api.download(task_id)):
        assert (response.status_code, response.json()["error"]) == (404, "TASK_NOT_FOUND")
    assert api.history().json()["videos"] == []
    task = api.emulator.ledger()["tasks"][0]
    assert (task["lost"], task["charged"], task["refunded"]) == (True, 190, 0)


def test_no_videos(api):
    api.emulator.inject({"kind": "no_videos"})
    task_id = api.finished()
    assert api.status(task_id).json()["videos"] == []
    response = api.download(task_id)
    assert (response.status_code, response.json()["error"]) == (404, "NO_VIDEOS")
    assert api.emulator.ledger()["totals"]["refunded"] == 0


def test_drop_sample(api):
    api.emulator.inject({"kind": "drop_sample"})
    task_id = api.finished(sampleCount=2)
    assert api.download(task_id).json()["totalVideos"] == 1
    assert api.history().json()["videos"][0]["videoCount"] == 1
    assert api.emulator.ledger()["totals"]["refunded"] == 0


ENDPOINTS = ("text-to-video", "image-to-video", "first-last-frame", "status", "download", "history", "models")


@pytest.fixture
def request_to(files, png):
    """Send a valid request to an endpoint, or to the file host."""
    task_id = files.finished()
    url = files.urls(task_id)[0]
    requests = {
        "text-to-video": files.text,
        "image-to-video": lambda: files.image(png),
        "first-last-frame": lambda: files.frames(png, png),
        "status": lambda: files.status(task_id),
        "download": lambda: files.download(task_id),
        "history": files.history,
        "models": lambda: files.http.get("/api/veo/models"),
        "file": lambda: files.get(url),
    }
    return lambda endpoint: requests[endpoint]()


@pytest.mark.parametrize("endpoint", [*ENDPOINTS, "file"])
@pytest.mark.parametrize("status", [401, 403, 405, 407, 409, 421, 425, 451])
def test_a_gateways_page_has_any_status(files, request_to, endpoint, status):
    files.emulator.configure(requests_per_minute=60)
    accepted = files.emulator.ledger()["totals"]["accepted"]
    for number, kind in enumerate(("html_instead", "accept_then_status")):
        if kind == "accept_then_status" and endpoint not in ENDPOINTS[:3]:
            continue
        page = {"body": "<html>Blocked</html>", "content_type": "text/html"}
        headers = {"X-RateLimit-Limit": None, "Server": "gateway"}
        files.emulator.inject(
            {"kind": kind, "endpoint": endpoint, "status": status, "headers": headers, **page}
        )
        response = request_to(endpoint)
        assert (response.status_code, response.headers["content-type"]) == (status, "text/html")
        assert response.text == "<html>Blocked</html>"
        assert ("x-ratelimit-limit" in response.headers, response.headers["server"]) == (False, "gateway")
        assert files.emulator.ledger()["totals"]["accepted"] == accepted + number


@pytest.mark.parametrize("endpoint", ENDPOINTS)
@pytest.mark.parametrize("envelope", ["flat", "nested"])
@pytest.mark.parametrize("status", [None, 200, 500])
def test_refuse(files, request_to, endpoint, envelope, status):
    files.emulator.configure(error_envelope=envelope, error_task_id=True)
    accepted = files.emulator.ledger()["totals"]["accepted"]
    rule = {"kind": "refuse", "endpoint": endpoint, "code": "CONTENT_POLICY_VIOLATION", "error": "Not this"}
    files.emulator.inject({**rule, "status": status})
    response = request_to(endpoint)
    body = response.json()
    assert response.status_code == (status or 400)
    named = endpoint in ("status", "download")
    if envelope == "flat":
        assert (body["success"], body["error"]) == (False, "CONTENT_POLICY_VIOLATION")
        assert (body["message"], "taskId" in body) == ("Not this", named)
    else:
        assert (body["error"]["code"], body["error"]["message"]) == ("CONTENT_POLICY_VIOLATION", "Not this")
        assert ("taskId" in body["error"].get("details", {})) is named
    assert files.emulator.ledger()["totals"]["accepted"] == accepted
    assert request_to(endpoint).json()["success"] is True


def test_accepted_but_refused_inside_a_200(api):
    body = {"success": False, "error": "INTERNAL_ERROR", "message": "Try again"}
    api.emulator.inject({"kind": "accept_then_status", "status": 200, "body": body})
    response = api.text()
    assert (response.status_code, response.json()) == (200, body)
    assert api.emulator.ledger()["totals"]["charged"] == 190


@pytest.mark.parametrize("status", [204, 304])
def test_a_status_without_a_body(api, status):
    api.emulator.inject({"kind": "status", "status": status})
    response = api.history()
    assert (response.status_code, response.content) == (status, b"")
    assert api.history().status_code == 200


@pytest.mark.parametrize("kind", ["garbage", "html_instead", "status"])
def test_a_response_of_a_fault_is_filled_to_its_length(api, kind):
    api.emulator.inject({"kind": kind, "bytes": 1_000_001, "status": 503})
    response = api.history()
    assert (response.status_code, len(response.content)) == (503, 1_000_001)
    assert response.headers["content-length"] == "1000001"
    assert response.content.endswith(b" " * 999_000)
    api.emulator.inject({"kind": kind, "bytes": 1, "status": 503})
    assert len(api.history().content) > 1


@pytest.mark.parametrize(
    ("where", "length"),
    [
        ({"bytes": 0}, 0),
        ({"bytes": 77}, 77),
        ({}, FILE_SIZE // 2),
        ({"bytes": FILE_SIZE + 1}, FILE_SIZE),
        ({"before_box": "ftyp"}, 0),
        ({"before_box": "moov"}, 32),
        ({"before_box": "mdat"}, 40),
        ({"before_box": "moof"}, FILE_SIZE),
    ],
)
@pytest.mark.parametrize("kind", ["end_early", "short_file"])
def test_a_file_ends_where_the_fault_says(files, kind, where, length):
    url = files.urls(files.finished())[0]
    whole = files.get(url)
    files.emulator.inject({"kind": kind, "endpoint": "file", "times": 2, **where})
    response = files.get(url)
    assert (response.status_code, response.content) == (200, whole.content[:length])
    if kind == "end_early":
        assert "content-length" not in response.headers
    else:
        assert response.headers["content-length"] == str(length)
        assert response.headers["etag"] != whole.headers["etag"]
        part = files.get(url, Range="bytes=20-")
        expected = (206, whole.content[20:length]) if length > 20 else (416, b"")
        assert (part.status_code, part.content) == expected


@pytest.mark.parametrize("before", ["moov", "mdat"])
def test_a_rendered_file_can_be_cut_at_its_boxes(api, before):
    url = api.urls(api.finished())[0]
    whole = api.get(url).content
    api.emulator.inject({"kind": "end_early", "before_box": before})
    part = api.get(url).content
    assert 0 < len(part) < len(whole)
    assert whole.startswith(part)
    assert whole[len(part) + 4 : len(part) + 8] == before.encode()


def test_end_early_at_any_endpoint(api):
    api.emulator.inject({"kind": "end_early", "bytes": 9})
    response = api.history()
    assert (response.status_code, response.text) == (200, '{"success')


def test_boxes_are_of_files_only(api):
    with pytest.raises(ValueError, match="before_box='mdat': only files have boxes"):
        api.emulator.inject({"kind": "many_rows", "rows": 1, "before_box": "mdat"})


@pytest.mark.parametrize("endpoint", ENDPOINTS)
@pytest.mark.parametrize("size", [1, 300_000, 1_000_000])
def test_huge_body(files, request_to, endpoint, size):
    files.emulator.inject({"kind": "huge_body", "endpoint": endpoint, "bytes": size})
    response = request_to(endpoint)
    assert "content-length" not in response.headers
    assert len(response.content) == size if size > 1 else len(response.content) < 9000
    body = response.json()
    assert set(body.pop("padding")) <= {"x"}
    assert body.keys() == request_to(endpoint).json().keys()


@pytest.mark.parametrize("own", [0, 3])
@pytest.mark.parametrize("rows", [1, 5000])
def test_many_rows(api, own, rows):
    ids = [api.submit('"videos": []') for _ in range(own)]
    plain = api.history().json()
    api.emulator.inject({"kind": "many_rows", "rows": rows})
    response = api.history()
    body = response.json()
    assert "content-length" not in response.headers
    assert body["pagination"] == plain["pagination"]
    assert [row["taskId"] for row in body["videos"][:own]] == ids[::-1]
    others = body["videos"][own:]
    assert len({row["taskId"] for row in others}) == len(others) == rows
    finished = api.emulator.add_history(1)
    (documented,) = [row for row in api.history().json()["videos"] if row["taskId"] in finished]
    assert others[0].keys() == documented.keys()


@pytest.mark.parametrize(
    "rule", [{"kind": "huge_body", "bytes": 10**9}, {"kind": "many_rows", "rows": 10**6}]
)
def test_a_huge_response_needs_no_memory(api, rule):
    api.emulator.inject({**rule, "endpoint": "history"})
    tracemalloc.start()
    try:
        with api.http.stream("GET", "/api/veo/history") as response:
            received = 0
            for chunk in response.iter_raw():
                received += len(chunk)
                if received > 16_000_000:
                    break
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert received > 16_000_000
    assert peak < 4_000_000
    assert api.history().json()["videos"] == []


@pytest.mark.parametrize("endpoint", [*ENDPOINTS, "file"])
def test_drip(files, request_to, endpoint):
    files.emulator.inject({"kind": "drip", "endpoint": endpoint, "seconds": 0})
    response = request_to(endpoint)
    assert response.headers["content-length"] == str(len(response.content))
    assert response.status_code in (200, 202)
    files.emulator.inject({"kind": "drip", "endpoint": endpoint, "seconds": 3600, "bytes": 7})
    files.http.timeout = httpx.Timeout(60, read=0.05)
    with pytest.raises(httpx.ReadTimeout):
        request_to(endpoint)
    submitted = endpoint in ENDPOINTS[:3]
    assert files.emulator.ledger()["totals"]["accepted"] == 1 + 2 * submitted


def test_a_drip_sends_one_byte_at_a_time(files, hold):
    """Every byte waits for its pause, which the hold makes endless."""
    url = httpx.URL(files.urls(files.finished())[0])
    files.emulator.inject({"kind": "drip", "endpoint": "file", "bytes": 7})
    with socket.create_connection((url.host, url.port), timeout=60) as client:
        client.sendall(
            f"GET {url.raw_path.decode()} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode()
        )
        received = b""
        while len(received.partition(b"\r\n\r\n")[2]) < 7:
            received += client.recv(65536)
        assert len(received.partition(b"\r\n\r\n")[2]) == 7
        hold.end()
        while data := client.recv(65536):
            received += data
    assert len(received.partition(b"\r\n\r\n")[2]) == FILE_SIZE


def test_a_fault_meets_only_the_requests_that_match(api, connect):
    emulator = api.emulator
    emulator.add_key("veo3_other", credits=1000)
    other = connect(api, "veo3_other")
    first, second = api.submit("a cat"), api.submit("a dog")

    def met(**rule: object) -> list[int]:
        emulator.clear_faults()
        emulator.inject({"kind": "status", "status": 418, "times": None, **rule})
        responses = [api.status(first), api.status(second), api.download(first), other.history()]
        return [number for number, response in enumerate(responses) if response.status_code == 418]

    assert met() == [0, 1, 2, 3]
    assert met(endpoint="status") == [0, 1]
    assert met(task_id=first) == [0, 2]
    assert met(prompt_contains="dog") == [1]
    assert met(api_key="veo3_other") == [3]
    assert met(skip=2) == [2, 3]
    assert met(skip=1, times=2) == [1, 2]
    assert met(times=0) == []
    assert met(probability=0) == []


def test_a_prompt_is_matched_before_acceptance(api, png):
    api.emulator.inject({"kind": "status", "status": 500, "prompt_contains": "bad", "times": None})
    responses = [api.text("a bad one"), api.text("a good one"), api.image(png, "a bad one")]
    assert [response.status_code for response in responses] == [500, 202, 500]


def test_probability_is_seeded(start):
    def met(seed: int) -> list[int]:
        api = start(seed=seed)
        api.emulator.inject({"kind": "status", "status": 500, "probability": 0.5, "times": None})
        return [api.http.get("/api/veo/models").status_code for _ in range(24)]

    assert met(1) == met(1)
    assert met(1) != met(2)
    assert set(met(1)) == {200, 500}


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ({}, "kind: Field required"),
        ({"kind": "explode"}, "kind='explode': allowed are delay, status"),
        ({"kind": "status"}, "status: status needs this field"),
        ({"kind": "status", "status": 700}, "status=700: Input should be less than or equal to 599"),
        ({"kind": "status", "status": "500"}, "status='500': Input should be a valid integer"),
        ({"kind": "redirect"}, "location: redirect needs this field"),
        ({"kind": "refuse"}, "code: refuse needs this field"),
        ({"kind": "huge_body"}, "bytes: huge_body needs this field"),
        ({"kind": "many_rows"}, "rows: many_rows needs this field"),
        ({"kind": "short_file", "before_box": "mda"}, "before_box='mda': String should match pattern"),
        (
            {"kind": "delay", "endpoint": "nowhere"},
            "endpoint='nowhere': allowed for delay are any, text-to-video",
        ),
        (
            {"kind": "ignore_range", "endpoint": "status"},
            "endpoint='status': allowed for ignore_range are any, file",
        ),
        ({"kind": "delay", "seconds": -1}, "seconds=-1: Input should be greater than or equal to 0"),
        ({"kind": "delay", "times": True}, "times=True: Input should be a valid integer"),
        ({"kind": "delay", "probability": 2}, "probability=2: Input should be less than or equal to 1"),
        ({"kind": "delay", "headers": {"A": 1}}, "headers.A=1: Input should be a valid string"),
        ({"kind": "delay", "wait": 1}, "wait=1: Unexpected keyword argument"),
    ],
)
def test_invalid_faults_are_refused(api, rule, message):
    with pytest.raises(ValueError, match=message):
        api.emulator.inject(rule)
    assert api.emulator.faults() == []


def test_a_fault_can_be_an_object(api):
    api.emulator.inject(Fault("status", status=500))
    assert api.history().status_code == 500


def test_every_kind_is_tested():
    texts = "".join(path.read_text() for path in Path(__file__).parent.glob("test_*.py"))
    assert [kind for kind in KINDS if f'"{kind}"' not in texts] == []
