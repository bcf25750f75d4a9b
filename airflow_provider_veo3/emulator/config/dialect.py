"""The vendor's silences and contradictions: each is a choice, and the default is the vendor's newest page."""

from __future__ import annotations

import dataclasses
from typing import Any

from airflow_provider_veo3.emulator.config.options import YEAR, option
from airflow_provider_veo3.emulator.service.catalog import MODEL_IDS, PREVIEW_IDS

REQUESTS = "what requests may say (the vendor's pages differ or are silent)"
ANSWERS = "how answers look (the vendor's pages differ or are silent)"
ERRORS = "how errors look (the vendor's pages differ or are silent)"

STATUS_LABELS = {
    "lower": ("pending", "processing", "completed", "failed"),
    "upper": ("PENDING", "PROCESSING", "COMPLETED", "FAILED"),
    "title": ("Pending", "Processing", "Completed", "Failed"),
    "synonyms": ("queued", "running", "success", "error"),
}
IMAGE_INFO_KEYS = {
    "originalName": ("originalName", "size", "mimeType"),
    "filename": ("filename", "size", "mimetype"),
    "snake": ("original_name", "file_size", "mime_type"),
    "absent": (),
}


def _not_empty(value: Any) -> Any:
    if not value:
        raise ValueError("must not be empty")
    return value


@dataclasses.dataclass(frozen=True)
class Dialect:
    """Everything that two faithful readings of the vendor's pages could do differently on the wire."""

    # Requests.
    default_model: str = option(
        "veo-3.1-fast-generate-001",
        REQUESTS,
        "model of a request that names none",
        choices=MODEL_IDS + PREVIEW_IDS,
    )
    accept_preview_models: bool = option(
        True, REQUESTS, "accept the older model ids that end in -preview as names of the same models"
    )
    fast_refuses_images: bool = option(
        False, REQUESTS, "refuse image-to-video with a Fast model (INVALID_MODEL), as one page says"
    )
    aspect_ratios: tuple[str, ...] = option(
        ("16:9", "9:16"),
        REQUESTS,
        "aspect ratios that are accepted",
        choices=("16:9", "9:16"),
        check=_not_empty,
    )
    durations: str = option(
        "5-8", REQUESTS, "durations that are accepted, in seconds", choices=("5-8", "4,6,8", "8")
    )
    text_limits: bool = option(
        True, REQUESTS, "refuse prompts over 1000 and negative prompts over 500 characters"
    )
    strict_types: bool = option(
        True,
        REQUESTS,
        'refuse JSON values of another type than documented; otherwise "8" passes for 8 and "true" for true',
    )
    content_type_required: bool = option(
        False, REQUESTS, "refuse requests without Content-Type, those without a body too, as one page says"
    )
    unknown_fields: str = option(
        "ignore", REQUESTS, "what becomes of fields that no page knows", choices=("ignore", "refuse")
    )
    image_prompt_required: bool = option(
        True, REQUESTS, "refuse image-to-video and first-last-frame without a prompt"
    )
    image_limit: str = option(
        "decimal",
        REQUESTS,
        "size limit of an image: decimal = 20,000,000 bytes, mib = 20 * 1024 * 1024 bytes",
        choices=("decimal", "mib"),
    )
    first_frame_field: str = option(
        "firstFrame", REQUESTS, "form field of the first image of first-last-frame", check=_not_empty
    )
    last_frame_field: str = option(
        "lastFrame",
        REQUESTS,
        "form field of the last image of first-last-frame; may be the same",
        check=_not_empty,
    )
    policy_words: tuple[str, ...] = option(
        ("prohibited content",),
        REQUESTS,
        "a prompt that contains one of these (in any case) violates the content policy",
    )
    policy_when: str = option(
        "request",
        REQUESTS,
        "when a policy violation shows: request = refused at once; "
        "generation = accepted, then failed and refunded",
        choices=("request", "generation"),
    )
    polls_count: bool = option(
        True, REQUESTS, "count status and history requests against the minute and the day"
    )

    # Answers.
    cost_field: str = option(
        "documented",
        ANSWERS,
        "cost in the 202 answer; documented = creditsUsed for text-to-video, creditsCost for the others",
        choices=("documented", "creditsUsed", "creditsCost"),
    )
    image_answer: str = option(
        "same",
        ANSWERS,
        "the 202 answer to images: same = all that text-to-video answers, with another name for the cost; "
        "listed = only what the page lists (taskId, statusUrl, downloadUrl, the cost, imageInfo)",
        choices=("same", "listed"),
    )
    task_ids: str = option(
        "veo",
        ANSWERS,
        "shape of the ids: veo = as in the samples, uuid, or dotted = also . and ~, as a path may hold",
        choices=("veo", "uuid", "dotted"),
    )
    task_lifetime_seconds: float | None = option(
        None,
        ANSWERS,
        "seconds after its end at which a task is unknown (divided by the time scale); or 'off'",
        minimum=0,
        maximum=YEAR,
    )
    frames_type: str = option(
        "first-last-frame",
        ANSWERS,
        "type of a first-last-frame task in status and history",
        choices=("first-last-frame", "image-to-video"),
    )
    status_labels: str = option(
        "lower",
        ANSWERS,
        "spelling of the status; synonyms = queued, running, success, error",
        choices=tuple(STATUS_LABELS),
    )
    unfinished_fields: str = option(
        "absent",
        ANSWERS,
        "completedAt, processingTime and videos of an unfinished task: absent, or null; "
        "minimal = nothing but success, taskId and status in the status answer",
        choices=("absent", "null", "minimal"),
    )
    failed_error: str = option(
        "string",
        ANSWERS,
        "why a task failed: error as a string, error as an object, only a message, or nothing at all",
        choices=("string", "object", "message", "absent"),
    )
    failed_success: bool = option(True, ANSWERS, "what success says in the status answer of a failed task")
    failed_status: int = option(
        200,
        ANSWERS,
        "HTTP status of the status answer of a failed task; 500 = an error GENERATION_FAILED in its place, "
        "like the code without a readable name on the errors page",
        choices=(200, 500),
    )
    model_ids_on_read: str = option(
        "001",
        ANSWERS,
        "how status and history spell model ids; all-preview = the list of models too, as on older pages",
        choices=("001", "preview", "all-preview"),
    )
    videos_shape: str = option(
        "videos[].url",
        ANSWERS,
        "where status and download carry the file URLs",
        choices=(
            "videos[].url",
            "videos[].videoUrl",
            "videos[].video_url",
            "url",
            "videoUrl",
            "video_url",
            "result.video_url",
        ),
    )
    image_info: str = option(
        "originalName",
        ANSWERS,
        "names inside imageInfo: originalName/size/mimeType, filename/size/mimetype, "
        "original_name/file_size/mime_type (snake), or no imageInfo",
        choices=tuple(IMAGE_INFO_KEYS),
    )
    processing_time: bool = option(True, ANSWERS, "send processingTime for finished tasks")
    status_prompt_length: int | None = option(
        None, ANSWERS, "cut the prompt in status answers to so many characters and '...'", minimum=1
    )
    history_prompt_length: int | None = option(
        None, ANSWERS, "cut the prompt in history answers to so many characters and '...'", minimum=1
    )
    history_order: str = option(
        "newest", ANSWERS, "order of the history", choices=("newest", "oldest", "shuffled")
    )
    history_lag_seconds: float = option(
        0.0,
        ANSWERS,
        "seconds until a new task shows in the history (divided by the time scale)",
        minimum=0,
        maximum=86_400,
    )
    history_default_limit: int = option(20, ANSWERS, "page size where limit is not given", minimum=1)
    history_over_limit: str = option(
        "clamp", ANSWERS, "what becomes of a limit over 100", choices=("clamp", "refuse")
    )
    history_total: bool = option(True, ANSWERS, "send pagination.total")
    history_has_more: bool = option(True, ANSWERS, "send pagination.hasMore")
    signed_urls: bool = option(
        True,
        ANSWERS,
        "sign the file URLs; otherwise they have no query, as in the vendor's samples, and are never renewed",
    )
    resign_urls: bool = option(
        True, ANSWERS, "download signs the URLs anew at each call; otherwise it repeats the first ones"
    )
    failed_download: str = option(
        "NO_VIDEOS",
        ANSWERS,
        "what download says of a failed task, the last with 500",
        choices=("NO_VIDEOS", "VIDEO_NOT_READY", "GENERATION_FAILED"),
    )
    partial_refund: bool = option(
        False, ANSWERS, "refund the share of samples that are missing from an otherwise finished task"
    )

    # Errors.
    invalid_key_code: str = option(
        "INVALID_API_KEY",
        ERRORS,
        "code for an unknown or disabled key",
        choices=("INVALID_API_KEY", "UNAUTHORIZED"),
    )
    missing_key_code: str = option(
        "UNAUTHORIZED",
        ERRORS,
        "code for a request without a key",
        choices=("INVALID_API_KEY", "UNAUTHORIZED"),
    )
    error_envelope: str = option(
        "flat", ERRORS, "shape of all errors but the rate limit's", choices=("flat", "nested")
    )
    rate_limit_envelope: str = option(
        "nested", ERRORS, "shape of rate limit errors", choices=("flat", "nested")
    )
    retry_hint: str = option(
        "documented",
        ERRORS,
        "where a 429 says how long to wait: documented = X-RateLimit-Retry-After and retry_after "
        "in the body; or one of them; or the standard Retry-After header; or nowhere",
        choices=("documented", "x-ratelimit", "retry-after", "body", "none"),
    )
    rate_headers: bool = option(
        True, ERRORS, "send X-RateLimit-Limit, -Remaining and -Reset with every API answer"
    )
    retry_after_everywhere: bool = option(
        True,
        ERRORS,
        "send X-RateLimit-Retry-After with every API answer as the other three, as one page says; "
        "otherwise with a 429 alone",
    )
    date_header: bool = option(True, ERRORS, "send the time with every answer, as web servers do")
    daily_limit_code: str = option(
        "RATE_LIMIT_EXCEEDED",
        ERRORS,
        "code of the 429 for the day's limit",
        choices=("RATE_LIMIT_EXCEEDED", "DAILY_LIMIT_EXCEEDED"),
    )
    queue_full: str = option(
        "rate-limit",
        ERRORS,
        "answer to one video too many in the queue: 429 RATE_LIMIT_EXCEEDED, 429 QUEUE_FULL, or 503",
        choices=("rate-limit", "queue-full", "503"),
    )
    insufficient_credits: str = option(
        "documented",
        ERRORS,
        "where a 402 carries required and available: documented = top level; in details; or nowhere",
        choices=("documented", "details", "bare"),
    )
    policy_status: int = option(
        400, ERRORS, "HTTP status of CONTENT_POLICY_VIOLATION", choices=(400, 403, 422, 451)
    )
    unknown_path: str = option(
        "json", ERRORS, "body of the 404 for an unknown path", choices=("json", "html", "empty")
    )
    expired_url_status: int = option(
        403, ERRORS, "HTTP status of an expired file URL", choices=(400, 403, 404)
    )
