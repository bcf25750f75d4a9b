"""How a task looks in the API's JSON, in the dialect that the settings choose."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_veo3.emulator.config.dialect import IMAGE_INFO_KEYS, STATUS_LABELS
from airflow_provider_veo3.emulator.service.catalog import FIRST_LAST_FRAME, MODELS, TEXT_TO_VIDEO, find_model
from airflow_provider_veo3.emulator.service.clock import iso
from airflow_provider_veo3.emulator.service.links import video_path
from airflow_provider_veo3.emulator.service.tasks import State

if TYPE_CHECKING:
    from airflow_provider_veo3.emulator.config.settings import Settings
    from airflow_provider_veo3.emulator.service.links import Signer
    from airflow_provider_veo3.emulator.service.tasks import Task, Upload

ESTIMATED_WAIT = "60-120 seconds"
API_PREFIX = "/api/veo"


class Wire:
    """Turns tasks into JSON.

    :param files_url: origin of the file host.
    """

    def __init__(self, files_url: str, signer: Signer) -> None:
        self._files_url = files_url
        self._signer = signer

    def accepted(self, task: Task, credits_left: int, settings: Settings) -> dict[str, Any]:
        """The answer 202."""
        cost_field = settings.cost_field
        if cost_field == "documented":
            cost_field = "creditsUsed" if task.type == TEXT_TO_VIDEO else "creditsCost"
        answer = {
            "success": True,
            "message": "Video generation started",
            "taskId": task.id,
            "status": label(State.PENDING, settings),
            "estimatedWaitTime": ESTIMATED_WAIT,
            cost_field: task.cost,
            "remainingCredits": credits_left,
            "statusUrl": f"{API_PREFIX}/status/{task.id}",
            "downloadUrl": f"{API_PREFIX}/download/{task.id}",
        }
        if task.uploads and settings.image_answer == "listed":
            answer = {name: answer[name] for name in ("taskId", "statusUrl", "downloadUrl", cost_field)}
        if task.uploads and settings.image_info != "absent":
            answer["imageInfo"] = _image_infos(task, settings)
        return answer

    def status(self, task: Task, now: float, settings: Settings) -> dict[str, Any]:
        """The answer of the status endpoint."""
        state = task.state(now)
        answer: dict[str, Any] = {
            "success": settings.failed_success if state is State.FAILED else True,
            "taskId": task.id,
            "status": label(state, settings),
        }
        if not state.finished and settings.unfinished_fields == "minimal":
            return answer
        answer |= self._facts(task, now, settings, settings.status_prompt_length)
        if state is State.COMPLETED:
            answer |= self._videos(task, task.ends_at, settings)
        elif settings.unfinished_fields == "null":
            answer["videos"] = None
        return answer

    def record(self, task: Task, now: float, settings: Settings) -> dict[str, Any]:
        """The task's entry in the history."""
        state = task.state(now)
        facts = self._facts(task, now, settings, settings.history_prompt_length)
        named = {name: facts.pop(name) for name in ("type", "model", "prompt")}
        return {
            "taskId": task.id,
            **named,
            "status": label(state, settings),
            **facts,
            "videoCount": task.samples if state is State.COMPLETED else 0,
        }

    def download(self, task: Task, now: float, settings: Settings) -> dict[str, Any]:
        """The answer of the download endpoint."""
        signed_at = now if settings.resign_urls and settings.signed_urls else task.ends_at
        answer = {"success": True, "taskId": task.id, **self._videos(task, signed_at, settings)}
        return answer | {"totalVideos": task.samples}

    def _facts(self, task: Task, now: float, settings: Settings, cut: int | None) -> dict[str, Any]:
        state = task.state(now)
        model = task.parameters.model
        prompt = task.parameters.prompt
        if cut is not None and len(prompt) > cut:
            prompt = prompt[:cut] + "..."
        facts: dict[str, Any] = {
            "type": settings.frames_type if task.type == FIRST_LAST_FRAME else task.type,
            "model": model.preview_id if settings.model_ids_on_read != "001" else model.id,
            "prompt": prompt,
            "creditsCost": task.cost,
            "createdAt": iso(task.created_at),
        }
        if state.finished:
            facts["completedAt"] = iso(task.ends_at)
            if settings.processing_time:
                facts["processingTime"] = int(task.ends_at - task.created_at)
        elif settings.unfinished_fields == "null":
            facts |= {"completedAt": None, "processingTime": None}
        if state is State.FAILED and task.failure:
            code, message = task.failure.code, task.failure.message
            shapes: dict[str, dict[str, Any]] = {
                "string": {"error": message},
                "object": {"error": {"code": code, "message": message}},
                "message": {"message": message},
                "absent": {},
            }
            facts |= shapes[settings.failed_error]
        return facts

    def _videos(self, task: Task, signed_at: float, settings: Settings) -> dict[str, Any]:
        lifetime = settings.scaled(settings.link_lifetime_seconds)
        expires = iso(signed_at + lifetime)
        urls = []
        for index in range(task.samples):
            path = video_path(task.id, index)
            query = f"?{self._signer.sign(path, signed_at, lifetime)}" if settings.signed_urls else ""
            urls.append(f"{self._files_url}{path}{query}")
        shape = settings.videos_shape
        if shape.startswith("videos[]."):
            name = shape.removeprefix("videos[].")
            return {"videos": [{name: url, "mimeType": "video/mp4", "expiresAt": expires} for url in urls]}
        first = urls[0] if urls else None
        return {"result": {"video_url": first}} if shape == "result.video_url" else {shape: first}


def label(state: State, settings: Settings) -> str:
    """The status word."""
    return STATUS_LABELS[settings.status_labels][state.value]


def _image_infos(task: Task, settings: Settings) -> Any:
    infos = [_image_info(upload, settings) for upload in task.uploads]
    if task.type != FIRST_LAST_FRAME:
        return infos[0]
    by_field = {upload.field: info for upload, info in zip(task.uploads, infos, strict=True)}
    return by_field if len(by_field) == len(infos) else infos


def _image_info(upload: Upload, settings: Settings) -> dict[str, Any]:
    values = (upload.filename, upload.size, upload.mime_type)
    return dict(zip(IMAGE_INFO_KEYS[settings.image_info], values, strict=True))


def models(settings: Settings) -> dict[str, Any]:
    """The answer of the models endpoint."""
    older = settings.model_ids_on_read == "all-preview"
    default = find_model(settings.default_model, accept_preview=True)
    return {
        "success": True,
        "models": [
            {
                "id": model.preview_id if older else model.id,
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
        "defaultModel": default.preview_id if older and default else settings.default_model,
    }
