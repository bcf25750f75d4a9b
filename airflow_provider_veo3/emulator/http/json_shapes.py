"""JSON bodies of the API, in the variant that the settings choose."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from airflow_provider_veo3.emulator.service.catalog import (
    DEFAULT_MODEL,
    FIRST_LAST_FRAME,
    MODELS,
    TEXT_TO_VIDEO,
)
from airflow_provider_veo3.emulator.service.clock import iso
from airflow_provider_veo3.emulator.service.file_urls import LIFETIME, shown_url, video_path
from airflow_provider_veo3.emulator.service.tasks import State

if TYPE_CHECKING:
    from airflow_provider_veo3.emulator.config.quirks import TimeForm
    from airflow_provider_veo3.emulator.config.settings import Settings
    from airflow_provider_veo3.emulator.config.variants import StatusLabels
    from airflow_provider_veo3.emulator.service.errors import ApiError
    from airflow_provider_veo3.emulator.service.service import Service
    from airflow_provider_veo3.emulator.service.tasks import Report, Task

API_PREFIX = "/api/veo"
ESTIMATED_WAIT = "60-120 seconds"
STATUS_LABELS: dict[StatusLabels, tuple[str, str, str, str]] = {
    "lower": ("pending", "processing", "completed", "failed"),
    "upper": ("PENDING", "PROCESSING", "COMPLETED", "FAILED"),
    "title": ("Pending", "Processing", "Completed", "Failed"),
    "synonyms": ("queued", "running", "success", "error"),
}


def label(state: State, settings: Settings) -> str:
    """Return the spelling of a status."""
    words = (
        settings.pending_word,
        settings.processing_word,
        settings.completed_word,
        settings.failed_word,
    )
    return words[state.value] or STATUS_LABELS[settings.status_labels][state.value]


def json_id(task: Task) -> str | int:
    """Return a task id as JSON has it."""
    return int(task.id) if task.numeric_id else task.id


def error_body(error: ApiError, settings: Settings) -> dict[str, Any]:
    """Return an error in its envelope."""
    limited = error.status == 429  # noqa: PLR2004 - an HTTP status
    envelope = settings.rate_limit_envelope if limited else settings.error_envelope
    details: Any = error.details
    if envelope == "flat":
        flat: dict[str, Any] = {"success": False, "error": error.code, "message": error.message}
        return flat | ({} if details is None else {"details": details}) | error.extra
    if error.extra:
        details = ({"reason": details} if isinstance(details, str) else details or {}) | error.extra
    nested = {"code": error.code, "message": error.message}
    return {"error": nested | ({} if details is None else {"details": details})}


class JsonShapes:
    """JSON bodies of successful responses.

    :param service: the service whose tasks and settings are shown.
    :param files_url: origin of the file host.
    """

    def __init__(self, service: Service, files_url: str) -> None:
        self._service = service
        self._files_url = files_url

    @property
    def _settings(self) -> Settings:
        return self._service.settings

    def accepted(self, task: Task) -> dict[str, Any]:
        """Return the 202 response of a submission."""
        settings = self._settings
        cost_field = settings.cost_field
        if cost_field == "documented":
            cost_field = "creditsUsed" if task.type == TEXT_TO_VIDEO else "creditsCost"
        body = {
            "success": True,
            "message": "Video generation started",
            "taskId": json_id(task),
            "status": label(State.PENDING, settings),
            "estimatedWaitTime": ESTIMATED_WAIT,
            cost_field: task.cost,
            "remainingCredits": task.account.credits,
            "statusUrl": f"{API_PREFIX}/status/{quote(task.id, safe='')}",
            "downloadUrl": f"{API_PREFIX}/download/{quote(task.id, safe='')}",
        }
        if not task.uploads:
            return body
        if settings.image_answer == "listed":
            body = {name: body[name] for name in ("taskId", "statusUrl", "downloadUrl", cost_field)}
        return body | {"imageInfo": _image_info(task)}

    def status(self, task: Task) -> dict[str, Any]:
        """Return the response of the status endpoint."""
        settings, report = self._settings, task.report(self._service.clock.now())
        state = report.state
        body: dict[str, Any] = {
            "success": settings.failed_success if state is State.FAILED else True,
            "taskId": json_id(task),
            "status": label(state, settings),
        }
        if state is State.FAILED and not settings.failed_task_id:
            del body["taskId"]
        if not state.finished and settings.unfinished_fields == "minimal":
            return body
        body |= self._facts(task, report, settings.status_prompt_length, settings.status_created_at)
        if state is State.COMPLETED:
            body |= self._videos(task, signed_at=task.ends_at)
        elif settings.unfinished_fields == "null":
            body["videos"] = None
        return body

    def history_entry(self, task: Task) -> dict[str, Any]:
        """Return a task in the history."""
        settings, report = self._settings, task.report(self._service.clock.now())
        facts = self._facts(task, report, settings.history_prompt_length, settings.history_created_at)
        request = {name: facts.pop(name) for name in ("type", "model", "prompt")}
        return {
            "taskId": json_id(task),
            **request,
            "status": label(report.state, settings),
            **facts,
            "videoCount": task.samples if report.state is State.COMPLETED else 0,
        }

    def hides_videos(self, task: Task) -> bool:
        """Return whether download knows no videos of a completed task yet."""
        return self._videos_lag(task) and self._settings.videos_lag_shows == "no-videos"

    def download(self, task: Task) -> dict[str, Any]:
        """Return the response of the download endpoint."""
        signs_anew = self._settings.resign_urls and self._settings.signed_urls
        signed_at = self._service.clock.now() if signs_anew else task.ends_at
        videos = self._videos(task, signed_at=signed_at)
        return {"success": True, "taskId": json_id(task), **videos, "totalVideos": task.samples}

    def models(self) -> dict[str, Any]:
        """Return the response of the models endpoint."""
        preview = self._settings.model_ids_on_read == "all-preview"
        return {
            "success": True,
            "models": [
                {
                    "id": model.preview_id if preview else model.id,
                    "name": model.name,
                    "description": model.description,
                    "capabilities": model.capabilities,
                    "pricing": {
                        "creditsPerVideo": model.credits,
                        "creditsPerVideoNoAudio": model.credits_silent,
                    },
                }
                for model in MODELS
            ],
            "defaultModel": DEFAULT_MODEL.preview_id if preview else DEFAULT_MODEL.id,
        }

    def _facts(self, task: Task, report: Report, prompt_length: int | None, form: TimeForm) -> dict[str, Any]:
        settings = self._settings
        model, prompt = task.parameters.model, task.parameters.prompt
        if prompt_length is not None and len(prompt) > prompt_length:
            prompt = prompt[:prompt_length] + "..."
        facts: dict[str, Any] = {
            "type": settings.frames_type if task.type == FIRST_LAST_FRAME else task.type,
            "model": model.id if settings.model_ids_on_read == "001" else model.preview_id,
            "prompt": prompt,
            "creditsCost": task.cost,
            "createdAt": self._time(task.created_at, form),
        }
        if form == "absent":
            del facts["createdAt"]
        if report.ended_at is not None:
            facts["completedAt"] = self._time(report.ended_at, "iso" if form in ("null", "absent") else form)
            if settings.processing_time:
                facts["processingTime"] = int(report.ended_at - task.created_at)
        elif settings.unfinished_fields == "null":
            facts |= {"completedAt": None, "processingTime": None}
        if report.failure is not None:
            code, message = report.failure.code, report.failure.message
            errors: dict[str, dict[str, Any]] = {
                "string": {"error": message},
                "object": {"error": {"code": code, "message": message}},
                "message": {"message": message},
                "absent": {},
            }
            facts |= errors[settings.failed_error]
        return facts

    def _time(self, moment: float, form: TimeForm = "iso") -> str | int | None:
        """Return a time by the API's own clock."""
        shown = moment + self._settings.clock_offset_seconds
        match form:
            case "iso":
                return iso(shown)
            case "local":
                return iso(shown + self._settings.local_offset_hours * 3600).removesuffix("Z")
            case "milliseconds" | "milliseconds-text":
                number = round(shown * 1000)
            case "seconds" | "seconds-text":
                number = math.floor(shown)
            case _:
                return None
        return str(number) if form.endswith("-text") else number

    def _videos_lag(self, task: Task) -> bool:
        lag = self._settings.scaled(self._settings.videos_lag_seconds)
        return self._service.clock.now() < task.ends_at + lag

    def _videos(self, task: Task, signed_at: float) -> dict[str, Any]:
        settings, count = self._settings, task.samples
        if self._videos_lag(task):
            if settings.videos_lag_shows == "missing":
                return {}
            count = max(0, count - 1) if settings.videos_lag_shows == "one-less" else 0
        expires = self._time(signed_at + settings.scaled(LIFETIME))
        urls = []
        for index in range(count):
            target = video_path(task.id, index, settings)
            if settings.signed_urls:
                target = self._service.signer.sign(target, signed_at, settings)
            urls.append(shown_url(f"{self._files_url}{target}", settings))
        shape = settings.videos_shape
        if shape.startswith("videos[]."):
            name = shape.removeprefix("videos[].")
            return {"videos": [{name: url, "mimeType": "video/mp4", "expiresAt": expires} for url in urls]}
        first = urls[0] if urls else None
        return {"result": {"video_url": first}} if shape == "result.video_url" else {shape: first}


def _image_info(task: Task) -> Any:
    infos = [
        {"originalName": upload.filename, "size": upload.size, "mimeType": upload.mime_type}
        for upload in task.uploads
    ]
    if task.type != FIRST_LAST_FRAME:
        return infos[0]
    by_field = {upload.field: info for upload, info in zip(task.uploads, infos, strict=True)}
    return by_field if len(by_field) == len(infos) else infos
