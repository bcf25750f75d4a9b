"""Quirks: behaviour of the API that no page of the vendor describes."""

from __future__ import annotations

import gzip
import zlib
from urllib.parse import quote

import pytest

from airflow_provider_veo3.emulator import Settings

NOW = 1_767_225_600  # the time at which the clock of these tests stands

# Status words.


@pytest.mark.parametrize("pending", ["waiting", "IN_QUEUE"])
@pytest.mark.parametrize("processing", ["rendering", "step 3 of 7"])
@pytest.mark.parametrize("completed", ["finished", "ready", "done"])
@pytest.mark.parametrize(
    "failed", ["expired", "canceled", "cancelled", "rejected", "blocked", "moderation", "zurückgewiesen"]
)
def test_every_phase_may_have_any_word(start, pending, processing, completed, failed):
    api = start(
        pending_word=pending, processing_word=processing, completed_word=completed, failed_word=failed
    )
    response = api.text()
    task_id, words = response.json()["taskId"], [response.json()["status"]]
    for seconds in (0, 2, 200):
        api.emulator.advance(seconds)
        words.append(api.status(task_id).json()["status"])
        assert api.history().json()["videos"][0]["status"] == words[-1]
    assert words == [pending, pending, processing, completed]
    broken = api.submit()
    api.emulator.force(broken, "fail")
    assert api.status(broken).json()["status"] == failed
    for asked in (completed, "completed"):
        assert [video["taskId"] for video in api.history(status=asked).json()["videos"]] == [task_id]


def test_words_that_are_off_leave_the_labels(start):
    api = start(status_labels="upper", processing_word="rendering")
    task_id = api.finished()
    assert api.status(task_id).json()["status"] == "COMPLETED"


# Failures that are none.


@pytest.mark.parametrize(("after", "seconds"), [(0, 14), (30, 20), (59, 30)])
def test_a_generation_reported_as_failed_goes_on(start, after, seconds):
    api = start(processing_seconds=60, file_size=64, time_scale=1)
    api.emulator.inject(
        {"kind": "report_failed", "after": after, "seconds": seconds, "error": "Out of quota"}
    )
    task_id = api.submit()
    api.emulator.advance(after)
    body = api.status(task_id).json()
    assert (body["status"], body["error"]) == ("failed", "Out of quota")
    assert body["completedAt"] == api.emulator.ledger()["now"]
    assert "videos" not in body
    row = api.history(status="failed").json()["videos"][0]
    assert (row["taskId"], row["status"], row["videoCount"]) == (task_id, "failed", 0)
    assert api.download(task_id).json()["error"] == "NO_VIDEOS"
    ledger = api.emulator.ledger()
    assert (ledger["tasks"][0]["status"], ledger["totals"]["refunded"]) != ("failed", 190)
    api.emulator.advance(seconds)
    assert api.status(task_id).json()["status"] == ("processing" if after + seconds < 60 else "completed")
    api.emulator.advance(60)
    assert api.status(task_id).json()["status"] == "completed"
    assert api.get(api.urls(task_id)[0]).status_code == 200
    assert api.emulator.ledger()["totals"]["refunded"] == 0


def test_a_false_failure_ignores_the_time_scale_and_may_begin_with_a_poll(start):
    api = start(time_scale=1000, file_size=64)
    api.emulator.inject({"kind": "report_failed", "seconds": 14, "endpoint": "status", "skip": 1})
    task_id = api.finished()
    words = [api.status(task_id).json()["status"] for _ in range(2)]
    for seconds in (13.9, 0.1):
        api.emulator.advance(seconds)
        words.append(api.status(task_id).json()["status"])
    assert words == ["completed", "failed", "failed", "completed"]


@pytest.mark.parametrize("named", [True, False])
def test_failed_task_id(start, named):
    api = start(failed_task_id=named)
    api.emulator.inject({"kind": "report_failed", "seconds": 5})
    task_id = api.submit()
    assert ("taskId" in api.status(task_id).json()) is named
    api.emulator.advance(5)
    assert api.status(task_id).json()["taskId"] == task_id


@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize("envelope", ["flat", "nested"])
@pytest.mark.parametrize("status", ["documented", "200"])
def test_error_task_id(start, named, envelope, status):
    api = start(error_task_id=named, error_envelope=envelope, failed_status=500, error_http_status=status)
    api.emulator.inject({"kind": "report_failed", "seconds": 5})
    task_id = api.submit()
    failed, unknown, early = api.status(task_id), api.status("veo_0_x"), api.download(api.submit())
    statuses = [200, 200, 200] if status == "200" else [500, 404, 400]
    assert [response.status_code for response in (failed, unknown, early)] == statuses
    for response, wanted in ((failed, task_id), (unknown, "veo_0_x")):
        body = response.json()
        shown = body if envelope == "flat" else body["error"].get("details", {})
        assert (shown.get("taskId") if isinstance(shown, dict) else None) == (wanted if named else None)
    assert ("taskId" in early.text) is named
    assert "taskId" not in api.text(prompt="").text


# The read side lags behind.


def test_status_lag(start):
    api = start(status_lag_seconds=30, time_scale=2, processing_seconds=60, file_size=64)
    task_id = api.submit()
    for response in (api.status(task_id), api.download(task_id)):
        assert (response.status_code, response.json()["error"]) == (404, "TASK_NOT_FOUND")
    assert api.history().json()["pagination"]["total"] == 1
    api.emulator.advance(14.9)
    assert api.status(task_id).status_code == 404
    api.emulator.advance(0.1)
    assert api.status(task_id).status_code == 200


# Ids.


ODD_IDS = [
    "a/b/{id}",
    "/{id}/",
    "{id}%2F%25%zz",
    "+{id}+1 : ~",
    "{id}?x=1&y=2#z",
    "-{id}",
    "--{id}",
    "视频 {id} é🎬",
    '"{id}"\\',
    ".{id}.",
    "{id}" + "x" * 272,
]


@pytest.mark.parametrize("template", ODD_IDS)
@pytest.mark.parametrize("form", ["veo", "uuid"])
def test_task_id_template(start, png, template, form):
    api = start(task_id_template=template, task_ids=form, file_size=64)
    before, after = template.split("{id}")
    task_id = api.finished()
    assert task_id.startswith(before)
    assert task_id.endswith(after)
    assert len(task_id) == len(template) - 4 + (27 if form == "veo" else 36)
    for response in (api.status(task_id), api.download(task_id)):
        assert (response.status_code, response.json()["taskId"]) == (200, task_id)
    assert api.history().json()["videos"][0]["taskId"] == task_id
    url = api.urls(task_id)[0]
    assert quote(task_id, safe="") in url
    assert api.get(url).status_code == 200
    accepted = api.image(png).json()
    assert api.http.get(accepted["statusUrl"]).json()["taskId"] == accepted["taskId"]
    assert api.http.get(accepted["downloadUrl"]).json()["error"] == "VIDEO_NOT_READY"
    forced = api.http.post(f"/__emulator__/tasks/{quote(task_id, safe='')}", json={"outcome": "lose"})
    assert forced.json()["id"] == task_id
    assert api.status(task_id).json()["error"] == "TASK_NOT_FOUND"


def test_a_slash_or_percent_sign_of_an_id_must_be_escaped(start):
    api = start(task_id_template="a/b%41 {id}")
    path, task_id = "/api/veo/status/", api.submit()
    raw = task_id.replace(" ", "%20")
    assert api.http.get(path + raw).status_code == 404
    assert api.http.get(path + raw.replace("/", "%2F")).json()["error"] == "TASK_NOT_FOUND"
    assert api.http.get(path + raw.replace("/", "%2f").replace("%41", "%2541")).status_code == 200


def test_rendering_takes_odd_ids(start):
    api = start(task_id_template="视频 {id} " + "é" * 200)
    assert api.get(api.urls(api.finished())[0]).content[4:8] == b"ftyp"


def test_numeric_task_ids(start):
    api = start(numeric_task_ids=True, task_id_template="x{id}", file_size=64)
    task_id = api.text().json()["taskId"]
    assert isinstance(task_id, int)
    assert task_id // 10**6 == NOW
    api.emulator.advance(200)
    text = str(task_id)
    bodies = [api.status(text).json(), api.download(text).json(), *api.history().json()["videos"]]
    assert [body["taskId"] for body in bodies] == [task_id] * 3
    assert api.get(api.urls(text)[0]).status_code == 200
    assert api.emulator.ledger()["tasks"][0]["id"] == text
    api.emulator.configure(error_task_id=True, numeric_task_ids=False)
    api.emulator.force(text, "lose")
    assert api.status(text).json()["taskId"] == task_id


@pytest.mark.parametrize(
    ("template", "message"),
    [("no place", "must contain {id}"), ("{id}" * 251, "1000"), ("{id}\n", "printable")],
)
def test_a_template_without_a_unique_id_is_refused(template, message):
    with pytest.raises(ValueError, match=message):
        Settings(task_id_template=template)


# The history.


@pytest.mark.parametrize("more", ["right", "false", "true"])
@pytest.mark.parametrize("total", [True, False])
def test_history_page_limit(start, more, total):
    api = start(history_page_limit=5, history_has_more_value=more, history_total=total)
    api.emulator.add_history(12)
    seen = []
    for skip, rows in ((0, 5), (5, 5), (10, 2), (12, 0)):
        body = api.history(limit=100, skip=skip).json()
        assert len(body["videos"]) == rows
        shown = body["pagination"]
        right = skip + rows < 12
        assert shown.pop("hasMore") is {"right": right, "false": False, "true": True}[more]
        assert shown == {"limit": 100, "skip": skip} | ({"total": 12} if total else {})
        seen += [video["prompt"] for video in body["videos"]]
    assert seen == [f"Prompt {number}" for number in range(12, 0, -1)]
    assert len(api.history(limit=3).json()["videos"]) == 3


def test_history_skip_ignored(start):
    api = start(history_skip_ignored=True)
    api.emulator.add_history(12)
    pages = [api.history(limit=5, skip=skip).json() for skip in (0, 5, 100)]
    assert pages[0]["videos"] == pages[1]["videos"] == pages[2]["videos"]
    assert [page["pagination"]["skip"] for page in pages] == [0, 5, 100]
    assert {page["pagination"]["hasMore"] for page in pages} == {True}


def test_an_account_with_thousands_of_generations(start, connect):
    api = start(file_size=64)
    api.submit("new")
    ids = api.emulator.add_history(6000, seconds=864_000, prompts=["a cat", "a dog"])
    assert len(set(ids)) == 6000
    body = api.history(limit=100, skip=5901).json()
    assert body["pagination"] == {"total": 6001, "limit": 100, "skip": 5901, "hasMore": False}
    oldest = body["videos"][-1]
    assert (oldest["taskId"], oldest["prompt"], oldest["status"]) == (ids[0], "a cat", "completed")
    assert oldest["createdAt"] == "2025-12-22T00:00:00.000Z"
    assert 45 <= oldest["processingTime"] <= 75
    newest = api.history(limit=2).json()["videos"]
    assert [video["prompt"] for video in newest] == ["new", "a dog"]
    assert (newest[1]["taskId"], newest[1]["createdAt"]) == (ids[-1], "2025-12-31T23:57:36.000Z")
    assert api.status(ids[3]).json()["status"] == "completed"
    assert api.get(api.urls(ids[3])[0]).status_code == 200
    assert api.get(api.status(ids[3]).json()["videos"][0]["url"]).status_code == 403  # it has expired
    ledger = api.emulator.ledger()
    assert ([task["prompt"] for task in ledger["tasks"]], ledger["totals"]["charged"]) == (["new"], 190)
    assert api.emulator.add_key("veo3_other", account="other")["account"] == "other"
    assert connect(api, "veo3_other").history().json()["videos"] == []
    (own,) = api.emulator.add_history(1, api_key="veo3_other")
    assert [video["taskId"] for video in connect(api, "veo3_other").history().json()["videos"]] == [own]


def test_add_history_over_http(api):
    response = api.http.post("/__emulator__/history", json={"count": 2, "seconds": 3600, "prompts": ["A"]})
    assert response.status_code == 200
    rows = api.history().json()["videos"]
    assert [row["taskId"] for row in rows] == response.json()["task_ids"][::-1]
    assert [row["createdAt"] for row in rows] == ["2025-12-31T23:30:00.000Z", "2025-12-31T23:00:00.000Z"]
    assert api.status(rows[0]["taskId"]).json()["prompt"] == "A"


@pytest.mark.parametrize(
    ("call", "status", "message"),
    [
        ({}, 400, "count: "),
        ({"count": 0}, 400, "count=0: must be between 1 and 100000"),
        ({"count": 100_001}, 400, "must be between"),
        ({"count": 1, "seconds": -1}, 400, "seconds=-1"),
        ({"count": 1, "prompts": []}, 400, "prompts=[]: must not be empty"),
        ({"count": 1, "prompts": ["x" * 1001]}, 400, "prompts: Prompt must not exceed 1000"),
        ({"count": 1, "prompts": [1]}, 400, "prompts.0=1: "),
        ({"count": 1, "api_key": "veo3_nobody"}, 404, "api_key: no such key"),
    ],
)
def test_add_history_refuses_what_it_cannot_add(api, call, status, message):
    response = api.http.post("/__emulator__/history", json=call)
    assert response.status_code == status
    assert message in response.json()["error"]
    assert api.history().json()["videos"] == []


# Times and clocks.


@pytest.mark.parametrize(
    ("form", "created", "completed"),
    [
        ("iso", "2026-01-01T00:00:00.123Z", "2026-01-01T00:01:30.456Z"),
        ("local", "2026-01-01T05:30:00.123", "2026-01-01T05:31:30.456"),
        ("milliseconds", NOW * 1000 + 123, NOW * 1000 + 90_456),
        ("seconds", NOW, NOW + 90),
        ("milliseconds-text", f"{NOW}123", f"{NOW + 90}456"),
        ("seconds-text", f"{NOW}", f"{NOW + 90}"),
        ("null", None, "2026-01-01T00:01:30.456Z"),
        ("absent", "(absent)", "2026-01-01T00:01:30.456Z"),
    ],
)
@pytest.mark.parametrize("place", ["history", "status"])
def test_created_at(start, form, created, completed, place):
    api = start(
        "2026-01-01T00:00:00.123Z",
        processing_seconds=90.333,
        local_offset_hours=5.5,
        **{f"{place}_created_at": form},
    )
    task_id = api.finished()
    bodies = {"history": api.history().json()["videos"][0], "status": api.status(task_id).json()}
    for where, body in bodies.items():
        shown = body.get("createdAt", "(absent)"), body["completedAt"]
        right = ("2026-01-01T00:00:00.123Z", "2026-01-01T00:01:30.456Z")
        assert shown == ((created, completed) if where == place else right)
        assert body["processingTime"] == 90


def test_both_places_have_their_option():
    settings = Settings(history_created_at="seconds", status_created_at="local")
    assert (settings.history_created_at, settings.status_created_at) == ("seconds", "local")


@pytest.mark.parametrize(
    ("clock", "date", "created", "sent"),
    [
        (60, 0, "2026-01-01T00:01:00.000Z", "Thu, 01 Jan 2026 00:00:00 GMT"),
        (-60, 0, "2025-12-31T23:59:00.000Z", "Thu, 01 Jan 2026 00:00:00 GMT"),
        (0, 60, "2026-01-01T00:00:00.000Z", "Thu, 01 Jan 2026 00:01:00 GMT"),
        (0, -60, "2026-01-01T00:00:00.000Z", "Wed, 31 Dec 2025 23:59:00 GMT"),
        (3600, -3600, "2026-01-01T01:00:00.000Z", "Wed, 31 Dec 2025 23:00:00 GMT"),
    ],
)
def test_clock_offsets(start, clock, date, created, sent):
    api = start(
        clock_offset_seconds=clock,
        date_offset_seconds=date,
        requests_per_minute=2,
        file_size=64,
        processing_seconds=0,
    )
    task_id = api.submit()
    assert task_id[4:17] == str((NOW + clock) * 1000)
    response = api.status(task_id)
    assert (response.json()["createdAt"], response.headers["date"]) == (created, sent)
    assert response.headers["x-ratelimit-reset"] == str(NOW + 60 + clock)
    assert response.json()["videos"][0]["expiresAt"] == created.replace("2026-01-01", "2026-01-02").replace(
        "2025-12-31", "2026-01-01"
    )
    limited = api.history()
    assert limited.json()["error"]["details"]["reset"] == NOW + 60 + clock
    assert limited.json()["error"]["details"]["retry_after"] == 60
    assert limited.headers["x-ratelimit-reset"] == str(NOW + 60 + clock)
    assert api.get(response.json()["videos"][0]["url"]).headers["date"] == sent
    assert api.emulator.ledger()["tasks"][0]["created"] == "2026-01-01T00:00:00.000Z"


# Links.


def rest_of(url: str, emulator) -> str:
    assert url.strip().startswith(emulator.files_url)
    return url.strip().removeprefix(emulator.files_url)


@pytest.mark.parametrize("signed", [True, False])
def test_links_with_escapes_are_compared_byte_for_byte(start, raw_status, signed):
    api = start(url_escapes=True, signed_urls=signed, file_size=64)
    target = rest_of(api.urls(api.finished())[0], api.emulator)
    assert "/sample%5f0.mp4" in target
    respelled = {target.replace("%5f", "%5F"), target.replace("%5f", "_")}
    if signed:
        assert "%3b%20filename%3D%7Evideo.mp4" in target
        respelled |= {target.replace("%7E", "~"), target.replace("%3b", "%3B"), target.replace("%20", "+")}
    assert raw_status(api, target) == 200
    assert {raw_status(api, other) for other in respelled} == {403 if signed else 404}


@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize("where", ["around", "inside", "around-and-inside"])
def test_white_space_in_links(start, raw_status, where, signed):
    api = start(url_whitespace=where, signed_urls=signed, file_size=64)
    task_id = api.finished()
    (url,) = api.urls(task_id)
    assert (url != url.strip()) is ("around" in where)
    assert (" " in url.strip()) is ("inside" in where)
    (shown,) = api.status(task_id).json()["videos"]
    assert shown["url"].count(" ") == url.count(" ")
    target = rest_of(url, api.emulator)
    assert raw_status(api, target.replace(" ", "%20")) == 200
    path, _, query = target.replace(" ", "%20").partition("?")
    if signed and "inside" in where:
        assert raw_status(api, f"{path}?{query.replace('%20', '+')}") == 403


def test_links_with_escapes_and_white_space_carry_both(start, raw_status):
    api = start(url_whitespace="inside", url_escapes=True, file_size=64)
    target = rest_of(api.urls(api.finished())[0], api.emulator)
    assert "%3b filename%3D%7E" in target
    assert raw_status(api, target.replace(" ", "%20")) == 200


def test_links_stay_valid_when_their_spelling_changes(start):
    api = start(url_escapes=True, file_size=64)
    (url,) = api.urls(api.finished())
    api.emulator.configure(url_escapes=False, url_whitespace="inside")
    assert api.get(url).status_code == 200


# Videos and files that come late, or otherwise than as a plain MP4.


@pytest.mark.parametrize(
    ("choice", "samples", "listed"),
    [("empty", 1, 0), ("empty", 2, 0), ("missing", 2, None), ("one-less", 2, 1), ("one-less", 1, 0)],
)
def test_videos_lag(start, choice, samples, listed):
    api = start(
        videos_lag_seconds=20, videos_lag_shows=choice, time_scale=2, processing_seconds=60, file_size=64
    )
    task_id = api.submit(sampleCount=samples)
    api.emulator.advance(30)
    for seconds, count in ((9.9, listed), (0.1, samples)):
        api.emulator.advance(seconds)
        status, download = api.status(task_id).json(), api.download(task_id).json()
        assert (status["status"], download["totalVideos"]) == ("completed", samples)
        assert api.history().json()["videos"][0]["videoCount"] == samples
        for body in (status, download):
            assert ("videos" in body) is (count is not None)
            assert len(body.get("videos", [])) == (count or 0)
    assert [api.get(url).status_code for url in api.urls(task_id)] == [200] * samples


def test_download_may_know_no_videos_for_a_while(start):
    api = start(videos_lag_seconds=20, videos_lag_shows="no-videos", processing_seconds=60)
    task_id = api.submit()
    api.emulator.advance(79.9)
    assert api.status(task_id).json()["videos"] == []
    response = api.download(task_id)
    assert (response.status_code, response.json()["error"]) == (404, "NO_VIDEOS")
    api.emulator.advance(0.1)
    assert len(api.urls(task_id)) == 1


@pytest.mark.parametrize("shape", ["url", "result.video_url"])
@pytest.mark.parametrize("choice", ["empty", "missing"])
def test_videos_lag_in_other_shapes(start, shape, choice):
    api = start(videos_shape=shape, videos_lag_shows=choice, videos_lag_seconds=999)
    body = api.status(api.finished()).json()
    assert (shape.partition(".")[0] in body) is (choice == "empty")
    assert "http" not in str(body)


@pytest.mark.parametrize("signed", [True, False])
def test_file_lag(start, signed):
    api = start(file_lag_seconds=15, processing_seconds=60, file_size=64, signed_urls=signed)
    task_id = api.submit()
    api.emulator.advance(74.9)
    (url,) = api.urls(task_id)
    response = api.get(url)
    assert (response.status_code, b"NoSuchKey" in response.content) == (404, True)
    api.emulator.advance(0.1)
    assert api.get(url).status_code == 200


@pytest.mark.parametrize("content_type", ["text/plain", "application/xml", "binary/octet-stream", ""])
def test_file_content_type(start, content_type):
    api = start(file_content_type=content_type, file_size=64)
    response = api.get(api.urls(api.finished())[0])
    assert (response.headers.get("content-type", ""), len(response.content)) == (content_type, 64)


@pytest.mark.parametrize("size", [64, 1_000_000])
@pytest.mark.parametrize(
    ("choice", "named", "decode"),
    [
        ("gzip", "gzip", gzip.decompress),
        ("deflate", "deflate", zlib.decompress),
        ("unknown", "x-veo3", lambda data: bytes(byte ^ 0xFF for byte in data)),
    ],
)
def test_file_encoding(start, choice, named, decode, size):
    api = start(file_size=size)
    url = api.urls(api.finished())[0]
    whole = api.get(url).content
    api.emulator.configure(file_encoding=choice)
    for headers in ({}, {"Range": "bytes=9-"}, {"Accept-Encoding": "identity"}):
        with api.http.stream("GET", url, headers=headers) as response:
            sent = b"".join(response.iter_raw())
        assert (response.status_code, response.headers["content-encoding"]) == (200, named)
        assert "content-length" not in response.headers
        assert decode(sent) == whole
    assert api.emulator.ledger()["tasks"][0]["fetched"][0]["bytes"] == size + 3 * len(sent)
    head = api.http.head(url)
    assert (head.headers["content-encoding"], head.content) == (named, b"")
    api.emulator.inject({"kind": "end_early", "bytes": size // 2})
    with api.http.stream("GET", url) as response:
        assert len(b"".join(response.iter_raw())) < len(sent)


def test_an_encoded_file_can_drip(start):
    api = start(file_encoding="gzip", file_size=64)
    url = api.urls(api.finished())[0]
    api.emulator.inject({"kind": "drip", "seconds": 0})
    assert api.get(url).content[4:8] == b"ftyp"


# Errors inside a 200.


@pytest.mark.parametrize("envelope", ["flat", "nested"])
def test_error_http_status(start, connect, envelope):
    api = start(error_http_status="200", error_envelope=envelope, failed_status=500)
    api.emulator.inject({"kind": "fail_generation", "error": "Out of luck"})
    task_id = api.finished()
    responses = {
        "CONTENT_POLICY_VIOLATION": api.text("prohibited content"),
        "INVALID_PROMPT": api.text(""),
        "GENERATION_FAILED": api.status(task_id),
        "TASK_NOT_FOUND": api.status("veo_0_x"),
        "NO_VIDEOS": api.download(task_id),
        "VALIDATION_ERROR": api.history(limit=0),
        "INVALID_API_KEY": connect(api, "veo3_unknown").history(),
    }
    for code, response in responses.items():
        body = response.json()
        assert response.status_code == 200
        assert (body["error"] if envelope == "flat" else body["error"]["code"]) == code
        assert ("success" in body) is (envelope == "flat")
    assert api.emulator.ledger()["totals"]["accepted"] == 1
    assert api.text().status_code == 202
