"""Variants of the API where the vendor's pages are silent or contradict each other.

Each option is one open point, and its default is the vendor's newest page.
"""

from __future__ import annotations

from typing import Annotated, Literal

import pydantic

from airflow_provider_veo3.emulator.config.options import STRICT, YEAR, option

REQUESTS = "variants of requests (the vendor's pages differ or are silent)"
RESPONSES = "variants of responses (the vendor's pages differ or are silent)"
ERRORS = "variants of errors (the vendor's pages differ or are silent)"

StatusLabels = Literal["lower", "upper", "title", "synonyms"]
KeyCode = Literal["INVALID_API_KEY", "UNAUTHORIZED"]
Envelope = Literal["flat", "nested"]


def _not_empty(value: tuple[str, ...]) -> tuple[str, ...]:
    if not value:
        raise ValueError("must not be empty")
    return value


class Variants(pydantic.BaseModel, frozen=True):
    """Every difference on the wire between two faithful implementations of the vendor's pages."""

    model_config = STRICT

    # Requests.
    fast_refuses_images: bool = option(
        False, REQUESTS, "refuse image-to-video with a Fast model (INVALID_MODEL), as one page says"
    )
    aspect_ratios: Annotated[
        tuple[Literal["16:9", "9:16"], ...], pydantic.Strict(False), pydantic.AfterValidator(_not_empty)
    ] = option(("16:9", "9:16"), REQUESTS, "accepted aspect ratios")
    durations: Literal["5-8", "4,6,8", "8"] = option("5-8", REQUESTS, "accepted durations, in seconds")
    content_type_required: bool = option(
        False, REQUESTS, "refuse requests without Content-Type, also those without a body, as one page says"
    )
    unknown_fields: Literal["ignore", "refuse"] = option(
        "ignore", REQUESTS, "treatment of fields that no page documents"
    )
    image_limit: Literal["decimal", "mib"] = option(
        "decimal",
        REQUESTS,
        "size limit of an image: decimal = 20,000,000 bytes, mib = 20 * 1024 * 1024 bytes",
    )
    first_frame_field: str = option(
        "firstFrame", REQUESTS, "form field of the first image of first-last-frame", min_length=1
    )
    last_frame_field: str = option(
        "lastFrame",
        REQUESTS,
        "form field of the last image of first-last-frame; may equal the first",
        min_length=1,
    )
    policy_when: Literal["request", "generation"] = option(
        "request",
        REQUESTS,
        "when a prompt that contains 'prohibited content' is refused: request = with the request; "
        "generation = accepted, then failed and refunded",
    )

    # Responses.
    cost_field: Literal["documented", "creditsUsed", "creditsCost"] = option(
        "documented",
        RESPONSES,
        "name of the cost in the 202 response; documented = creditsUsed for text-to-video, "
        "creditsCost for images",
    )
    image_answer: Literal["same", "listed"] = option(
        "same",
        RESPONSES,
        "202 response to a request with images: same = all fields of text-to-video; "
        "listed = only taskId, statusUrl, downloadUrl, the cost and imageInfo, as the page lists them",
    )
    task_ids: Literal["veo", "uuid", "dotted"] = option(
        "veo",
        RESPONSES,
        "form of task ids: veo = as in the samples, uuid, or dotted = with the characters . and ~",
    )
    task_lifetime_seconds: float | None = option(
        None,
        RESPONSES,
        "seconds from the end of a task until its id is unknown (divided by the time scale); or 'off'",
        ge=0,
        le=YEAR,
    )
    frames_type: Literal["first-last-frame", "image-to-video"] = option(
        "first-last-frame", RESPONSES, "type of a first-last-frame task in status and history"
    )
    status_labels: StatusLabels = option(
        "lower", RESPONSES, "spelling of the status; synonyms = queued, running, success, error"
    )
    unfinished_fields: Literal["absent", "null", "minimal"] = option(
        "absent",
        RESPONSES,
        "completedAt, processingTime and videos of an unfinished task: absent, or null; "
        "minimal = the status response has only success, taskId and status",
    )
    failed_error: Literal["string", "object", "message", "absent"] = option(
        "string",
        RESPONSES,
        "error of a failed task: error as a string, error as an object, a message without error, or nothing",
    )
    failed_success: bool = option(True, RESPONSES, "value of success in the status response of a failed task")
    failed_status: Literal[200, 500] = option(
        200,
        RESPONSES,
        "HTTP status of the status response of a failed task; 500 = the error GENERATION_FAILED instead, "
        "like the code without a readable name on the errors page",
    )
    model_ids_on_read: Literal["001", "preview", "all-preview"] = option(
        "001",
        RESPONSES,
        "ending of model ids in status and history; all-preview = also in the list of models, "
        "as on older pages",
    )
    videos_shape: Literal[
        "videos[].url",
        "videos[].videoUrl",
        "videos[].video_url",
        "url",
        "videoUrl",
        "video_url",
        "result.video_url",
    ] = option("videos[].url", RESPONSES, "place of the file URLs in status and download")
    processing_time: bool = option(True, RESPONSES, "send processingTime of finished tasks")
    status_prompt_length: int | None = option(
        None,
        RESPONSES,
        "cut the prompt in status responses to this many characters and '...'; or 'off'",
        ge=1,
    )
    history_prompt_length: int | None = option(
        None,
        RESPONSES,
        "cut the prompt in history responses to this many characters and '...'; or 'off'",
        ge=1,
    )
    history_order: Literal["newest", "oldest", "shuffled"] = option(
        "newest", RESPONSES, "order of the history: newest first, oldest first, or shuffled"
    )
    history_lag_seconds: float = option(
        0.0,
        RESPONSES,
        "seconds until the history lists a new task (divided by the time scale)",
        ge=0,
        le=86_400,
    )
    history_total: bool = option(True, RESPONSES, "send pagination.total")
    history_has_more: bool = option(True, RESPONSES, "send pagination.hasMore")
    signed_urls: bool = option(
        True,
        RESPONSES,
        "sign the file URLs; otherwise they have no query, as in the vendor's samples, and are never renewed",
    )
    resign_urls: bool = option(
        True, RESPONSES, "download signs the URLs anew with each call; otherwise it repeats the first URLs"
    )
    failed_download: Literal["NO_VIDEOS", "VIDEO_NOT_READY", "GENERATION_FAILED"] = option(
        "NO_VIDEOS",
        RESPONSES,
        "error code of download for a failed task; GENERATION_FAILED has status 500",
    )

    # Errors.
    invalid_key_code: KeyCode = option("INVALID_API_KEY", ERRORS, "code for an unknown or disabled key")
    error_envelope: Envelope = option("flat", ERRORS, "shape of all errors except rate limit errors")
    rate_limit_envelope: Envelope = option("nested", ERRORS, "shape of rate limit errors")
    retry_hint: Literal["documented", "x-ratelimit", "retry-after", "body", "none"] = option(
        "documented",
        ERRORS,
        "place of the wait in a 429: documented = X-RateLimit-Retry-After and retry_after in the body; "
        "or only one of them; or the standard Retry-After header; or none",
    )
    rate_headers: bool = option(
        True, ERRORS, "send X-RateLimit-Limit, -Remaining and -Reset with every API response"
    )
    retry_after_everywhere: bool = option(
        True,
        ERRORS,
        "send X-RateLimit-Retry-After with every API response, as one page says; otherwise only with a 429",
    )
    date_header: bool = option(True, ERRORS, "send the Date header with every response, as web servers do")
    queue_full: Literal["rate-limit", "queue-full", "503"] = option(
        "rate-limit",
        ERRORS,
        "refusal of a video beyond the queue limit: 429 RATE_LIMIT_EXCEEDED, 429 QUEUE_FULL, or 503",
    )
    insufficient_credits: Literal["documented", "details", "bare"] = option(
        "documented",
        ERRORS,
        "place of required and available in a 402: documented = top level; details; or bare = neither",
    )
    policy_status: Literal[400, 403, 422, 451] = option(
        400, ERRORS, "HTTP status of CONTENT_POLICY_VIOLATION"
    )
    unknown_path: Literal["json", "html", "empty"] = option(
        "json", ERRORS, "body of the 404 for an unknown path"
    )
    expired_url_status: Literal[400, 403, 404] = option(403, ERRORS, "HTTP status of an expired file URL")
