"""Odd, huge and endless requests: each is refused with the envelope, and later requests are served."""

from __future__ import annotations

import json
import socket

import httpx
import pytest

JSON = {"Content-Type": "application/json"}


def served(api) -> None:
    """Check that every kind of request is still served."""
    task_id = api.submit()
    assert [api.status(task_id).status_code, api.history().status_code] == [200, 200]
    assert api.http.get("/__emulator__/ledger").status_code == 200


# Bodies and queries that a parser accepts and a careful API does not.


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (rb'{"prompt": "a \ud800 dragon"}', "not Unicode"),
        (rb'{"prompt": "A", "negativePrompt": "\udfff"}', "not Unicode"),
        (rb'{"prompt": "A", "\ud800": 1}', "not Unicode"),
        ('{"prompt": "A"}'.encode("utf-16")[:-1], "JSON object"),
        (b'{"prompt": "A", "x": ' + b"[" * 31 + b"]" * 31 + b"}", None),
        (b'{"prompt": "A", "x": ' + b"[" * 32 + b"]" * 32 + b"}", "nested too deeply"),
        (b'{"prompt": "A", "x": ' + b"[" * 990 + b"]" * 990 + b"}", "nested too deeply"),
        (b'{"prompt": "A", "x": ' + b'{"a":' * 100_000 + b"1" + b"}" * 100_001, "nested too deeply"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"prompt": "A", "seed": 1e400}', "1e400 is too large a number"),
        (b'{"prompt": "A", "x": [{"y": -1e999}]}', "too large a number"),
        (b'{"prompt": "A", "seed": 1e308}', "seed must be an integer"),
        (b'{"prompt": "A", "seed": ' + b"9" * 4301 + b"}", "JSON object"),
        (b'{"prompt": "A", "seed": ' + b"9" * 4000 + b"}", "seed must be an integer"),
        (b'{"prompt": "A", "seed": NaN}', "NaN is not JSON"),
    ],
)
@pytest.mark.parametrize("envelope", ["flat", "nested"])
def test_odd_json(start, body, message, envelope):
    api = start(error_envelope=envelope)
    response = api.http.post("/api/veo/text-to-video", content=body, headers=JSON)
    if message is None:
        assert response.status_code == 202
    else:
        assert response.status_code == 400
        error = response.json() if envelope == "flat" else response.json()["error"]
        assert error["error" if envelope == "flat" else "code"] == "VALIDATION_ERROR"
        assert message in error["message"]
        assert len(response.content) < 1000
    served(api)


@pytest.mark.parametrize("path", ["faults", "settings", "keys", "advance", "history", "tasks/veo_0_x"])
@pytest.mark.parametrize(
    "body",
    [
        b'{"kind": "\\ud800"}',
        b"[" * 990 + b"]" * 990,
        b'{"seconds": 1e400}',
        b'{"count": ' + b"9" * 4301 + b"}",
    ],
)
def test_odd_json_of_the_control_api(api, path, body):
    response = api.http.post(f"/__emulator__/{path}", content=body)
    assert response.status_code == 400
    assert response.json()["error"].startswith("the body must be a JSON object")
    served(api)


@pytest.mark.parametrize("name", ["limit", "skip"])
@pytest.mark.parametrize(
    "text", ["9" * 4301, "9" * 19, "1e400", "\uff11", "\u0663", "\xb2", " 1", "1.0", "+1", "", "\x00"]
)
def test_odd_numbers_of_the_history(api, name, text):
    response = api.history(**{name: text})
    assert (response.status_code, response.json()["error"], response.json()["field"]) == (
        400,
        "VALIDATION_ERROR",
        name,
    )
    assert len(response.content) < 1000
    assert api.history(**{name: "9" * 18}).status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "history?status=%ff%fe",
        "status/%ff%fe",
        "download/%00",
        "status/%ED%A0%80",
        "status/" + "x" * 9000,
        "status/",
        "status//",
    ],
)
def test_odd_texts_of_a_query_or_path(api, path):
    assert api.http.get(f"/api/veo/{path}").status_code in (400, 404)
    served(api)


@pytest.mark.parametrize(
    ("content_type", "message"),
    [
        ("multipart/form-data; boundary=b; charset=unicode_escape", "charset of a form must be utf-8"),
        ("multipart/form-data; boundary=b; charset=utf-16", "charset of a form must be utf-8"),
        ("multipart/form-data", "Missing boundary"),
        ("multipart/form-data; boundary=other", "cannot be read"),
    ],
)
def test_odd_forms(api, content_type, message):
    body = b'--b\r\nContent-Disposition: form-data; name="prompt"\r\n\r\n\\ud800\r\n--b--\r\n'
    response = api.http.post("/api/veo/image-to-video", content=body, headers={"Content-Type": content_type})
    assert (response.status_code, response.json()["error"]) == (400, "VALIDATION_ERROR")
    assert message in response.json()["message"]
    served(api)


def test_form_texts_that_are_not_utf_8_are_read_as_latin_1(api, png):
    body = (
        b'--b\r\nContent-Disposition: form-data; name="prompt"\r\n\r\na \xed\xa0\x80\r\n--b\r\n'
        b'Content-Disposition: form-data; name="image"; filename="\xff.png"\r\n'
        b"Content-Type: image/png\r\n\r\n" + png + b"\r\n--b--\r\n"
    )
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    assert api.http.post("/api/veo/image-to-video", content=body, headers=headers).status_code == 202
    served(api)


def test_bytes_of_a_range_may_have_any_number_of_digits(start):
    api = start(file_size=64)
    url = api.urls(api.finished())[0]
    for requested in ("bytes=" + "9" * 5000 + "-", "bytes=-" + "9" * 5000, "bytes=0-" + "9" * 5000):
        assert api.get(url, Range=requested).status_code == 200


# Bodies that are too large, or never end.


@pytest.mark.parametrize("padding", [1024 * 1024 - 20, 1024 * 1024, 3_000_000])
def test_a_json_body_has_a_limit(api, padding):
    body = b'{"prompt": "A"' + b" " * padding + b"}"
    response = api.http.post("/api/veo/text-to-video", content=body, headers=JSON)
    too_large = len(body) > 1024 * 1024
    assert response.status_code == (413 if too_large else 202)
    if too_large:
        assert response.json()["error"] == "PAYLOAD_TOO_LARGE"
    served(api)


def test_a_form_has_a_limit(api, png):
    response = api.image(b"x" * (65 * 1024 * 1024))
    assert (response.status_code, response.json()["error"]) == (413, "FILE_TOO_LARGE")
    assert api.image(png).status_code == 202


FORM = b'--b\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n\r\n\x89PNG'
UNFINISHED = {
    "json": ("text-to-video", "application/json", "Content-Length: 99", b'{"prompt"'),
    "chunks": ("text-to-video", "application/json", "Transfer-Encoding: chunked", b"1\r\n{\r\n"),
    "form": ("image-to-video", "multipart/form-data; boundary=b", "Content-Length: 999999", FORM),
}


def send_unfinished(client: socket.socket, api, name: str) -> None:
    """Send the beginning of a request whose body does not end."""
    kind, content_type, length, begin = UNFINISHED[name]
    lines = [
        f"POST /api/veo/{kind} HTTP/1.1",
        "Host: x",
        f"X-API-Key: {api.emulator.api_key}",
        f"Content-Type: {content_type}",
        length,
    ]
    client.sendall("\r\n".join([*lines, "", ""]).encode() + begin)


@pytest.mark.parametrize("name", UNFINISHED)
def test_a_body_that_never_ends_frees_its_slot(start, name):
    api = start(body_timeout_seconds=0.1, concurrent_requests=1)
    address = httpx.URL(api.emulator.base_url)
    with socket.create_connection((address.host, address.port), timeout=60) as client:
        send_unfinished(client, api, name)
        received = b""
        while data := client.recv(65536):  # until the emulator closes the connection
            received += data
    status, _, body = received.partition(b"\r\n\r\n")
    assert status.startswith(b"HTTP/1.1 408 ")
    assert json.loads(body)["error"] == "REQUEST_TIMEOUT"
    assert "0.1 seconds" in json.loads(body)["message"]
    served(api)


@pytest.mark.parametrize("name", UNFINISHED)
def test_a_client_that_leaves_amid_its_body_frees_its_slot(start, caplog, name):
    api = start(body_timeout_seconds=None, concurrent_requests=1)
    address = httpx.URL(api.emulator.base_url)
    with socket.create_connection((address.host, address.port), timeout=60) as client:
        send_unfinished(client, api, name)
    # Refused until the emulator has seen the end of the first connection.
    while (response := api.text()).status_code == 429:
        pass
    assert response.status_code == 202
    assert api.emulator.ledger()["requests"][UNFINISHED[name][0]]["cut"] == 1
    assert api.emulator.ledger()["totals"]["accepted"] == 1
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


# Web pages of other origins.


ORIGIN = {"Origin": "http://localhost:3000"}


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "text-to-video"),
        ("POST", "image-to-video"),
        ("POST", "first-last-frame"),
        ("GET", "status/a%2Fb"),
        ("GET", "download/veo_0_x"),
        ("GET", "history?limit=5"),
        ("GET", "models"),
    ],
)
def test_a_browser_may_send_requests(start, connect, method, path):
    api = start(requests_per_minute=60)
    asked = {
        **ORIGIN,
        "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": "content-type,x-api-key",
    }
    preflight = connect(api, None).http.options(f"/api/veo/{path}", headers=asked)
    assert (preflight.status_code, preflight.content) == (204, b"")
    assert preflight.headers["access-control-allow-origin"] == "*"
    assert method in preflight.headers["access-control-allow-methods"]
    assert preflight.headers["access-control-allow-headers"] == "content-type,x-api-key"
    for client, statuses in ((api, (200, 400, 404)), (connect(api, None), (401,))):
        response = client.http.request(method, f"/api/veo/{path}", headers=ORIGIN)
        assert response.status_code in statuses
        assert response.headers["access-control-allow-origin"] == "*"
        exposed = response.headers["access-control-expose-headers"].lower()
        for name in response.headers:
            assert not name.startswith("x-ratelimit") or name in exposed
        assert "retry-after" in exposed
    # A preflight counts against no limit.
    assert api.history().headers["x-ratelimit-remaining"] == "58"


def test_a_browser_may_read_faults_and_unknown_paths(api):
    api.emulator.inject({"kind": "status", "status": 503, "endpoint": "models"})
    for path in ("models", "nothing"):
        response = api.http.get(f"/api/veo/{path}", headers=ORIGIN)
        assert (response.status_code, response.headers["access-control-allow-origin"]) == (
            503 if path == "models" else 404,
            "*",
        )


def test_a_browser_may_read_files(start):
    api = start(file_size=64)
    url = api.urls(api.finished())[0]
    asked = {**ORIGIN, "Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "range"}
    preflight = api.http.options(url, headers=asked)
    assert (preflight.status_code, preflight.headers["access-control-allow-headers"]) == (204, "range")
    response = api.get(url, Origin="null", Range="bytes=0-9")
    assert (response.status_code, response.headers["access-control-allow-origin"]) == (206, "*")
    assert "Content-Range" in response.headers["access-control-expose-headers"]
    assert api.emulator.ledger()["tasks"][0]["fetched"][0]["requests"] == 1


def test_cors_can_be_off(start):
    api = start(cors=False)
    assert api.http.options("/api/veo/models").status_code == 404
    assert "access-control-allow-origin" not in api.history().headers


def test_the_control_api_is_not_for_other_origins(api):
    assert "access-control-allow-origin" not in api.http.get("/__emulator__/ledger").headers
    assert api.http.options("/__emulator__/ledger").status_code == 405
