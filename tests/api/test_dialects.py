"""The calls of the API in every reading that the vendor's pages allow."""

from __future__ import annotations

import dataclasses
from datetime import datetime
from io import BytesIO
from typing import TYPE_CHECKING, Any

import PIL.Image
import pytest

from airflow_provider_veo3 import exceptions as errors
from airflow_provider_veo3.api import flows
from airflow_provider_veo3.api.models import Generation, Status
from airflow_provider_veo3.api.pricing import price_of
from airflow_provider_veo3.api.request import WIRE_NAMES, GenerationRequest, Image
from airflow_provider_veo3.api.retries import ONCE, Retries
from airflow_provider_veo3.emulator import Emulator, FrozenClock, Settings
from airflow_provider_veo3.emulator.config.options import choices_of
from airflow_provider_veo3.emulator.config.variants import Variants
from airflow_provider_veo3.emulator.service.parameters import KNOWN_FIELDS, Parameters

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.drive import Driver

STRICTER: dict[str, dict[str, Any]] = {
    "fast_refuses_images": {"model": "veo-3.1-generate-001"},
    "aspect_ratios": {"aspect_ratio": "16:9"},
    "durations": {"duration_seconds": 8},
}
"""Options of the dialect that refuse a request, and the options that it accepts."""

OTHERS: dict[str, list[Any]] = {
    "aspect_ratios": [("16:9",)],
    "status_prompt_length": [1, 10],
    "history_prompt_length": [1, 10],
    "history_lag_seconds": [5.0],
    "task_lifetime_seconds": [600.0],
    "first_frame_field": ["image", "lastFrame", "first-frame"],
    "last_frame_field": ["lastImage"],
}
"""Values for the options without a short list of choices."""


def variants() -> list[Any]:
    """Every option of the dialect at each value other than its default."""
    found = []
    for name, field in Variants.model_fields.items():
        values = OTHERS.get(name) or choices_of(field) or [not field.default]
        found += [
            pytest.param({name: value}, id=f"{name}={value}") for value in values if value != field.default
        ]
    everything_odd = {
        "status_labels": "synonyms",
        "unfinished_fields": "minimal",
        "failed_error": "object",
        "videos_shape": "result.video_url",
        "cost_field": "creditsCost",
        "model_ids_on_read": "preview",
        "error_envelope": "nested",
        "rate_limit_envelope": "flat",
        "retry_hint": "none",
        "rate_headers": False,
        "history_total": False,
        "history_has_more": False,
        "processing_time": False,
        "image_answer": "listed",
        "task_ids": "dotted",
        "failed_status": 500,
        "signed_urls": False,
        "date_header": False,
    }
    return [pytest.param({}, id="default"), pytest.param(everything_odd, id="everything odd"), *found]


VARIANTS = variants()
BOTH_WAYS = [
    *(pytest.param("sync", *each.values, id=f"sync-{each.id}") for each in VARIANTS),
    *(pytest.param("async", *each.values, id=f"async-{each.id}") for each in VARIANTS[:2]),
]
"""All dialects over one transport; the two that differ most over the other."""


def picture() -> bytes:
    file = BytesIO()
    PIL.Image.new("RGB", (64, 36), "teal").save(file, "PNG")
    return file.getvalue()


DAY = 86_400
PNG = picture()
BASE: dict[str, Any] = {
    "requests_per_minute": None,
    "requests_per_day": None,
    "queue_limit": None,
    "file_size": 200,
    "processing_seconds": 60,
}


@pytest.fixture(scope="module")
def shared() -> Iterator[Emulator]:
    with Emulator(Settings(**BASE), clock=FrozenClock()) as emulator:
        yield emulator


@pytest.fixture
def emulator(shared: Emulator) -> Emulator:
    shared.reset()
    return shared


@pytest.fixture
def call(drive: Driver, emulator: Emulator) -> Callable[[flows.Flow[Any]], Any]:
    return lambda flow: drive(emulator.base_url, flow, key=emulator.api_key)


def test_the_emulator_knows_and_checks_every_option() -> None:
    assert set(WIRE_NAMES.values()) == KNOWN_FIELDS
    assert len(dataclasses.fields(Parameters)) == len(KNOWN_FIELDS)


def test_every_option_of_the_dialect_is_swept() -> None:
    swept = {name for each in VARIANTS for name in each.values[0]}
    assert swept == set(Variants.model_fields)


@pytest.mark.parametrize(("drive", "dialect"), BOTH_WAYS, indirect=["drive"])
def test_a_generation_from_request_to_file(
    emulator: Emulator, drive: Driver, dialect: dict[str, Any]
) -> None:
    emulator.configure(**dialect)
    url = emulator.base_url
    fields = {"first_frame": "firstFrame", "last_frame": "lastFrame"}
    fields |= {
        name.removesuffix("_field"): name_ for name, name_ in dialect.items() if name.endswith("_frame_field")
    }

    def call(flow: flows.Flow[Any]) -> Any:
        return drive(url, flow, key=emulator.api_key)

    options = {key: value for name in dialect for key, value in STRICTER.get(name, {}).items()}
    images = {
        "text-to-video": (),
        "image-to-video": ("image",),
        "first-last-frame": ("first_frame", "last_frame"),
    }
    ids = []
    for kind, roles in images.items():
        request = GenerationRequest(kind, "a dragon", images=tuple(Image(r, PNG) for r in roles), **options)  # type: ignore[arg-type]
        accepted: Generation = call(flows.submit(request, url, fields, ONCE))
        assert (accepted.status, accepted.credits_used is not None) == (Status.PENDING, True)
        ids.append(accepted.id)
    assert call(flows.get_generation(ids[0], url, ONCE)).status is Status.PENDING
    emulator.advance(30)
    assert call(flows.get_generation(ids[0], url, ONCE)).status is Status.PROCESSING
    emulator.force(ids[1], "fail", "no luck today")
    emulator.advance(60)

    done = call(flows.get_generation(ids[0], url, ONCE))
    assert (done.id, done.status, len(done.videos)) == (ids[0], Status.COMPLETED, 1)
    failed = call(flows.get_generation(ids[1], url, ONCE))
    assert failed.status is Status.FAILED
    silent = dialect.get("failed_error") == "absent"
    assert (failed.error is None) if silent else ("no luck today" in (failed.error or ""))

    (video,) = call(flows.get_videos(ids[2], url, ONCE))
    assert video.url.startswith(emulator.files_url)
    with pytest.raises((errors.Veo3NoVideosError, errors.Veo3VideoNotReadyError)):
        call(flows.get_videos(ids[1], url, ONCE))

    page = call(flows.get_history_page(100, 0, None, url, ONCE))
    assert {g.id: g.status for g in page.generations} == {
        ids[0]: Status.COMPLETED,
        ids[1]: Status.FAILED,
        ids[2]: Status.COMPLETED,
    }
    assert page.next_skip is None
    first = call(flows.get_history_page(2, 0, None, url, ONCE))
    assert (len(first.generations), first.next_skip) == (2, 2)
    assert len(call(flows.get_history_page(2, 2, None, url, ONCE)).generations) == 1
    models = call(flows.list_models(ONCE))
    assert len(models) == 5
    assert price_of(GenerationRequest("text-to-video", "x", sample_count=2), models) == 380


@pytest.mark.parametrize(("drive", "dialect"), BOTH_WAYS, indirect=["drive"])
def test_refusals_keep_their_meaning(emulator: Emulator, drive: Driver, dialect: dict[str, Any]) -> None:
    emulator.configure(**dialect)
    emulator.add_key("veo3_poorpoor", credits=100)
    emulator.add_key("veo3_disabled", credits=100, disabled=True)
    url = emulator.base_url

    def refusal(flow: flows.Flow[Any], key: str) -> errors.Veo3ApiError:
        with pytest.raises(errors.Veo3ApiError) as caught:
            drive(url, flow, key=key)
        return caught.value

    def post(**options: Any) -> flows.Flow[Generation]:
        return flows.submit(GenerationRequest("text-to-video", **{"prompt": "x", **options}), url, {}, ONCE)

    for key in ("veo3_unknown", "veo3_disabled"):
        assert type(refusal(post(), key)) is errors.Veo3AuthenticationError
    poor = refusal(post(), "veo3_poorpoor")
    assert isinstance(poor, errors.Veo3InsufficientCreditsError)
    bare = dialect.get("insufficient_credits") == "bare"
    assert (poor.required, poor.available) == ((None, None) if bare else (190, 100))
    wrong = refusal(post(model="veo-9"), emulator.api_key)
    assert (type(wrong), wrong.code) == (errors.Veo3BadRequestError, "INVALID_MODEL")
    unknown = flows.get_generation("veo_1_nobody", url, ONCE)
    assert type(refusal(unknown, emulator.api_key)) is errors.Veo3GenerationNotFoundError
    if "policy_when" not in dialect:
        policy = refusal(post(prompt="some prohibited content"), emulator.api_key)
        assert type(policy) is errors.Veo3ContentPolicyError
    emulator.configure(requests_per_minute=1)
    limited = refusal(flows.list_models(ONCE), "veo3_poorpoor")
    assert type(limited) is errors.Veo3RateLimitError
    assert limited.retry_after is not None
    assert 0 < limited.retry_after <= 61
    assert emulator.ledger()["totals"]["charged"] == 0


def test_a_policy_violation_may_be_reported_by_the_status(
    emulator: Emulator, call: Callable[[flows.Flow[Any]], Any]
) -> None:
    emulator.configure(policy_when="generation", failed_error="object")
    request = GenerationRequest("text-to-video", "some prohibited content")
    accepted = call(flows.submit(request, emulator.base_url, {}, ONCE))
    emulator.advance(100)
    failed = call(flows.get_generation(accepted.id, emulator.base_url, ONCE))
    assert (failed.status, failed.error_code) == (Status.FAILED, "CONTENT_POLICY_VIOLATION")


@pytest.mark.parametrize("envelope", ["nested", "flat"])
@pytest.mark.parametrize("hint", ["documented", "x-ratelimit", "retry-after", "body", "none"])
def test_the_delay_until_the_next_day_is_read_from_every_hint(
    emulator: Emulator, call: Callable[[flows.Flow[Any]], Any], envelope: str, hint: str
) -> None:
    """It is longer than the delay without a hint, so that each hint must be read."""
    emulator.configure(requests_per_day=1, rate_limit_envelope=envelope, retry_hint=hint, rate_headers=False)
    call(flows.list_models(ONCE))
    with pytest.raises(errors.Veo3RateLimitError) as refused:
        call(flows.list_models(ONCE))
    now = datetime.fromisoformat(emulator.ledger()["now"]).timestamp()
    assert refused.value.retry_after == pytest.approx(DAY - now % DAY, abs=1)


@pytest.mark.parametrize("queue_full", ["rate-limit", "queue-full", "503"])
def test_a_full_queue_is_never_charged(
    emulator: Emulator, call: Callable[[flows.Flow[Any]], Any], queue_full: str
) -> None:
    emulator.configure(queue_full=queue_full, queue_limit=1)
    request = GenerationRequest("text-to-video", "x")
    call(flows.submit(request, emulator.base_url, {}, Retries()))
    with pytest.raises((errors.Veo3RateLimitError, errors.Veo3ServerError)):
        call(flows.submit(request, emulator.base_url, {}, Retries()))
    assert emulator.ledger()["totals"]["accepted"] == 1
