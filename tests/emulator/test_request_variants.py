"""Variants of requests, and the values that options accept."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_provider_veo3.emulator import Settings


@pytest.mark.parametrize("refused", [True, False])
def test_fast_refuses_images(start, png, refused):
    api = start(fast_refuses_images=refused)
    assert api.image(png).status_code == (400 if refused else 202)
    assert api.image(png, model="veo-3.1-generate-001").status_code == 202
    assert api.text().status_code == 202


def test_aspect_ratios(start):
    api = start(aspect_ratios=("16:9",))
    assert [api.text(aspectRatio=ratio).status_code for ratio in ("16:9", "9:16")] == [202, 400]


@pytest.mark.parametrize(("choice", "accepted"), [("5-8", [5, 6, 7, 8]), ("4,6,8", [4, 6, 8]), ("8", [8])])
def test_durations(start, choice, accepted):
    api = start(durations=choice, file_size=64)
    assert [s for s in range(1, 10) if api.text(durationSeconds=s).status_code == 202] == accepted


def test_frame_fields(start, png):
    api = start(first_frame_field="image", last_frame_field="lastImage")
    response = api.frames(png, png)
    assert (response.status_code, set(response.json()["imageInfo"])) == (202, {"image", "lastImage"})
    files = dict.fromkeys(("firstFrame", "lastFrame"), ("a.png", png, "image/png"))
    assert api.http.post("/api/veo/first-last-frame", data={"prompt": "A"}, files=files).status_code == 400


def test_frame_fields_may_be_one(start, png):
    api = start(first_frame_field="images[]", last_frame_field="images[]", file_size=64)
    parts = [("images[]", (f"{name}.png", png, "image/png")) for name in "abc"]

    def post(files):
        return api.http.post("/api/veo/first-last-frame", data={"prompt": "A"}, files=files)

    assert [info["originalName"] for info in post(parts[:2]).json()["imageInfo"]] == ["a.png", "b.png"]
    assert post(parts[:1]).json()["error"] == "MISSING_IMAGE"
    assert post(parts).json()["field"] == "images[]"
    kept = api.emulator.ledger()["tasks"][0]["images"]
    assert [(image["field"], image["filename"]) for image in kept] == [
        ("images[]", "a.png"),
        ("images[]", "b.png"),
    ]


@pytest.mark.parametrize("required", [True, False])
def test_content_type_required(start, png, required):
    api = start(content_type_required=required, file_size=64)
    response = api.history()
    assert response.status_code == (400 if required else 200)
    assert (response.json().get("field") == "Content-Type") is required
    declared = {"Content-Type": "application/json"}
    assert api.http.get("/api/veo/models", headers=declared).status_code == 200
    assert (api.text().status_code, api.image(png).status_code) == (202, 202)


@pytest.mark.parametrize(("choice", "limit"), [("decimal", 20_000_000), ("mib", 20 * 1024 * 1024)])
def test_image_limit(start, png, choice, limit):
    api = start(image_limit=choice)
    # Decoders ignore what follows the end of a PNG.
    assert api.image(png + bytes(limit - len(png))).status_code == 202
    response = api.image(png + bytes(limit - len(png) + 1))
    assert (response.status_code, response.json()["error"]) == (413, "FILE_TOO_LARGE")


@pytest.mark.parametrize(("choice", "status"), [("ignore", 202), ("refuse", 400)])
def test_unknown_fields(start, choice, status):
    api = start(unknown_fields=choice)
    response = api.text(resolution="1080p")
    assert response.status_code == status
    if choice == "ignore":
        assert api.emulator.ledger()["tasks"][0]["options"]["resolution"] == "1080p"
    else:
        assert response.json()["field"] == "resolution"


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("status_labels", "odd", "Input should be 'lower', 'upper'"),
        ("policy_status", 200, "Input should be 400, 403"),
        ("signed_urls", "yes", "valid boolean"),
        ("colour", "red", "not permitted"),
        ("requests_per_minute", 0, "greater than or equal to 1"),
        ("requests_per_minute", "off", "valid integer"),
        ("requests_per_minute", True, "valid integer"),
        ("time_scale", 0, "greater than or equal to 0.001"),
        ("aspect_ratios", "16:9", "valid tuple"),
        ("aspect_ratios", [1], "Input should be '16:9' or '9:16'"),
        ("aspect_ratios", ("4:3",), "Input should be '16:9' or '9:16'"),
        ("processing_seconds", "soon", "typical"),
        ("processing_seconds", "9-3", "ends before it begins"),
        ("processing_seconds", "-3", "typical"),
        ("height", 99, "even"),
        ("host", "192.0.2.1", "loopback only"),
        ("host", "example.org", "loopback only"),
        ("api_key", "sk-1", "veo3_"),
        ("file_size", 10, "greater than or equal to 64"),
    ],
)
def test_settings_refuse_values_that_an_option_does_not_allow(option, value, message):
    with pytest.raises(ValueError, match=rf"(?m)^{option}(\.\w+)?\n.*{message}"):
        Settings(**{option: value})


def test_every_option_is_tested():
    """Each option's name is in some test of the emulator."""
    texts = "".join(path.read_text() for path in Path(__file__).parent.glob("test_*.py"))
    assert [
        name for name in Settings.model_fields if f"{name}=" not in texts and f'"{name}"' not in texts
    ] == []
