"""Parsed responses: the vendor's samples, then every other shape of a JSON body."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from airflow_provider_veo3.api.json_values import UnusableError
from airflow_provider_veo3.api.models import (
    Generation,
    Status,
    Video,
    VideoModel,
    is_another_model,
    without_ending,
)
from airflow_provider_veo3.api.responses import (
    parse_generation,
    parse_history_page,
    parse_models,
    parse_status,
    parse_videos,
)
from tests.support import samples
from tests.support.samples import BASE, ID

LINK = "https://storage.googleapis.com/veo3gen-gen-video/videos/task-id/sample_0.mp4"
DONE = datetime(2023, 12, 20, 10, 32, 15, 456_000, UTC)
FILE = Video(LINK, "video/mp4", datetime(2023, 12, 21, 10, 32, 15, 456_000, UTC))


def test_the_sample_of_an_acceptance() -> None:
    assert parse_generation(samples.ACCEPTED, BASE) == Generation(
        id=ID, status=Status.PENDING, credits_used=500, credits_remaining=600, created_in_zone=False
    )


def test_the_sample_of_a_status() -> None:
    assert parse_generation(samples.COMPLETED, BASE) == Generation(
        id=ID,
        status=Status.COMPLETED,
        type="text-to-video",
        model="veo-3.0-generate-preview",
        prompt="A majestic dragon soaring...",
        credits_used=500,
        created_at=datetime(2023, 12, 20, 10, 30, 45, 123_000, UTC),
        completed_at=DONE,
        processing_seconds=90,
        video_count=1,
        videos=(FILE,),
    )


def test_the_sample_of_a_download() -> None:
    assert parse_videos(samples.DOWNLOAD, BASE) == (FILE,)


def test_the_sample_of_a_history() -> None:
    page = parse_history_page(samples.HISTORY, BASE, 20, 0)
    assert (page.total, page.next_skip) == (45, 1)
    (generation,) = page.generations
    assert (generation.id, generation.status, generation.video_count) == (ID, Status.COMPLETED, 1)
    assert (generation.videos, generation.completed_at) == ((), DONE)


def test_the_sample_of_the_models() -> None:
    models = parse_models(samples.MODELS)
    *_, lite = models
    assert [model.id for model in models if model.is_default] == ["veo-3.1-fast-generate-001"]
    frames = [model.name for model in models if "first-last-frame" in model.capabilities]
    assert frames == ["Veo 3.1 Quality", "Veo 3.1 Fast"]
    prices = [(model.credits_per_video, model.credits_per_video_no_audio) for model in models]
    assert prices == [(500, 250), (190, 120), (500, 250), (190, 120), (65, 35)]
    assert lite == VideoModel(
        id="veo-3.1-lite-generate-001",
        name="Veo 3.1 Lite",
        description="Affordable 720p video generation — cheapest option",
        capabilities=("text-to-video", "image-to-video", "audio-generation"),
        credits_per_video=65,
        credits_per_video_no_audio=35,
        is_default=False,
    )


@pytest.mark.parametrize(
    ("label", "status"),
    [
        ("pending", Status.PENDING),
        ("PENDING", Status.PENDING),
        ("queued", Status.PENDING),
        ("processing", Status.PROCESSING),
        ("Running", Status.PROCESSING),
        ("completed", Status.COMPLETED),
        (" Completed\n", Status.COMPLETED),
        ("SUCCESS", Status.COMPLETED),
        ("failed", Status.FAILED),
        ("FAILED", Status.FAILED),
        ("error", Status.FAILED),
        ("on the moon", Status.PROCESSING),
        ("", Status.PROCESSING),
        (None, Status.PROCESSING),
        (3, Status.PROCESSING),
        (["completed"], Status.PROCESSING),
    ],
)
def test_a_status_in_any_spelling_and_an_unknown_one_is_not_finished(label: object, status: Status) -> None:
    assert parse_status(label) is status
    assert status.is_terminal == (status in (Status.COMPLETED, Status.FAILED))


COMPLETED_WORDS = ["completed", "complete", "success", "succeeded", "finished", "ready", "done"]
FAILED_WORDS = ["failed", "error", "expired", "canceled", "cancelled", "rejected", "blocked", "moderation"]


@pytest.mark.parametrize("spell", [str.lower, str.upper, str.title, " {}\n".format])
@pytest.mark.parametrize(
    ("words", "status"), [(COMPLETED_WORDS, Status.COMPLETED), (FAILED_WORDS, Status.FAILED)]
)
def test_a_word_of_the_end_is_read_in_any_case_without_videos(
    words: list[str], status: Status, spell: Any
) -> None:
    for word in words:
        generation = parse_generation({"taskId": ID, "status": spell(word)}, BASE)
        assert (generation.status, generation.raw_status, generation.videos) == (status, None, ()), word


@pytest.mark.parametrize("word", [None, "", "levitating", "processing", "failed", 7, ["done"], {"a": "b"}])
def test_videos_mean_completed_whatever_the_status_is(word: object) -> None:
    body = {"taskId": ID, "status": word, "videos": [{"url": LINK}]}
    generation = parse_generation(body, BASE)
    assert (generation.status, generation.raw_status) == (Status.COMPLETED, None)
    assert [video.url for video in generation.videos] == [LINK]


def test_videos_without_any_status_mean_completed() -> None:
    assert parse_generation({"taskId": ID, "videos": [{"url": LINK}]}, BASE).status is Status.COMPLETED


@pytest.mark.parametrize(
    ("word", "raw"),
    [
        ("levitating", "levitating"),
        ("On The Moon", "On The Moon"),
        ("processing", None),
        ("Queued", None),
        (None, None),
        ("", None),
        (7, None),
        (["done"], None),
    ],
)
@pytest.mark.parametrize("videos", [{}, {"videos": []}, {"videos": None}, {"videos": [{"expiresAt": None}]}])
def test_an_unknown_word_without_videos_is_kept_and_means_processing(
    word: object, raw: str | None, videos: dict[str, object]
) -> None:
    generation = parse_generation({"taskId": ID, "status": word, **videos}, BASE)
    assert generation.raw_status == raw
    assert not generation.status.is_terminal


WRONG = [None, [], {}, True, -1, 1e308, "", "text", "\ud800\x00", [None], {"a": 1}, float("nan"), 10**400]
STATUS_FIELDS = (
    "type",
    "model",
    "prompt",
    "creditsCost",
    "createdAt",
    "completedAt",
    "processingTime",
    "videos",
)


@pytest.mark.parametrize("name", STATUS_FIELDS)
@pytest.mark.parametrize("value", WRONG, ids=lambda value: str(value)[:10])
def test_only_the_id_can_make_a_status_unusable(name: str, value: object) -> None:
    generation = parse_generation({**samples.COMPLETED, name: value}, BASE)
    assert (generation.id, generation.status) == (ID, Status.COMPLETED)
    json.dumps(generation.manifest(), allow_nan=False, ensure_ascii=False).encode()
    without = {key: kept for key, kept in samples.COMPLETED.items() if key != name}
    assert parse_generation(without, BASE).status is Status.COMPLETED


@pytest.mark.parametrize("value", [None, "", 5.5, True, [], {}, "a\nb", "x" * 513])
def test_an_acceptance_without_a_usable_id_is_unusable(value: object) -> None:
    with pytest.raises(UnusableError, match="has no generation id"):
        parse_generation({**samples.ACCEPTED, "taskId": value}, BASE)


@pytest.mark.parametrize("name", ["taskId", "task_id", "id"])
def test_the_id_is_read_under_each_name_that_clients_use(name: str) -> None:
    assert parse_generation({name: ID, "status": "pending"}, BASE).id == ID


@pytest.mark.parametrize(
    ("body", "code", "reason"),
    [
        ({"error": "Video generation failed"}, None, "Video generation failed"),
        ({"error": "GENERATION_FAILED", "message": "No luck"}, "GENERATION_FAILED", "No luck"),
        ({"error": {"code": "CONTENT_POLICY_VIOLATION", "message": "No"}}, "CONTENT_POLICY_VIOLATION", "No"),
        ({"error": {"details": "deep"}}, None, "deep"),
        ({"message": "only this"}, None, "only this"),
        ({"details": "only that"}, None, "only that"),
        ({"code": "X_1", "error": "why"}, "X_1", "why"),
        ({"error": None}, None, None),
        ({"error": []}, None, None),
        ({"error": {"code": 5, "message": {}}}, None, None),
        ({}, None, None),
    ],
)
def test_the_reason_of_a_failure_is_read_from_every_place(
    body: dict[str, Any], code: str | None, reason: str | None
) -> None:
    failed = parse_generation({"taskId": ID, "status": "failed", **body}, BASE)
    assert (failed.status, failed.error_code, failed.error) == (Status.FAILED, code, reason)


@pytest.mark.parametrize(
    "body",
    [
        {"videos": [{"url": LINK}]},
        {"videos": [{"videoUrl": LINK}]},
        {"videos": [{"video_url": LINK}]},
        {"videos": [None, "x", {"url": LINK}]},
        {"url": LINK},
        {"videoUrl": LINK},
        {"video_url": LINK},
        {"result": {"video_url": LINK}},
    ],
)
def test_a_link_is_read_from_each_shape_that_clients_use(body: dict[str, Any]) -> None:
    assert [video.url for video in parse_videos(body, BASE)] == [LINK]


def test_a_bad_link_does_not_hide_the_completion() -> None:
    body = {**samples.COMPLETED, "videos": [{"url": "http://plain.example/x.mp4"}]}
    assert (parse_generation(body, BASE).status, parse_generation(body, BASE).videos) == (
        Status.COMPLETED,
        (),
    )
    with pytest.raises(UnusableError, match="may not be followed"):
        parse_videos(body, BASE)


def test_a_bad_link_does_not_hide_the_other_files() -> None:
    body = {"videos": [{"url": "http://plain.example/x.mp4"}, {"url": LINK}]}
    assert [video.url for video in parse_videos(body, BASE)] == ["", LINK]


def test_a_signed_link_is_not_shown() -> None:
    video = Video(f"{LINK}?X-Goog-Signature=abcdef")
    assert "abcdef" not in repr(video) + video.shown_url
    assert video.shown_url == f"{LINK}?..."


@pytest.mark.parametrize(
    ("paging", "count", "limit", "skip", "next_skip"),
    [
        ({"hasMore": True, "total": 45}, 20, 20, 0, 20),
        ({"hasMore": False, "total": 45}, 20, 20, 0, None),
        ({"hasMore": True}, 0, 20, 40, None),
        ({"total": 45}, 20, 20, 20, 40),
        ({"total": 45}, 5, 20, 40, None),
        ({"total": "45", "hasMore": "true"}, 5, 20, 20, 25),
        ({}, 20, 20, 0, 20),
        ({}, 19, 20, 0, None),
        (None, 20, 20, 0, 20),
        ([], 3, 20, 0, None),
        ({"total": -1, "hasMore": None}, 20, 20, 0, 20),
    ],
)
def test_where_the_next_page_starts(
    paging: object, count: int, limit: int, skip: int, next_skip: int | None
) -> None:
    items = [{"taskId": f"veo_{n}", "status": "pending"} for n in range(count)]
    page = parse_history_page({"videos": items, "pagination": paging}, BASE, limit, skip)
    assert (len(page.generations), page.next_skip) == (count, next_skip)


def test_an_unusable_item_of_the_history_is_left_out() -> None:
    items = [None, "x", {}, {"taskId": "\x07"}, {"taskId": ID, "status": None}]
    page = parse_history_page({"videos": items}, BASE, 100, 0)
    assert [(g.id, g.status) for g in page.generations] == [(ID, Status.PROCESSING)]


@pytest.mark.parametrize("body", [{}, {"videos": None}, {"videos": {}}, {"videos": "x"}])
def test_a_body_without_a_list_is_not_an_empty_history(body: dict[str, Any]) -> None:
    with pytest.raises(UnusableError, match="no list of generations"):
        parse_history_page(body, BASE, 100, 0)


@pytest.mark.parametrize(
    "body", [{}, {"models": []}, {"models": [None, {}, {"id": 5}, {"id": ""}]}, {"models": "x"}]
)
def test_a_body_without_models_is_unusable(body: dict[str, Any]) -> None:
    with pytest.raises(UnusableError, match="lists no model"):
        parse_models(body)


def test_a_model_without_anything_but_its_id() -> None:
    body = {
        "models": [{"id": "m", "pricing": 5, "capabilities": [1, "a", None], "name": None}],
        "defaultModel": 1,
    }
    assert parse_models(body) == (VideoModel("m", "m", "", ("a",), None, None, is_default=False),)


def test_the_reason_of_a_failure_shows_no_secret() -> None:
    body = {"code": "veo3_thesecretkey", "message": "see https://h/a.mp4?X-Sig=cafe with veo3_thesecretkey"}
    failed = parse_generation({"taskId": ID, "status": "failed", "error": body}, BASE)
    assert (failed.error_code, failed.error) == ("***", "see https://h/a.mp4?... with ***")


@pytest.mark.parametrize(
    ("sent", "listed", "same_price", "another"),
    [
        ("veo-3.1-generate-001", "veo-3.1-generate-001", True, False),
        ("veo-3.1-generate-001", "veo-3.1-generate-preview", True, False),
        ("veo-3.1-generate-001", " VEO-3.1-generate-preview\n", True, False),
        ("veo-3.1-generate-001", "veo-3.1-generate", True, False),
        ("veo-3.1-generate-001", "veo-3.1-generate-002", False, False),
        ("veo-3.1-generate-002", "veo-3.1-generate-003", False, False),
        ("veo-3.1-generate-001", "veo-3.0-generate-001", False, True),
        ("veo-3.1-generate-001", "veo-3.1-fast-generate-001", False, True),
        ("veo-3.1-generate-001", "Veo 3.1 Quality", False, False),
    ],
)
def test_prices_match_one_version_and_the_history_any(
    sent: str, listed: str, same_price: bool, another: bool
) -> None:
    assert (without_ending(sent) == without_ending(listed)) is same_price
    assert is_another_model(sent, listed) is another
    assert is_another_model(listed, sent) is another
