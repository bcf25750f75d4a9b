"""Each reading of what the vendor takes shows in what is accepted; and what the options take."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_provider_veo3.emulator import Settings
from airflow_provider_veo3.emulator.config.options import options_of


@pytest.mark.parametrize("model", ["veo-3.0-generate-preview", "veo-3.1-lite-generate-001"])
def test_default_model(start, model):
    api = start(
        default_model=model, model_ids_on_read=model[-7:].rpartition("-")[2], accept_preview_models=False
    )
    assert api.status(api.submit()).json()["model"] == model
    assert api.http.get("/api/veo/models").json()["defaultModel"] == model


@pytest.mark.parametrize("accepted", [True, False])
def test_accept_preview_models(start, accepted):
    answer = start(accept_preview_models=accepted).text(model="veo-3.0-fast-generate-preview")
    assert answer.status_code == (202 if accepted else 400)


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
    answer = api.frames(png, png)
    assert (answer.status_code, set(answer.json()["imageInfo"])) == (202, {"image", "lastImage"})
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
    answer = api.history()
    assert answer.status_code == (400 if required else 200)
    assert (answer.json().get("field") == "Content-Type") is required
    told = {"Content-Type": "application/json"}
    assert api.http.get("/api/veo/models", headers=told).status_code == 200
    assert (api.text().status_code, api.image(png).status_code) == (202, 202)


@pytest.mark.parametrize("required", [True, False])
def test_image_prompt_required(start, png, required):
    api = start(image_prompt_required=required)
    files = {"image": ("a.png", png, "image/png")}
    assert api.http.post("/api/veo/image-to-video", files=files).status_code == (400 if required else 202)
    assert api.text("").status_code == 400


@pytest.mark.parametrize(("choice", "limit"), [("decimal", 20_000_000), ("mib", 20 * 1024 * 1024)])
def test_image_limit(start, png, choice, limit):
    api = start(image_limit=choice)
    # Decoders ignore what follows the end of a PNG.
    assert api.image(png + bytes(limit - len(png))).status_code == 202
    answer = api.image(png + bytes(limit - len(png) + 1))
    assert (answer.status_code, answer.json()["error"]) == (413, "FILE_TOO_LARGE")


def test_text_limits(start):
    api = start(text_limits=False)
    assert api.text("x" * 5000, negativePrompt="x" * 5000).status_code == 202


def test_strict_types(start):
    api = start(strict_types=False)
    assert api.text(sampleCount="2", generateAudio="false").json()["creditsUsed"] == 240
    assert api.text(sampleCount="two").status_code == 400


@pytest.mark.parametrize(("choice", "status"), [("ignore", 202), ("refuse", 400)])
def test_unknown_fields(start, choice, status):
    api = start(unknown_fields=choice)
    answer = api.text(resolution="1080p")
    assert answer.status_code == status
    if choice == "ignore":
        assert api.emulator.ledger()["tasks"][0]["options"]["resolution"] == "1080p"
    else:
        assert answer.json()["field"] == "resolution"


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("status_labels", "odd", "allowed are lower"),
        ("policy_status", 200, "allowed are 400"),
        ("polls_count", "yes", "must be bool"),
        ("requests_per_minute", 0, "at least 1"),
        ("requests_per_minute", "off", "must be int or null"),
        ("requests_per_minute", True, "must be int or null"),
        ("time_scale", 0, "at least"),
        ("aspect_ratios", "16:9", "list of strings"),
        ("aspect_ratios", [1], "list of strings"),
        ("aspect_ratios", ("4:3",), "allowed are 16:9"),
        ("processing_seconds", "soon", "typical"),
        ("processing_seconds", "9-3", "ends before it begins"),
        ("processing_seconds", "-3", "typical"),
        ("height", 99, "even"),
        ("host", "192.0.2.1", "loopback only"),
        ("host", "example.org", "loopback only"),
        ("api_key", "sk-1", "veo3_"),
        ("file_size", 10, "at least 64"),
    ],
)
def test_values_that_no_option_allows(option, value, message):
    with pytest.raises(ValueError, match=rf"{option}=.*{message}"):
        Settings(**{option: value})


def test_every_option_is_tried():
    """A guard against options that nobody tests: each one's name stands in some test of the emulator."""
    texts = "".join(path.read_text() for path in Path(__file__).parent.glob("test_emulator_*.py"))
    assert [
        name for name in options_of(Settings) if f"{name}=" not in texts and f'"{name}"' not in texts
    ] == []
