"""The contradictions between the vendor's pages, D1 to D17: one test for each."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_veo3 import exceptions as errors
from airflow_provider_veo3.api import protocol
from airflow_provider_veo3.api.request import DEFAULT_MODEL, WIRE_NAMES, GenerationRequest, Image
from airflow_provider_veo3.api.responses import parse_generation, parse_history_page, parse_models
from airflow_provider_veo3.hooks.connection import settings_from_environment
from airflow_provider_veo3.hooks.veo3 import Veo3Hook
from tests.support import samples
from tests.support.judge import POST, STATUS, error_of, response
from tests.support.samples import BASE, flat, nested

PNG = b"\x89PNG\r\n\x1a\n...."
FIVE_MODELS = (
    "veo-3.0-generate-001",
    "veo-3.0-fast-generate-001",
    "veo-3.1-generate-001",
    "veo-3.1-fast-generate-001",
    "veo-3.1-lite-generate-001",
)


@pytest.mark.parametrize("code", ["INVALID_API_KEY", "UNAUTHORIZED", "KEY_DISABLED"])
@pytest.mark.parametrize("envelope", [flat, nested])
def test_d1_a_refused_key_is_known_by_its_status_in_an_envelope_of_the_api(code: str, envelope: Any) -> None:
    assert type(error_of(STATUS, 401, envelope(code))) is errors.Veo3AuthenticationError
    foreign = {"message": "Missing X-API-Key header"}
    assert type(error_of(STATUS, 401, foreign)) is errors.Veo3UnreadableAnswerError


@pytest.mark.parametrize(
    "model", [*FIVE_MODELS, *(m.replace("-001", "-preview") for m in FIVE_MODELS), "veo-4"]
)
def test_d2_any_model_id_is_sent_and_read_unchanged(model: str) -> None:
    assert GenerationRequest("text-to-video", "x", model=model).wire_options()["model"] == model
    assert parse_generation({**samples.COMPLETED, "model": model}, BASE).model == model


@pytest.mark.parametrize("kind", ["text-to-video", "image-to-video", "first-last-frame"])
def test_d3_the_model_is_always_sent_and_is_the_cheaper_default(kind: str) -> None:
    roles = {
        "text-to-video": (),
        "image-to-video": ("image",),
        "first-last-frame": ("first_frame", "last_frame"),
    }
    images = tuple(Image(role, PNG) for role in roles[kind])
    sent = protocol.submission(GenerationRequest(kind, "x", images=images), {})  # type: ignore[arg-type]
    assert {**(sent.json or {}), **(sent.form or {})}["model"] == "veo-3.1-fast-generate-001" == DEFAULT_MODEL


@pytest.mark.parametrize("model", [m for m in FIVE_MODELS if "fast" in m])
def test_d4_a_fast_model_may_be_given_an_image(model: str) -> None:
    request = GenerationRequest("image-to-video", "x", model=model, images=(Image("image", PNG),))
    sent = protocol.submission(request, {})
    assert sent.form is not None
    assert sent.form["model"] == model


def test_d5_durations_of_both_pages_are_accepted() -> None:
    assert GenerationRequest("text-to-video", "x").duration_seconds == 8
    for seconds in (4, 5, 6, 7, 8):
        sent = GenerationRequest("text-to-video", "x", duration_seconds=seconds).wire_options()
        assert sent["durationSeconds"] == seconds


@pytest.mark.parametrize("ratio", ["16:9", "9:16"])
def test_d6_both_aspect_ratios_are_accepted(ratio: str) -> None:
    assert GenerationRequest("text-to-video", "x", aspect_ratio=ratio).wire_options()["aspectRatio"] == ratio


def test_d7_the_stricter_text_limits_hold() -> None:
    request = GenerationRequest("text-to-video", "p" * 1000, negative_prompt="n" * 500)
    assert (len(request.prompt), len(request.negative_prompt or "")) == (1000, 500)
    with pytest.raises(errors.Veo3ValidationError, match=r"prompt=.*1001.*1 to 1000 "):
        GenerationRequest("text-to-video", "p" * 1001)
    with pytest.raises(errors.Veo3ValidationError, match=r"negative_prompt=.*501.*1 to 500 "):
        GenerationRequest("text-to-video", "p", negative_prompt="n" * 501)


@pytest.mark.parametrize(
    ("fields", "cost"),
    [
        ({"creditsUsed": 500}, 500),
        ({"creditsCost": 190}, 190),
        ({"creditsUsed": 65, "creditsCost": 190}, 65),
        ({"creditsUsed": None, "creditsCost": 190}, 190),
        ({"creditsUsed": 0, "creditsCost": 190}, 0),
        ({}, None),
    ],
)
def test_d8_the_cost_is_read_under_either_name(fields: dict[str, object], cost: int | None) -> None:
    assert parse_generation({"taskId": samples.ID, "status": "pending", **fields}, BASE).credits_used == cost


@pytest.mark.parametrize("envelope", [flat, nested])
def test_d9_an_error_is_read_from_either_envelope(envelope: object) -> None:
    body = (
        flat("INVALID_MODEL", "No such model")
        if envelope is flat
        else nested("INVALID_MODEL", "No such model")
    )
    error = error_of(POST, 400, body)
    assert (type(error), error.code) == (errors.Veo3BadRequestError, "INVALID_MODEL")
    assert "400 INVALID_MODEL: No such model" in str(error)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"x-ratelimit-retry-after": "7", "retry-after": "8", "x-ratelimit-reset": "1700000009"}, 7),
        ({"retry-after": "8", "x-ratelimit-reset": "1700000009"}, 8),
        ({"x-ratelimit-reset": "1700000009"}, 60),
    ],
)
def test_d10_the_header_goes_before_the_body(headers: dict[str, str], seconds: float) -> None:
    assert error_of(STATUS, 429, samples.RATE_LIMIT, headers).retry_after == seconds


def test_d11_the_price_depends_on_the_sound() -> None:
    lite = parse_models(samples.MODELS)[-1]
    assert (lite.credits_per_video, lite.credits_per_video_no_audio) == (65, 35)
    for sound in (True, False):
        sent = GenerationRequest("text-to-video", "x", generate_audio=sound).wire_options()
        assert sent["generateAudio"] is sound


def test_d12_the_cost_is_read_from_the_response_and_not_from_the_price_list() -> None:
    fast = GenerationRequest("text-to-video", "x", model="veo-3.1-fast-generate-001")
    assert fast.wire_options()["model"] == "veo-3.1-fast-generate-001"
    assert parse_generation(samples.ACCEPTED, BASE).credits_used == 500


def test_d13_the_default_host_is_that_of_the_endpoints_page() -> None:
    default = settings_from_environment({"VEO3_API_KEY": "veo3_k"})
    other = settings_from_environment({"VEO3_API_KEY": "veo3_k", "VEO3_BASE_URL": "https://api.veo3.com"})
    assert default is not None
    assert other is not None
    assert (default.base_url, other.base_url) == ("https://api.veo3gen.co", "https://api.veo3.com")


def test_d14_the_seventh_endpoint_takes_configured_field_names() -> None:
    images = (Image("first_frame", PNG), Image("last_frame", PNG))
    request = GenerationRequest("first-last-frame", "x", images=images)
    sent = protocol.submission(request, {"first_frame": "image", "last_frame": "lastFrame"})
    assert (sent.method, sent.path) == ("POST", "/api/veo/first-last-frame")
    assert [name for name, _ in sent.files or ()] == ["image", "lastFrame"]
    assert callable(Veo3Hook.first_last_frame)


def test_d15_the_optional_parameters_are_those_of_the_vendor_s_pages() -> None:
    assert [name for name in WIRE_NAMES if name != "prompt"] == [
        "model",
        "sample_count",
        "duration_seconds",
        "aspect_ratio",
        "generate_audio",
        "enhance_prompt",
        "negative_prompt",
        "seed",
        "person_generation",
    ]


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, errors.Veo3BadRequestError),
        (401, errors.Veo3AuthenticationError),
        (402, errors.Veo3InsufficientCreditsError),
        (404, errors.Veo3GenerationNotFoundError),
        (413, errors.Veo3FileTooLargeError),
        (429, errors.Veo3RateLimitError),
        (500, errors.Veo3ServerError),
        (503, errors.Veo3ServerError),
    ],
)
def test_d16_statuses_of_every_page_are_handled(status: int, kind: type[Exception]) -> None:
    assert type(error_of(STATUS, status, {"success": False, "message": "no code at all"})) is kind
    for good in (200, 202):
        assert protocol.error_of(STATUS, response(good, samples.COMPLETED)) is None


def test_d17_the_provider_keeps_no_list_of_models() -> None:
    said = "Valid models: veo-3.0-generate-preview, veo-3.0-fast-generate-preview"
    error = error_of(POST, 400, flat("INVALID_MODEL", said))
    assert isinstance(error, errors.Veo3BadRequestError)
    page = parse_history_page(samples.HISTORY, BASE, 20, 0)
    assert page.generations[0].model == "veo-3.0-generate-preview"
    assert [m.id for m in parse_models(samples.MODELS)] == [m["id"] for m in samples.MODELS["models"]]
