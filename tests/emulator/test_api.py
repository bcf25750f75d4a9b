"""The seven endpoints against the vendor's pages."""

from __future__ import annotations

import re

import pytest

MODELS = {
    "veo-3.0-generate-001": (500, 250),
    "veo-3.0-fast-generate-001": (190, 120),
    "veo-3.1-generate-001": (500, 250),
    "veo-3.1-fast-generate-001": (190, 120),
    "veo-3.1-lite-generate-001": (65, 35),
}


def test_text_to_video_responds_as_documented(api):
    response = api.text("A dragon")
    body = response.json()
    task_id = body["taskId"]
    assert response.status_code == 202
    assert re.fullmatch(r"veo_1767225600000_[0-9a-z]{9}", task_id)
    assert body == {
        "success": True,
        "message": "Video generation started",
        "taskId": task_id,
        "status": "pending",
        "estimatedWaitTime": "60-120 seconds",
        "creditsUsed": 190,
        "remainingCredits": 9810,
        "statusUrl": f"/api/veo/status/{task_id}",
        "downloadUrl": f"/api/veo/download/{task_id}",
    }


def test_image_to_video_adds_what_it_received(api, png):
    response = api.image(png, generateAudio="true", model="veo-3.1-lite-generate-001")
    body = response.json()
    assert response.status_code == 202
    assert body["creditsCost"] == 65
    assert "creditsUsed" not in body
    assert body["imageInfo"] == {"originalName": "photo.png", "size": len(png), "mimeType": "image/png"}


def test_first_last_frame_takes_two_images(api, png):
    response = api.frames(png, png)
    assert response.status_code == 202
    assert set(response.json()["imageInfo"]) == {"firstFrame", "lastFrame"}
    assert api.status(response.json()["taskId"]).json()["type"] == "first-last-frame"


def test_life_of_a_task(start):
    api = start(processing_seconds=90.5, pending_seconds=2)
    task_id = api.submit("A dragon", sampleCount=2)
    pending = {
        "success": True,
        "taskId": task_id,
        "status": "pending",
        "type": "text-to-video",
        "model": "veo-3.1-fast-generate-001",
        "prompt": "A dragon",
        "creditsCost": 380,
        "createdAt": "2026-01-01T00:00:00.000Z",
    }
    assert api.status(task_id).json() == pending
    api.emulator.advance(2)
    assert api.status(task_id).json() == {**pending, "status": "processing"}
    api.emulator.advance(88)
    assert api.status(task_id).json()["status"] == "processing"
    api.emulator.advance(0.5)
    body = api.status(task_id).json()
    videos = body.pop("videos")
    assert body == {
        **pending,
        "status": "completed",
        "completedAt": "2026-01-01T00:01:30.500Z",
        "processingTime": 90,
    }
    assert [set(video) for video in videos] == [{"url", "mimeType", "expiresAt"}] * 2
    assert {video["mimeType"] for video in videos} == {"video/mp4"}
    assert {video["expiresAt"] for video in videos} == {"2026-01-02T00:01:30.500Z"}
    for index, video in enumerate(videos):
        assert f"/veo3gen-gen-video/videos/{task_id}/sample_{index}.mp4?" in video["url"]
        assert video["url"].startswith(api.emulator.files_url)
    assert api.emulator.files_url != api.emulator.base_url


def test_download_responds_as_documented(api):
    task_id = api.finished(sampleCount=2)
    body = api.download(task_id).json()
    assert set(body) == {"success", "taskId", "videos", "totalVideos"}
    assert body["totalVideos"] == len(body["videos"]) == 2


def test_download_before_the_end_is_refused(api):
    response = api.download(api.submit())
    assert (response.status_code, response.json()["error"]) == (400, "VIDEO_NOT_READY")


def test_history_pages_filters_and_counts(start):
    api = start(queue_limit=None)
    done = [api.submit(f"old {number}", sampleCount=1 + number % 2) for number in range(3)]
    api.emulator.advance(200)
    running = api.submit("new")
    body = api.history(limit=2, skip=1).json()
    assert [video["taskId"] for video in body["videos"]] == [done[2], done[1]]
    assert body["pagination"] == {"total": 4, "limit": 2, "skip": 1, "hasMore": True}
    assert set(body["videos"][0]) == {
        "taskId",
        "type",
        "model",
        "prompt",
        "status",
        "creditsCost",
        "createdAt",
        "completedAt",
        "processingTime",
        "videoCount",
    }
    assert [video["videoCount"] for video in body["videos"]] == [1, 2]
    pending = api.history(status="pending").json()
    assert [video["taskId"] for video in pending["videos"]] == [running]
    assert pending["pagination"] == {"total": 1, "limit": 20, "skip": 0, "hasMore": False}


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"limit": "0"}, "limit"),
        ({"limit": "x"}, "limit"),
        ({"skip": "-1"}, "skip"),
        ({"status": "odd"}, "status"),
    ],
)
def test_history_refuses_invalid_queries(api, query, field):
    response = api.history(**query)
    assert (response.status_code, response.json()["error"], response.json()["field"]) == (
        400,
        "VALIDATION_ERROR",
        field,
    )


def test_models_lists_prices_and_capabilities(api):
    body = api.http.get("/api/veo/models").json()
    prices = {
        model["id"]: (model["pricing"]["creditsPerVideo"], model["pricing"]["creditsPerVideoNoAudio"])
        for model in body["models"]
    }
    assert prices == MODELS
    assert body["defaultModel"] == "veo-3.1-fast-generate-001"
    both = [model["id"] for model in body["models"] if "first-last-frame" in model["capabilities"]]
    assert both == ["veo-3.1-generate-001", "veo-3.1-fast-generate-001"]


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("samples", [1, 2])
@pytest.mark.parametrize("audio", [True, False])
def test_prices(api, model, samples, audio):
    body = api.text(model=model, sampleCount=samples, generateAudio=audio).json()
    assert body["creditsUsed"] == MODELS[model][0 if audio else 1] * samples
    assert body["remainingCredits"] == 10_000 - body["creditsUsed"]


def test_no_credits(start):
    api = start(credits=400)
    api.submit()
    api.submit()
    response = api.text()
    assert response.status_code == 402
    body = response.json()
    assert (body["error"], body["required"], body["available"]) == ("INSUFFICIENT_CREDITS", 190, 20)
    assert api.emulator.ledger()["totals"]["accepted"] == 2


def test_a_failure_refunds_everything_when_it_happens(api):
    api.emulator.inject({"kind": "fail_generation", "error": "The GPU is on fire"})
    task_id = api.submit(sampleCount=2)
    assert api.status(task_id).json()["status"] == "pending"
    assert api.emulator.ledger()["accounts"][0]["credits"] == 10_000 - 380
    api.emulator.advance(200)
    body = api.status(task_id).json()
    assert (body["status"], body["error"]) == ("failed", "The GPU is on fire")
    assert "videos" not in body
    totals = api.emulator.ledger()["totals"]
    assert (totals["charged"], totals["refunded"]) == (380, 380)
    assert api.text().json()["remainingCredits"] == 10_000 - 190
    response = api.download(task_id)
    assert (response.status_code, response.json()["error"]) == (404, "NO_VIDEOS")


@pytest.mark.parametrize(
    ("fields", "code", "field"),
    [
        ({"prompt": ""}, "INVALID_PROMPT", None),
        ({"prompt": "  "}, "INVALID_PROMPT", None),
        ({"prompt": None}, "INVALID_PROMPT", None),
        ({"prompt": 7}, "INVALID_PROMPT", None),
        ({"prompt": "x" * 1001}, "INVALID_PROMPT", None),
        ({"model": "veo-9"}, "INVALID_MODEL", None),
        ({"model": None}, "INVALID_MODEL", None),
        ({"sampleCount": 0}, "VALIDATION_ERROR", "sampleCount"),
        ({"sampleCount": 3}, "VALIDATION_ERROR", "sampleCount"),
        ({"sampleCount": "1"}, "VALIDATION_ERROR", "sampleCount"),
        ({"sampleCount": True}, "VALIDATION_ERROR", "sampleCount"),
        ({"sampleCount": 1.5}, "VALIDATION_ERROR", "sampleCount"),
        ({"durationSeconds": 4}, "VALIDATION_ERROR", "durationSeconds"),
        ({"durationSeconds": 9}, "VALIDATION_ERROR", "durationSeconds"),
        ({"aspectRatio": "1:1"}, "VALIDATION_ERROR", "aspectRatio"),
        ({"generateAudio": "true"}, "VALIDATION_ERROR", "generateAudio"),
        ({"generateAudio": 1}, "VALIDATION_ERROR", "generateAudio"),
        ({"enhancePrompt": None}, "VALIDATION_ERROR", "enhancePrompt"),
        ({"negativePrompt": 5}, "VALIDATION_ERROR", "negativePrompt"),
        ({"negativePrompt": "x" * 501}, "VALIDATION_ERROR", "negativePrompt"),
        ({"seed": -1}, "VALIDATION_ERROR", "seed"),
        ({"seed": 2**32}, "VALIDATION_ERROR", "seed"),
        ({"seed": "5"}, "VALIDATION_ERROR", "seed"),
        ({"personGeneration": "allow_all"}, "VALIDATION_ERROR", "personGeneration"),
        ({"prompt": "Something with PROHIBITED content"}, "CONTENT_POLICY_VIOLATION", None),
    ],
)
def test_refusals(api, fields, code, field):
    response = api.text(**fields)
    body = response.json()
    assert (response.status_code, body["success"], body["error"]) == (400, False, code)
    if field:
        assert (body["field"], body["value"]) == (field, fields[field])
    totals = api.emulator.ledger()["totals"]
    assert (totals["accepted"], totals["charged"]) == (0, 0)


@pytest.mark.parametrize(
    "fields",
    [
        {"prompt": "x" * 1000, "negativePrompt": "x" * 500},
        {"seed": 0},
        {"seed": 2**32 - 1},
        {"seed": None, "negativePrompt": None},
        {"durationSeconds": 5},
        {"durationSeconds": 8.0},
        {"aspectRatio": "9:16", "personGeneration": "dont_allow", "enhancePrompt": False},
    ],
)
def test_limits_are_inclusive(api, fields):
    assert api.text(**fields).status_code == 202


@pytest.mark.parametrize(
    ("content", "media_type", "code"),
    [
        (b"{", "application/json", "VALIDATION_ERROR"),
        (b'{"prompt": NaN}', "application/json", "VALIDATION_ERROR"),
        (b"[]", "application/json", "VALIDATION_ERROR"),
        (b'{"prompt": "A"}', "text/plain", "INVALID_PROMPT"),
        (b"", "application/json", "INVALID_PROMPT"),
    ],
)
def test_bodies_that_are_not_json_are_refused(api, content, media_type, code):
    headers = {"Content-Type": media_type}
    response = api.http.post("/api/veo/text-to-video", content=content, headers=headers)
    assert (response.status_code, response.json()["error"]) == (400, code)


def test_images_are_checked_by_content(api, png):
    jpeg_named_gif = {"image": ("a.gif", png, "image/gif")}
    text_named_png = {"image": ("a.png", b"no image at all", "image/png")}
    cut = {"image": ("a.png", png[: len(png) // 2], "image/png")}
    for files in (jpeg_named_gif, text_named_png, cut):
        response = api.http.post("/api/veo/image-to-video", data={"prompt": "A"}, files=files)
        assert (response.status_code, response.json()["error"]) == (400, "INVALID_IMAGE_TYPE"), files


def test_missing_images(api, png):
    responses = [
        api.http.post("/api/veo/image-to-video", data={"prompt": "A", "image": "text"}),
        api.http.post("/api/veo/image-to-video", json={"prompt": "A"}),
        api.image(b""),
        api.http.post(
            "/api/veo/first-last-frame",
            data={"prompt": "A"},
            files={"firstFrame": ("a.png", png, "image/png")},
        ),
    ]
    assert [(response.status_code, response.json()["error"]) for response in responses] == [
        (400, "MISSING_IMAGE")
    ] * 4


def test_a_file_under_another_name_is_refused(api, png):
    response = api.image(png, name="picture")
    assert (response.json()["error"], response.json()["field"]) == ("VALIDATION_ERROR", "picture")


def test_a_broken_form_is_refused(api):
    headers = {"Content-Type": "multipart/form-data"}
    response = api.http.post("/api/veo/image-to-video", content=b"--x\r\n", headers=headers)
    assert (response.status_code, response.json()["field"]) == (400, "body")


def test_forms_carry_text(api, png):
    good = {"generateAudio": "false", "sampleCount": "2", "durationSeconds": "6", "seed": "7"}
    response = api.image(png, **good)
    assert (response.status_code, response.json()["creditsCost"]) == (202, 240)
    for name, value in {"generateAudio": "yes", "sampleCount": "two", "seed": ""}.items():
        response = api.image(png, **{name: value})
        assert (response.json()["error"], response.json()["field"]) == ("VALIDATION_ERROR", name)


@pytest.mark.parametrize("model", ["veo-3.0-generate-001", "veo-3.1-lite-generate-001"])
def test_first_last_frame_is_for_quality_and_fast_of_3_1(api, png, model):
    response = api.frames(png, png, model=model)
    assert (response.status_code, response.json()["error"]) == (400, "INVALID_MODEL")


def test_keys(api, connect):
    emulator = api.emulator
    emulator.add_key("veo3_poor")
    emulator.add_key("veo3_off", credits=1000, disabled=True)
    task_id = api.finished()
    poor = connect(api, "veo3_poor")
    assert poor.text().status_code == 402
    assert poor.text().json()["available"] == 0
    for foreign in (poor.status(task_id), poor.download(task_id), poor.status("veo_0_x")):
        assert (foreign.status_code, foreign.json()["error"]) == (404, "TASK_NOT_FOUND")
    assert poor.history().json()["videos"] == []
    paths = ["models", "history", f"status/{task_id}", f"download/{task_id}"]
    for key, code in (
        ("veo3_off", "INVALID_API_KEY"),
        ("veo3_no", "INVALID_API_KEY"),
        (None, "UNAUTHORIZED"),
    ):
        client = connect(api, key)
        responses = [client.http.get(f"/api/veo/{path}") for path in paths]
        responses += [client.text(), client.image(None)]
        assert {(response.status_code, response.json()["error"]) for response in responses} == {(401, code)}


def test_two_keys_of_one_account_share_tasks_and_credits(api, connect):
    emulator = api.emulator
    emulator.add_key("veo3_one", credits=500, account="team")
    emulator.add_key("veo3_two", account="team")
    task_id = connect(api, "veo3_one").submit()
    two = connect(api, "veo3_two")
    assert two.status(task_id).status_code == 200
    assert two.text().json()["remainingCredits"] == 120
    with pytest.raises(ValueError, match="belongs to team"):
        emulator.add_key("veo3_two", account="other")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", "/api/veo/nothing"),
        ("GET", "/api/veo/text-to-video"),
        ("POST", "/api/veo/models"),
    ],
)
def test_unknown_paths(api, method, path):
    response = api.http.request(method, path)
    assert response.status_code == 404
    assert response.json()["success"] is False
