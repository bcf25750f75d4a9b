"""Bodies of requests."""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
import json
from typing import TYPE_CHECKING, Any

from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException

from airflow_provider_veo3.emulator.service.catalog import FIRST_LAST_FRAME, TEXT_TO_VIDEO
from airflow_provider_veo3.emulator.service.errors import ApiError, validation_error
from airflow_provider_veo3.emulator.service.tasks import Upload
from airflow_provider_veo3.emulator.video.scene import reduce_upload

if TYPE_CHECKING:
    from starlette.requests import Request

    from airflow_provider_veo3.emulator.config.settings import Settings
    from airflow_provider_veo3.emulator.video.store import VideoStore

IMAGE_TYPES = {"image/jpeg", "image/jpg", "image/png"}
IMAGE_LIMITS = {"decimal": 20_000_000, "mib": 20 * 1024 * 1024}


@dataclasses.dataclass(frozen=True)
class File:
    """A file part of a form; a file beyond the size limit has no data."""

    filename: str
    content_type: str
    size: int
    data: bytes = dataclasses.field(repr=False)


@dataclasses.dataclass(frozen=True)
class Submission:
    """An unchecked request body: its fields, and its files by form field."""

    fields: dict[str, Any]
    files: dict[str, list[File]]


def parse_json_object(data: bytes) -> dict[str, Any]:
    """Parse a JSON object, or raise ``ValueError``; NaN and Infinity are not JSON."""

    def refuse(name: str) -> Any:
        raise ValueError(f"{name} is not JSON")

    try:
        parsed = json.loads(data, parse_constant=refuse)
    except ValueError as error:
        raise ValueError(f"must be a JSON object: {error}") from None
    if not isinstance(parsed, dict):
        raise ValueError("must be a JSON object")  # noqa: TRY004 - one type for every refusal
    return parsed


async def read_json(request: Request) -> Submission:
    """Read a text-to-video request; a body that is not declared as JSON counts as empty."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    data = await request.body()
    if media_type != "application/json" or not data:
        return Submission({}, {})
    try:
        return Submission(parse_json_object(data), {})
    except ValueError as error:
        raise validation_error("body", None, f"The body {error}") from None


async def read_form(request: Request, settings: Settings) -> Submission:
    """Read a form with images."""
    limit = IMAGE_LIMITS[settings.image_limit]
    fields: dict[str, Any] = {}
    files: dict[str, list[File]] = {}
    try:
        async with request.form() as form:
            for name, value in form.multi_items():
                if isinstance(value, UploadFile):
                    size = value.size or 0
                    data = await value.read() if size <= limit else b""
                    file = File(value.filename or "", value.content_type or "", size, data)
                    files.setdefault(name, []).append(file)
                else:
                    fields[name] = value
    except HTTPException as error:
        raise validation_error("body", None, f"The form cannot be read: {error.detail}") from None
    return Submission(fields, files)


async def read_uploads(
    submission: Submission, kind: str, settings: Settings, store: VideoStore
) -> tuple[Upload, ...]:
    """Check the images of a request, and keep reduced copies for rendering."""
    if kind == TEXT_TO_VIDEO:
        return ()
    names = (
        (settings.first_frame_field, settings.last_frame_field) if kind == FIRST_LAST_FRAME else ("image",)
    )
    for name, files in submission.files.items():
        if len(files) > names.count(name):
            raise validation_error(name, None, f"Unexpected file field {name}")
    portrait = submission.fields.get("aspectRatio") == "9:16"
    unread = {name: iter(files) for name, files in submission.files.items()}
    uploads = []
    for name in names:
        file = next(unread.get(name, iter(())), None)
        uploads.append(await _read_upload(file, name, settings, store, portrait=portrait))
    return tuple(uploads)


async def _read_upload(
    file: File | None, name: str, settings: Settings, store: VideoStore, *, portrait: bool
) -> Upload:
    if file is None or not file.size:
        raise ApiError(400, "MISSING_IMAGE", "Image file is required", details=f"No file in field {name}")
    limit = IMAGE_LIMITS[settings.image_limit]
    if file.size > limit:
        details = f"{name} has {file.size} bytes, the limit is {limit}"
        raise ApiError(413, "FILE_TOO_LARGE", "Image file is too large", details=details)
    wrong_type = ApiError(
        400, "INVALID_IMAGE_TYPE", "Only JPEG and PNG images are supported", details=f"field {name}"
    )
    if file.content_type.partition(";")[0].strip().lower() not in IMAGE_TYPES:
        raise wrong_type
    try:
        # In a thread: decoding 20 MB takes a while, and other requests must not wait for it.
        kind, picture = await asyncio.to_thread(reduce_upload, file.data, settings.height, portrait=portrait)
    except ValueError:
        raise wrong_type from None
    digest = hashlib.sha256(file.data).hexdigest()
    mime_type = f"image/{kind.lower()}"
    return Upload(name, file.filename, file.size, mime_type, digest, store.keep_picture(picture))
