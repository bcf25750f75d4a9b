"""Variants of responses and errors: each changes what its option names, and nothing else."""

from __future__ import annotations

import re

import pytest


def failed(api):
    api.emulator.inject({"kind": "fail_generation", "error": "Out of luck"})
    return api.finished()


@pytest.mark.parametrize(
    ("choice", "text", "image"),
    [
        ("documented", "creditsUsed", "creditsCost"),
        ("creditsUsed", "creditsUsed", "creditsUsed"),
        ("creditsCost", "creditsCost", "creditsCost"),
    ],
)
def test_cost_field(start, png, choice, text, image):
    api = start(cost_field=choice)
    assert [name for name in api.text().json() if name in ("creditsUsed", "creditsCost")] == [text]
    assert [name for name in api.image(png).json() if name in ("creditsUsed", "creditsCost")] == [image]


@pytest.mark.parametrize(
    ("choice", "labels"),
    [
        ("lower", ["pending", "processing", "completed", "failed"]),
        ("upper", ["PENDING", "PROCESSING", "COMPLETED", "FAILED"]),
        ("title", ["Pending", "Processing", "Completed", "Failed"]),
        ("synonyms", ["queued", "running", "success", "error"]),
    ],
)
def test_status_labels(start, choice, labels):
    api = start(status_labels=choice)
    response = api.text()
    task_id = response.json()["taskId"]
    seen = [response.json()["status"]]
    for seconds in (2, 200):
        api.emulator.advance(seconds)
        seen.append(api.status(task_id).json()["status"])
    seen.append(api.status(failed(api)).json()["status"])
    assert seen == labels
    for word in (labels[2], "completed"):
        records = api.history(status=word).json()["videos"]
        assert [(record["taskId"], record["status"]) for record in records] == [(task_id, labels[2])]


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("string", {"error": "Out of luck"}),
        ("object", {"error": {"code": "GENERATION_FAILED", "message": "Out of luck"}}),
        ("message", {"message": "Out of luck"}),
        ("absent", {}),
    ],
)
@pytest.mark.parametrize("success", [True, False])
def test_failed_error(start, choice, expected, success):
    api = start(failed_error=choice, failed_success=success)
    body = api.status(failed(api)).json()
    assert body["success"] is success
    assert {name: body[name] for name in ("error", "message") if name in body} == expected


@pytest.mark.parametrize("status", [200, 500])
def test_failed_status(start, status):
    api = start(failed_status=status)
    task_id = failed(api)
    response = api.status(task_id)
    assert response.status_code == status
    if status == 500:
        assert response.json() == {"success": False, "error": "GENERATION_FAILED", "message": "Out of luck"}
    assert api.history().json()["videos"][0]["status"] == "failed"
    assert api.status(api.submit()).status_code == 200


@pytest.mark.parametrize(
    ("choice", "code"), [("NO_VIDEOS", 404), ("VIDEO_NOT_READY", 400), ("GENERATION_FAILED", 500)]
)
def test_failed_download(start, choice, code):
    api = start(failed_download=choice)
    response = api.download(failed(api))
    assert (response.status_code, response.json()["error"]) == (code, choice)


def test_unfinished_fields(start):
    seen = {}
    for choice in ("absent", "null", "minimal"):
        api = start(unfinished_fields=choice)
        seen[choice] = api.status(api.submit()).json()
    extra = {"completedAt": None, "processingTime": None, "videos": None}
    without_times = {name: value for name, value in seen["absent"].items() if name != "taskId"}
    assert without_times == {
        name: value for name, value in seen["null"].items() if name not in (*extra, "taskId")
    }
    assert {name: seen["null"][name] for name in extra} == extra
    assert not extra.keys() & seen["absent"].keys()
    assert set(seen["minimal"]) == {"success", "taskId", "status"}


@pytest.mark.parametrize(
    ("choice", "model", "offered"),
    [
        ("001", "veo-3.1-fast-generate-001", "veo-3.1-fast-generate-001"),
        ("preview", "veo-3.1-fast-generate-preview", "veo-3.1-fast-generate-001"),
        ("all-preview", "veo-3.1-fast-generate-preview", "veo-3.1-fast-generate-preview"),
    ],
)
def test_model_ids_on_read(start, choice, model, offered):
    api = start(model_ids_on_read=choice)
    models = api.http.get("/api/veo/models").json()
    assert (models["models"][3]["id"], models["defaultModel"]) == (offered, offered)
    assert {each["id"][-8:] == "-preview" for each in models["models"]} == {choice == "all-preview"}
    task_id = api.submit()
    assert api.status(task_id).json()["model"] == model
    assert api.history().json()["videos"][0]["model"] == model


@pytest.mark.parametrize(
    ("choice", "path"),
    [
        ("videos[].url", ["videos", 0, "url"]),
        ("videos[].videoUrl", ["videos", 0, "videoUrl"]),
        ("videos[].video_url", ["videos", 0, "video_url"]),
        ("url", ["url"]),
        ("videoUrl", ["videoUrl"]),
        ("video_url", ["video_url"]),
        ("result.video_url", ["result", "video_url"]),
    ],
)
def test_videos_shape(start, choice, path):
    api = start(videos_shape=choice, file_size=64)
    task_id = api.finished()
    for response in (api.status(task_id), api.download(task_id)):
        value = response.json()
        assert ("videos" in value) == (path[0] == "videos")
        for step in path:
            value = value[step]
        assert api.get(value).status_code == 200


@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize("expired", [400, 403, 404])
def test_signed_urls(start, signed, expired):
    api = start(signed_urls=signed, expired_url_status=expired, file_size=64)
    task_id = api.finished()
    (early,) = api.urls(task_id)
    assert ("?" in early) is signed
    assert api.get(early).status_code == 200
    assert api.get(early.partition("?")[0]).status_code == (403 if signed else 200)
    api.emulator.advance(86_400)
    assert api.get(early).status_code == expired
    (late,) = api.urls(task_id)
    assert api.get(late).status_code == (200 if signed else expired)


def test_unsigned_urls_open_nothing_but_finished_videos(start):
    api = start(signed_urls=False, file_size=64)
    path = f"{api.emulator.files_url}/veo3gen-gen-video/videos/{api.submit()}"
    assert api.get(f"{path}/sample_0.mp4").status_code == 404
    api.emulator.advance(200)
    assert [api.get(f"{path}/sample_{index}.mp4").status_code for index in (0, 1)] == [200, 404]


@pytest.mark.parametrize(
    ("choice", "names"),
    [
        ("same", ["success", "message", "taskId", "status", "estimatedWaitTime", "creditsCost"]),
        ("listed", ["taskId", "statusUrl", "downloadUrl", "creditsCost", "imageInfo"]),
    ],
)
def test_image_answer(start, png, choice, names):
    api = start(image_answer=choice)
    assert list(api.image(png).json())[:6] == names
    assert "status" in api.text().json()


@pytest.mark.parametrize(
    ("choice", "shape"),
    [
        ("veo", r"veo_1767225600000_[0-9a-z]{9}"),
        ("uuid", r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"),
        ("dotted", r"veo-3\.1\.1767225600000~[0-9a-z]{9}"),
    ],
)
def test_task_ids(start, choice, shape):
    api = start(task_ids=choice, file_size=64)
    task_id = api.finished()
    assert re.fullmatch(shape, task_id)
    assert api.submit() != task_id
    assert api.status(task_id).json()["taskId"] == task_id
    assert api.get(api.urls(task_id)[0]).status_code == 200


@pytest.mark.parametrize(("lifetime", "known"), [(None, True), (100.0, False)])
def test_task_lifetime(start, lifetime, known):
    api = start(task_lifetime_seconds=lifetime, time_scale=2, processing_seconds=60, file_size=64)
    task_id = api.submit()
    api.emulator.advance(30 + 49.9)
    assert api.status(task_id).status_code == 200
    api.emulator.advance(0.1)
    codes = [response.status_code for response in (api.status(task_id), api.download(task_id))]
    assert codes == ([200, 200] if known else [404, 404])
    assert api.history().json()["pagination"]["total"] == (1 if known else 0)


@pytest.mark.parametrize("kind", ["first-last-frame", "image-to-video"])
def test_frames_type(start, png, kind):
    api = start(frames_type=kind)
    task_id = api.frames(png, png).json()["taskId"]
    assert [api.status(task_id).json()["type"], api.history().json()["videos"][0]["type"]] == [kind, kind]
    assert api.status(api.submit()).json()["type"] == "text-to-video"


@pytest.mark.parametrize("present", [True, False])
def test_processing_time(start, present):
    api = start(processing_time=present)
    task_id = api.finished()
    assert ("processingTime" in api.status(task_id).json()) is present
    assert ("processingTime" in api.history().json()["videos"][0]) is present


def test_prompts_are_cut_to_the_configured_length(start):
    api = start(status_prompt_length=3, history_prompt_length=5)
    task_id = api.submit("A majestic dragon")
    api.submit("short")
    assert api.status(task_id).json()["prompt"] == "A m..."
    assert [video["prompt"] for video in api.history().json()["videos"]] == ["short", "A maj..."]


def test_history_order(start):
    orders = {}
    for order in ("newest", "oldest", "shuffled"):
        api = start(history_order=order, queue_limit=None, file_size=64)
        ids = [api.submit() for _ in range(9)]
        pages = [api.history(limit=5, skip=skip).json()["videos"] for skip in (0, 5)]
        found = [video["taskId"] for page in pages for video in page]
        assert sorted(found) == sorted(ids)
        orders[order] = [ids.index(task_id) for task_id in found]
    assert orders["oldest"] == list(range(9))
    assert orders["newest"] == list(range(8, -1, -1))
    assert orders["shuffled"] not in (orders["oldest"], orders["newest"])


def test_history_lag(start):
    api = start(history_lag_seconds=20, time_scale=2)
    task_id = api.submit()
    api.emulator.advance(9.9)
    assert api.history().json()["pagination"]["total"] == 0
    assert api.status(task_id).status_code == 200
    api.emulator.advance(0.1)
    assert api.history().json()["pagination"]["total"] == 1


def test_history_pages(start):
    api = start()
    assert api.history().json()["pagination"]["limit"] == 20
    assert api.history(limit=100).json()["pagination"]["limit"] == 100
    assert api.history(limit=101).json()["pagination"]["limit"] == 100


@pytest.mark.parametrize("total", [True, False])
@pytest.mark.parametrize("more", [True, False])
def test_history_totals(start, total, more):
    pagination = start(history_total=total, history_has_more=more).history().json()["pagination"]
    assert ("total" in pagination, "hasMore" in pagination) == (total, more)


@pytest.mark.parametrize("code", ["INVALID_API_KEY", "UNAUTHORIZED"])
def test_codes_of_401(start, connect, code):
    api = start(invalid_key_code=code)
    assert connect(api, None).history().json()["error"] == "UNAUTHORIZED"
    assert connect(api, "veo3_unknown").history().json()["error"] == code


def test_error_envelopes(start):
    api = start(error_envelope="nested", rate_limit_envelope="flat", requests_per_minute=2)
    assert api.text(prompt="").json() == {
        "error": {"code": "INVALID_PROMPT", "message": "Prompt is required and must be a non-empty string"}
    }
    assert api.text(seed=-1).json()["error"]["details"] == {"field": "seed", "value": -1}
    limited = api.history().json()
    assert (limited["success"], limited["error"]) == (False, "RATE_LIMIT_EXCEEDED")
    assert limited["details"]["retry_after"] == 60


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("documented", ("60", None, 60)),
        ("x-ratelimit", ("60", None, None)),
        ("retry-after", (None, "60", None)),
        ("body", (None, None, 60)),
        ("none", (None, None, None)),
    ],
)
@pytest.mark.parametrize("reset", [True, False])
def test_retry_hint(start, choice, expected, reset):
    api = start(retry_hint=choice, requests_per_minute=1, rate_headers=reset)
    assert ("x-ratelimit-remaining" in api.history().headers) is reset
    response = api.history()
    assert response.status_code == 429
    headers = response.headers.get("x-ratelimit-retry-after"), response.headers.get("retry-after")
    assert (*headers, response.json()["error"]["details"].get("retry_after")) == expected
    assert ("x-ratelimit-reset" in response.headers) is reset


@pytest.mark.parametrize("everywhere", [True, False])
@pytest.mark.parametrize("hint", ["documented", "x-ratelimit", "retry-after", "body", "none"])
def test_retry_after_everywhere(start, everywhere, hint):
    api = start(retry_after_everywhere=everywhere, retry_hint=hint, requests_per_minute=2)
    own = hint in ("documented", "x-ratelimit")
    assert ("x-ratelimit-retry-after" in api.history().headers) is (own and everywhere)
    assert ("x-ratelimit-retry-after" in api.status("nothing").headers) is (own and everywhere)
    assert ("x-ratelimit-retry-after" in api.history().headers) is own
    assert "retry-after" not in api.text(prompt="").headers or hint == "retry-after"


@pytest.mark.parametrize("sent", [True, False])
def test_date_header(start, sent):
    api = start(date_header=sent, file_size=64, requests_per_minute=None)
    task_id = api.finished()
    responses = [
        api.history(),
        api.status("nothing"),
        api.http.get("/nowhere"),
        api.get(api.urls(task_id)[0]),
    ]
    dates = {response.headers.get("date") for response in responses}
    assert dates == {"Thu, 01 Jan 2026 00:03:20 GMT" if sent else None}


@pytest.mark.parametrize(
    ("choice", "status", "code"),
    [
        ("rate-limit", 429, "RATE_LIMIT_EXCEEDED"),
        ("queue-full", 429, "QUEUE_FULL"),
        ("503", 503, "SERVICE_UNAVAILABLE"),
    ],
)
def test_queue_full(start, choice, status, code):
    api = start(queue_full=choice, queue_limit=1, rate_limit_envelope="flat")
    api.submit()
    response = api.text()
    assert (response.status_code, response.json()["error"]) == (status, code)


@pytest.mark.parametrize("choice", ["documented", "details", "bare"])
def test_insufficient_credits(start, choice):
    body = start(insufficient_credits=choice, credits=1).text().json()
    numbers = {"required": 190, "available": 1}
    assert ({name: body[name] for name in numbers if name in body}, body.get("details")) == {
        "documented": (numbers, None),
        "details": ({}, numbers),
        "bare": ({}, None),
    }[choice]


@pytest.mark.parametrize("status", [400, 403, 422, 451])
def test_policy_status(start, status):
    api = start(policy_status=status)
    prompts = ("PROHIBITED content", "some prohibited content", "a prohibited cat")
    assert [api.text(prompt).status_code for prompt in prompts] == [status, status, 202]
    assert api.text(prompts[0]).json()["error"] == "CONTENT_POLICY_VIOLATION"


def test_a_policy_violation_may_show_later(start):
    api = start(policy_when="generation", failed_error="object")
    task_id = api.finished(prompt="prohibited content")
    assert api.status(task_id).json()["error"]["code"] == "CONTENT_POLICY_VIOLATION"
    assert api.emulator.ledger()["totals"]["refunded"] == 190


@pytest.mark.parametrize(("choice", "body"), [("json", "{"), ("html", "<"), ("empty", "")])
def test_unknown_path(start, choice, body):
    response = start(unknown_path=choice).http.get("/api/veo/balance")
    assert (response.status_code, response.text[:1]) == (404, body)
