"""The control API over HTTP, and the same controls in Python."""

from __future__ import annotations

import gc
import logging
import socket
import threading

import httpx
import pytest

from airflow_provider_veo3.emulator import Emulator, FrozenClock, Settings
from airflow_provider_veo3.emulator.http.server import listen


@pytest.fixture
def control(api):
    """A client of the control API without a key."""
    with httpx.Client(base_url=f"{api.emulator.base_url}/__emulator__/", timeout=60) as client:
        yield client


def test_the_index_lists_every_path_and_method(api, control):
    paths = control.get("").json()["paths"]
    assert httpx.get(f"{api.emulator.base_url}/__emulator__", trust_env=False).json() == {"paths": paths}
    assert {path for path in paths if "{" not in path} == {
        f"/__emulator__/{name}"
        for name in ("", "health", "ledger", "faults", "settings", "keys", "history", "advance", "reset")
    }
    for path, methods in paths.items():
        address = path.format(task_id="veo_0_x")
        for method in ("GET", "POST", "DELETE", "PUT"):
            response = api.http.request(method, address)
            assert (response.status_code == 405) is (method not in methods)
            assert response.headers["content-type"] == "application/json"


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "nothing", 404), ("PUT", "faults", 405)])
def test_an_unknown_path_or_method_is_refused_with_the_path_of_the_index(control, method, path, status):
    response = control.request(method, path)
    assert response.status_code == status
    message = f"{method} /__emulator__/{path}: no such request; GET /__emulator__/ lists all requests"
    assert response.json() == {"error": message}


def test_health(api, control):
    assert control.get("health").json() == {
        "status": "ok",
        "base_url": api.emulator.base_url,
        "files_url": api.emulator.files_url,
    }


def test_the_ledger_has_everything_except_the_keys(api, control, png):
    task_id = api.submit("A dragon", seed=5)
    api.image(png, "A cat")
    api.text(prompt="")
    api.status(task_id)
    api.http.get("/api/veo/history?limit=5")
    ledger = control.get("ledger").json()
    assert ledger == api.emulator.ledger()
    first, second = ledger["tasks"]
    assert first == {
        "id": task_id,
        "account": "account-1",
        "key": ledger["accounts"][0]["keys"][0]["fingerprint"],
        "type": "text-to-video",
        "model": "veo-3.1-fast-generate-001",
        "prompt": "A dragon",
        "options": {"prompt": "A dragon", "seed": 5},
        "images": [],
        "created": "2026-01-01T00:00:00.000Z",
        "finished": None,
        "status": "pending",
        "error": None,
        "reply": "202",
        "lost": False,
        "charged": 190,
        "refunded": 0,
        "videos": 0,
        "fetched": [],
    }
    assert [(image["field"], image["filename"], image["size"]) for image in second["images"]] == [
        ("image", "photo.png", len(png))
    ]
    assert ledger["totals"] == {
        "accepted": 2,
        "pending": 2,
        "processing": 0,
        "completed": 0,
        "failed": 0,
        "charged": 380,
        "refunded": 0,
        "fetched_files": 0,
        "fetched_bytes": 0,
        "requests": 5,
    }
    assert ledger["accounts"][0]["credits"] == 10_000 - 380
    assert ledger["requests"] == {
        "text-to-video": {"202": 1, "400": 1},
        "image-to-video": {"202": 1},
        "status": {"200": 1},
        "history": {"200": 1},
    }
    assert ledger["recent_requests"][3] == {
        "at": "2026-01-01T00:00:00.000Z",
        "method": "GET",
        "endpoint": "status",
        "path": f"/api/veo/status/{task_id}",
        "status": "200",
        "key": first["key"],
        "task_id": task_id,
        "fault": None,
    }
    assert api.emulator.api_key not in control.get("ledger").text


def test_faults(api, control):
    rule = {"kind": "status", "status": 500, "times": 2, "api_key": api.emulator.api_key}
    response = control.post("faults", json=rule)
    assert response.json() == {"id": "fault-1"}
    assert api.history().status_code == 500
    shown = control.get("faults").json()["faults"]
    assert shown == api.emulator.faults()
    assert (shown[0]["kind"], shown[0]["met"]) == ("status", 1)
    assert api.emulator.api_key not in str(shown)
    assert control.delete("faults").json() == {"faults": []}
    assert api.history().status_code == 200


def test_settings(api, control):
    before = control.get("settings").json()
    assert (before["height"], before["status_labels"]) == (32, "lower")
    assert "api_key" not in before
    after = control.post("settings", json={"status_labels": "upper", "aspect_ratios": ["9:16"]}).json()
    assert after == {**before, "status_labels": "upper", "aspect_ratios": ["9:16"]}
    assert api.text(aspectRatio="9:16").json()["status"] == "PENDING"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"colour": 1}, "colour: no such option"),
        ({"port": 1}, "port: cannot change while the emulator runs"),
        ({"seed": 1}, "seed: cannot change while the emulator runs"),
        ({"credits": 1}, "credits: cannot change while the emulator runs"),
        ({"files_port": 1}, "files_port: cannot change while the emulator runs"),
        ({"status_labels": "odd"}, "status_labels='odd': Input should be 'lower', 'upper'"),
        ({"time_scale": 1e9}, "time_scale=1000000000.0: Input should be less than or equal to 1000000"),
        ({"task_lifetime_seconds": 1e300}, "less than or equal to 31622400"),
        ({"pending_seconds": 1e300}, "less than or equal to 31622400"),
        ({"history_lag_seconds": 1e300}, "less than or equal to 86400"),
        ({"processing_seconds": 1e15}, "must be at most 31622400"),
        ({"height": 100_000}, "less than or equal to 2160"),
        ({"first_frame_field": ""}, "first_frame_field='': String should have at least 1 character"),
        ({"aspect_ratios": []}, "aspect_ratios=[]: must not be empty"),
    ],
)
def test_settings_that_cannot_change(api, control, changes, message):
    before = api.emulator.settings
    response = control.post("settings", json={"unknown_path": "html", **changes})
    assert response.status_code == 400
    assert message in response.json()["error"]
    assert api.emulator.settings == before


def test_keys(api, control, connect):
    body = {"key": "veo3_new", "credits": 300}
    response = control.post("keys", json=body).json()
    assert (response["credits"], response["disabled"], response["account"]) == (300, False, "account-2")
    assert "veo3_new" not in str(response)
    client = connect(api, "veo3_new")
    assert client.text().json()["remainingCredits"] == 110
    control.post("keys", json={"key": "veo3_new", "disabled": True})
    assert client.text().status_code == 401
    control.post("keys", json={"key": "veo3_new", "disabled": False, "credits": 190})
    assert client.text().json()["remainingCredits"] == 0


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("keys", {"credits": 1}, 400),
        ("keys", {"key": "veo3_a", "credits": "1"}, 400),
        ("keys", {"key": "veo3_a", "credits": True}, 400),
        ("keys", {"key": "veo3_a", "colour": 1}, 400),
        ("keys", {"key": "veo3_a", "credits": -1}, 400),
        ("keys", {"key": "sk_a"}, 400),
        ("faults", {"kind": "status", "status": 500, "headers": {"X-A": "b\r\nX-C: d"}}, 400),
        ("faults", {"kind": "status", "status": 500, "headers": {"X A": "b"}}, 400),
        ("faults", {"kind": "status", "status": 500, "content_type": "text/€"}, 400),
        ("faults", {"kind": "redirect", "location": "http://127.0.0.1/\n"}, 400),
        ("advance", {"seconds": 1e18}, 400),
        ("advance", {"seconds": -1}, 400),
        ("advance", {}, 400),
        ("advance", [], 400),
        ("faults", {"kind": "odd"}, 400),
        ("tasks/veo_0_x", {"outcome": "complete"}, 404),
    ],
)
def test_invalid_requests_are_refused(control, path, body, status):
    response = control.post(path, json=body)
    assert response.status_code == status
    assert response.json()["error"]


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b'{"seconds": NaN}', b'{"seconds": -Infinity}'])
@pytest.mark.parametrize("path", ["advance", "settings", "faults", "keys", "tasks/veo_0_x"])
def test_a_body_that_is_not_json_is_refused(control, path, content):
    response = control.post(path, content=content)
    assert response.status_code == 400
    assert response.json()["error"].startswith("the body must be a JSON object")


@pytest.mark.parametrize("seconds", [float("nan"), float("inf"), -1.0, 1e18])
def test_a_refused_advance_changes_nothing(api, seconds):
    with pytest.raises(ValueError, match="seconds="):
        api.emulator.advance(seconds)
    assert api.emulator.ledger()["now"] == "2026-01-01T00:00:00.000Z"
    assert api.text().status_code == 202


def test_the_clock_can_be_advanced_to_its_last_year(start):
    api = start(time_scale=0.001, processing_seconds=31_622_400, file_size=64)
    api.emulator.advance(62_000_000_000)
    task_id = api.submit()
    assert api.emulator.force(task_id, "complete")["status"] == "completed"
    assert api.status(task_id).json()["videos"][0]["expiresAt"].startswith("399")


@pytest.mark.parametrize("field", ["seconds", "probability"])
def test_faults_refuse_nan_and_infinity(api, field):
    for value in (float("nan"), float("inf")):
        with pytest.raises(ValueError, match=f"{field}={value}: Input should be"):
            api.emulator.inject({"kind": "delay", field: value})


def test_outcomes(api, control):
    done, broken, gone = (api.submit() for _ in range(3))
    assert control.post(f"tasks/{done}", json={"outcome": "complete"}).json()["status"] == "completed"
    response = control.post(f"tasks/{broken}", json={"outcome": "fail", "error": "Bad luck"}).json()
    assert (response["status"], response["refunded"]) == ("failed", 190)
    assert control.post(f"tasks/{gone}", json={"outcome": "lose"}).json()["lost"] is True
    assert api.status(done).json()["status"] == "completed"
    assert api.status(broken).json()["error"] == "Bad luck"
    assert api.status(gone).status_code == 404
    for task_id, outcome in ((done, "fail"), (broken, "complete"), (done, "explode")):
        assert control.post(f"tasks/{task_id}", json={"outcome": outcome}).status_code == 400
    assert api.emulator.ledger()["accounts"][0]["credits"] == 10_000 - 2 * 190


def test_advance(api, control):
    task_id = api.submit()
    assert control.post("advance", json={"seconds": 200}).json() == {"now": "2026-01-01T00:03:20.000Z"}
    assert api.status(task_id).json()["status"] == "completed"


def test_reset(api, control, connect):
    task_id = api.submit()
    api.emulator.add_key("veo3_new")
    api.emulator.inject({"kind": "status", "status": 500, "times": None})
    api.emulator.configure(height=64)
    assert control.post("reset").json() == {}
    assert api.status(task_id).status_code == 404
    assert api.emulator.settings.height == 32
    assert api.text().json()["remainingCredits"] == 10_000 - 190
    assert connect(api, "veo3_new").history().status_code == 401


def test_a_log_line_for_each_request(api, caplog):
    caplog.set_level(logging.INFO, "airflow_provider_veo3.emulator")
    api.emulator.configure(file_size=100)
    task_id = api.finished()
    url = api.urls(task_id)[0]
    api.get(url, Range="bytes=0-9")
    api.text(prompt="")
    api.emulator.inject({"kind": "accept_then_disconnect"})
    with pytest.raises(httpx.TransportError):
        api.text()
    lost = api.emulator.ledger()["tasks"][1]["id"]
    # other tests may have enabled uvicorn's own log in this process
    ours = [
        record.getMessage() for record in caplog.records if record.name == "airflow_provider_veo3.emulator"
    ]
    assert ours == [
        f"POST text-to-video 202 {task_id} −190 credits (9810 left)",  # noqa: RUF001
        f"GET download 200 {task_id} 1 video",
        f"GET file 206 {task_id} sample_0 bytes 0-9/100",
        "POST text-to-video 400 INVALID_PROMPT",
        f"POST text-to-video cut {lost} −190 credits (9620 left) [accept_then_disconnect]",  # noqa: RUF001
    ]


def test_a_busy_port_is_an_error(api):
    port = api.http.base_url.port
    for name in ("port", "files_port"):
        with pytest.raises(OSError, match=f"cannot listen on 127.0.0.1:{port}"):
            Emulator(Settings(**{name: port})).start()


def test_responses_are_sent_without_nagles_delay():
    """Asyncio turns Nagle's algorithm off only for sockets that name their protocol."""
    with listen("127.0.0.1", 0) as listener:
        assert listener.proto == socket.IPPROTO_TCP


def test_stopping_leaves_nothing_behind():
    before = set(threading.enumerate())
    with Emulator(Settings(height=32), clock=FrozenClock()) as emulator:
        address = emulator.base_url
        emulator.inject({"kind": "delay", "endpoint": "models", "seconds": 3600})
        key = {"X-API-Key": emulator.api_key}
        with httpx.Client(base_url=address, headers=key, timeout=60) as client:
            client.post("/api/veo/text-to-video", json={"prompt": "A"})
            with pytest.raises(httpx.ReadTimeout):
                client.get("/api/veo/models", timeout=httpx.Timeout(60, read=0.05))
    gc.collect()  # a forgotten socket would warn here
    assert set(threading.enumerate()) <= before
    with pytest.raises(httpx.ConnectError):
        httpx.get(address, trust_env=False, timeout=60)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
def test_hosts(start, host):
    assert start(host=host).history().status_code == 200
