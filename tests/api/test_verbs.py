"""Every method of the hook against the emulator, and the flows over both transports."""

from __future__ import annotations

import hashlib
import json
from io import BytesIO
from typing import TYPE_CHECKING, Any

import PIL.Image
import pytest

from airflow_provider_veo3 import exceptions as errors
from airflow_provider_veo3.api import flows
from airflow_provider_veo3.api.models import Status
from airflow_provider_veo3.api.request import GenerationRequest, Image
from airflow_provider_veo3.api.retries import ONCE, Retries
from airflow_provider_veo3.emulator import Emulator, FrozenClock, Settings
from airflow_provider_veo3.hooks.veo3 import Veo3Hook

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.drive import Clock, Driver


def picture(kind: str) -> bytes:
    """A small picture that a decoder accepts."""
    file = BytesIO()
    PIL.Image.new("RGB", (64, 36), "teal").save(file, kind)
    return file.getvalue()


PNG, JPEG = picture("PNG"), picture("JPEG")
UNLIMITED: dict[str, Any] = {
    "requests_per_minute": None,
    "requests_per_day": None,
    "queue_limit": None,
    "file_size": 500,
    "processing_seconds": 60,
}


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    with Emulator(Settings(**UNLIMITED), clock=FrozenClock()) as emulator:
        yield emulator


@pytest.fixture
def hook(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> Veo3Hook:
    fields = {"conn_type": "veo3", "password": emulator.api_key, "host": emulator.base_url}
    fields["extra"] = {"requests_per_minute": 100_000}
    monkeypatch.setenv("AIRFLOW_CONN_VEO3_DEFAULT", json.dumps(fields))
    return Veo3Hook()


def credits_left(emulator: Emulator) -> int:
    left: int = emulator.ledger()["accounts"][0]["credits"]
    return left


def test_text_to_video_from_the_prompt_to_the_file(emulator: Emulator, hook: Veo3Hook) -> None:
    accepted = hook.text_to_video(
        "a dragon", sample_count="2", seed=7, negative_prompt="rain", aspect_ratio="9:16"
    )
    assert (accepted.status, accepted.credits_used, accepted.credits_remaining) == (Status.PENDING, 380, 9620)
    (task,) = emulator.ledger()["tasks"]
    assert (task["id"], task["type"], task["charged"]) == (accepted.id, "text-to-video", 380)
    assert task["options"] == {
        "prompt": "a dragon",
        "model": "veo-3.1-fast-generate-001",
        "sampleCount": 2,
        "durationSeconds": 8,
        "aspectRatio": "9:16",
        "generateAudio": True,
        "enhancePrompt": True,
        "negativePrompt": "rain",
        "seed": 7,
        "personGeneration": "allow_adult",
    }
    assert hook.get_generation(accepted.id).status is Status.PENDING
    emulator.advance(30)
    assert hook.get_generation(accepted.id).status is Status.PROCESSING
    with pytest.raises(errors.Veo3VideoNotReadyError):
        Veo3Hook().get_conn().run(flows.get_videos(accepted.id, emulator.base_url, ONCE))
    emulator.advance(60)
    done = hook.get_generation(accepted.id)
    assert (done.status, done.video_count, done.prompt) == (Status.COMPLETED, 2, "a dragon")
    assert done.completed_at is not None
    assert done.created_at is not None
    assert (done.completed_at - done.created_at).total_seconds() == pytest.approx(
        done.processing_seconds, abs=3
    )
    videos = hook.get_videos(accepted.id)
    assert len(videos) == 2
    for video in videos:
        assert video.expires_at is not None
        with hook.open_file(video.url) as response:
            assert (response.status, len(b"".join(response.iter_bytes(100)))) == (200, 500)
    assert emulator.ledger()["api_key_leaks"] == []


def test_image_to_video(emulator: Emulator, hook: Veo3Hook) -> None:
    accepted = hook.image_to_video("a cat", PNG, model="veo-3.1-lite-generate-001", generate_audio=False)
    assert accepted.credits_used == 35
    (task,) = emulator.ledger()["tasks"]
    assert (task["type"], task["options"]["generateAudio"]) == ("image-to-video", "false")
    assert task["images"] == [
        {
            "field": "image",
            "filename": "image.png",
            "size": len(PNG),
            "mime_type": "image/png",
            "sha256": hashlib.sha256(PNG).hexdigest(),
        }
    ]


def test_first_last_frame(emulator: Emulator, hook: Veo3Hook) -> None:
    accepted = hook.first_last_frame("from a cat to a dog", PNG, JPEG)
    (task,) = emulator.ledger()["tasks"]
    assert (task["id"], task["type"], task["prompt"]) == (
        accepted.id,
        "first-last-frame",
        "from a cat to a dog",
    )
    assert [(i["field"], i["filename"], i["mime_type"]) for i in task["images"]] == [
        ("firstFrame", "first_frame.png", "image/png"),
        ("lastFrame", "last_frame.jpg", "image/jpeg"),
    ]
    with pytest.raises(errors.Veo3BadRequestError, match="No credits were spent"):
        hook.first_last_frame("x", PNG, JPEG, model="veo-3.1-lite-generate-001")


def test_the_history_is_read_beyond_a_page(emulator: Emulator, hook: Veo3Hook) -> None:
    request = GenerationRequest("text-to-video", "x", model="veo-3.1-lite-generate-001")
    submitted = [hook.submit(request).id for _ in range(105)]
    emulator.force(submitted[3], "fail")
    assert [generation.id for generation in hook.iter_history()] == submitted[::-1]
    assert [generation.id for generation in hook.iter_history("failed")] == [submitted[3]]
    assert emulator.ledger()["requests"]["history"] == {"200": 3}


def test_the_models_and_their_prices_cost_nothing(emulator: Emulator, hook: Veo3Hook) -> None:
    models = hook.list_models()
    assert len(models) == 5
    assert [model.id for model in models if model.is_default] == ["veo-3.1-fast-generate-001"]
    assert hook.estimate_credits("veo-3.1-generate-001", sample_count=2, generate_audio=False) == 500
    good, message = hook.test_connection()
    assert good, message
    assert emulator.ledger()["totals"]["charged"] == 0
    assert emulator.ledger()["requests"] == {"models": {"200": 3}}


@pytest.mark.parametrize("model", ["veo-3.0-generate-001", "veo-3.1-lite-generate-001"])
@pytest.mark.parametrize("sound", [True, False])
@pytest.mark.parametrize("samples", [1, 2])
def test_an_estimate_is_what_is_charged(
    emulator: Emulator, hook: Veo3Hook, model: str, sound: bool, samples: int
) -> None:
    estimate = hook.estimate_credits(model, sample_count=samples, generate_audio=sound)
    accepted = hook.text_to_video("x", model=model, sample_count=samples, generate_audio=sound)
    assert accepted.credits_used == estimate == 10_000 - credits_left(emulator)


def submit(url: str, **options: Any) -> flows.Flow[Any]:
    request = GenerationRequest("text-to-video", options.pop("prompt", "a dragon"), **options)
    return flows.submit(request, url, {}, Retries(jitter=lambda: 0.0))


@pytest.fixture
def call(drive: Driver, emulator: Emulator) -> Any:
    """Runs flows with the emulator's key over either transport, without real pauses."""
    return lambda *flows: drive(emulator.base_url, *flows, key=emulator.api_key)


@pytest.mark.parametrize(
    ("fault", "posts", "kind"),
    [
        ({"kind": "accept_then_disconnect"}, 1, errors.Veo3NoAnswerError),
        ({"kind": "accept_then_status", "status": 500}, 1, errors.Veo3ServerError),
        ({"kind": "accept_then_status", "status": 504}, 1, errors.Veo3ServerError),
        ({"kind": "disconnect_mid_body"}, 1, errors.Veo3NoAnswerError),
        ({"kind": "disconnect_before"}, 1, errors.Veo3NoAnswerError),
        ({"kind": "garbage"}, 1, errors.Veo3UnreadableAnswerError),
        ({"kind": "html_instead"}, 1, errors.Veo3Error),
        ({"kind": "redirect", "location": "http://127.0.0.1:9/x"}, 1, errors.Veo3UnreadableAnswerError),
    ],
)
def test_nothing_is_ever_paid_for_twice(
    emulator: Emulator, call: Any, fault: dict[str, Any], posts: int, kind: type[Exception]
) -> None:
    emulator.inject({**fault, "endpoint": "text-to-video", "times": 1})
    with pytest.raises(kind):
        call(submit(emulator.base_url))
    ledger = emulator.ledger()
    assert sum(ledger["requests"]["text-to-video"].values()) == posts
    assert ledger["totals"]["accepted"] <= 1


def test_a_full_queue_is_waited_out(emulator: Emulator, call: Any, clock: Clock) -> None:
    emulator.configure(queue_limit=1)
    call(submit(emulator.base_url))
    with pytest.raises(errors.Veo3RateLimitError, match="No credits were spent"):
        call(submit(emulator.base_url))
    assert len(clock.pauses) == 3
    assert min(clock.pauses) >= 60
    assert emulator.ledger()["totals"]["accepted"] == 1


def test_a_get_request_is_retried_through_transient_errors(
    emulator: Emulator, call: Any, clock: Clock
) -> None:
    one = call(submit(emulator.base_url))
    emulator.inject({"kind": "disconnect_before", "endpoint": "status"})
    emulator.inject({"kind": "status", "status": 503, "endpoint": "status"})
    emulator.inject({"kind": "garbage", "endpoint": "status"})
    assert call(flows.get_generation(one.id, emulator.base_url, Retries(jitter=lambda: 1.0))).id == one.id
    assert clock.pauses == [1.0, 2.0, 4.0]


def test_refusals_of_the_api_have_their_error_classes(emulator: Emulator, call: Any) -> None:
    url = emulator.base_url
    refused: list[tuple[flows.Flow[Any], type[Exception]]] = [
        (submit(url, model="veo-9"), errors.Veo3BadRequestError),
        (submit(url, duration_seconds=4), errors.Veo3BadRequestError),
        (submit(url, prompt="some prohibited content"), errors.Veo3ContentPolicyError),
        (flows.get_generation("veo_1_nobody", url, Retries()), errors.Veo3GenerationNotFoundError),
        (flows.get_videos("veo_1_nobody", url, Retries()), errors.Veo3GenerationNotFoundError),
    ]
    for flow, kind in refused:
        with pytest.raises(kind) as caught:
            call(flow)
        assert type(caught.value) is kind
    assert emulator.ledger()["totals"]["charged"] == 0


def test_a_key_without_credits_and_a_wrong_key(emulator: Emulator, drive: Driver) -> None:
    emulator.add_key("veo3_poorpoor", credits=100)
    with pytest.raises(
        errors.Veo3InsufficientCreditsError, match="needs 190 credits and the account has 100"
    ):
        drive(emulator.base_url, submit(emulator.base_url), key="veo3_poorpoor")
    with pytest.raises(errors.Veo3AuthenticationError, match="Check the API key"):
        drive(emulator.base_url, submit(emulator.base_url), key="veo3_unknown")


def test_an_image_the_api_refuses(emulator: Emulator, call: Any) -> None:
    emulator.inject({"kind": "status", "status": 413, "endpoint": "image-to-video", "body": "too large"})
    request = GenerationRequest("image-to-video", "x", images=(Image("image", PNG),))
    with pytest.raises(errors.Veo3FileTooLargeError, match="Send a smaller image"):
        call(flows.submit(request, emulator.base_url, {}, Retries()))
