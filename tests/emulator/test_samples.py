"""The emulator's responses equal the vendor's published samples, except for ids and the file host."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.support import samples

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx

    from tests.support.emulator_client import Client

PROMPT = "A majestic dragon soaring..."
QUALITY = {"model": "veo-3.0-generate-001"}


@pytest.fixture
def at(start: Callable[..., Client]) -> Callable[..., Client]:
    """Start an emulator at a time, with the settings that the samples show."""
    shown = {"file_size": 64, "processing_seconds": 90.333, "model_ids_on_read": "preview"}
    return lambda moment, **settings: start(moment, **{"requests_per_minute": 60, **shown, **settings})


def text_of(response: httpx.Response, api: Client, task_id: str = "") -> str:
    """Return a response as the vendor prints it."""
    text = json.dumps(response.json(), ensure_ascii=False)
    text = text.replace(api.emulator.files_url, "https://storage.googleapis.com")
    if task_id:
        text = text.replace(f"/videos/{task_id}/", "/videos/task-id/").replace(task_id, samples.ID)
    return text


def printed(sample: Any) -> str:
    return json.dumps(sample, ensure_ascii=False)


def test_a_generation_from_acceptance_to_its_file(at):
    api = at("2023-12-20T10:30:45.123Z", credits=1100, signed_urls=False)
    accepted = api.text(PROMPT, **QUALITY)
    task_id = accepted.json()["taskId"]
    assert (accepted.status_code, text_of(accepted, api, task_id)) == (202, printed(samples.ACCEPTED))
    api.emulator.advance(90.333)
    assert text_of(api.status(task_id), api, task_id) == printed(samples.COMPLETED)
    assert text_of(api.download(task_id), api, task_id) == printed(samples.DOWNLOAD)


def test_the_history(at):
    api = at("2023-12-20T10:30:45.123Z", credits=50_000, queue_limit=None)
    task_id = [api.submit(PROMPT, **QUALITY) for _ in range(45)][-1]
    api.emulator.advance(90.333)
    response = api.history(limit=20, status="completed")
    assert len(response.json()["videos"]) == 20
    first = {**response.json(), "videos": response.json()["videos"][:1]}
    assert printed(first).replace(task_id, samples.ID) == printed(samples.HISTORY)


def test_the_models(at):
    api = at("2023-12-20T10:30:45.123Z")
    assert text_of(api.http.get("/api/veo/models"), api) == printed(samples.MODELS)


def test_the_acceptance_of_an_image(at, png):
    api = at("2023-12-20T10:30:45.123Z")
    body = api.image(png).json()
    assert list(body) == ["creditsCost" if name == "creditsUsed" else name for name in samples.ACCEPTED] + [
        "imageInfo"
    ]


def test_too_few_credits(at):
    body = at("2023-12-20T10:30:45.123Z", credits=50).text(PROMPT, **QUALITY).json()
    assert printed({**body, "required": 400}) == printed(samples.NO_CREDITS)


def test_a_policy_violation(at):
    api = at("2023-12-20T10:30:45.123Z")
    assert text_of(api.text("Prohibited content"), api) == printed(samples.POLICY)


def test_the_rate_limit(at):
    api = at("2021-12-31T23:59:00Z")
    responses = [api.history() for _ in range(61)]
    assert text_of(responses[60], api) == printed(samples.RATE_LIMIT)
    names = ("limit", "remaining", "reset", "retry-after")
    assert [responses[14].headers[f"x-ratelimit-{name}"] for name in names] == [
        "60",
        "45",
        "1640995200",
        "60",
    ]
