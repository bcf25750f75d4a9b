"""Reading the bodies of generation requests."""

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
    from airflow_provider_veo3.emulator.video.videos import Videos

IMAGE_TYPES = {"image/jpeg", "image/jpg", "image/png"}
IMAGE_LIMITS = {"decimal": 20_000_000, "mib": 20 * 1024 * 1024}


@dataclasses.dataclass(frozen=True)
class File:
    """A file part as it was sent; of a file that is too large only the size is kept."""

    filename: str
    content_type: str
    size: int
    data: bytes = dataclasses.field(repr=False)


@dataclasses.dataclass(frozen=True)
class Submission:
    """The body of a request, read but not judged."""

    fields: dict[str, Any]
    files: dict[str, list[File]]


async def read_json(request: Request) -> Submission:
    """Read a text-to-video request; a body that is not declared as JSON counts as empty."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    data = await request.body()
    if media_type != "application/json" or not data:
        return Submission({}, {})
    try:
        fields = json.loads(data, parse_constant=no_constant)
    except ValueError:
        raise validation_error("body", None, "The body is not valid JSON") from None
    if not isinstance(fields, dict):
        raise validation_error("body", None, "The body must be a JSON object")
    return Submission(fields, {})


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
    submission: Submission, kind: str, settings: Settings, videos: Videos
) -> tuple[Upload, ...]:
    """Check the images that this kind of generation needs."""
    if kind == TEXT_TO_VIDEO:
        return ()
    names = (
        (settings.first_frame_field, settings.last_frame_field) if kind == FIRST_LAST_FRAME else ("image",)
    )
    for name, files in submission.files.items():
        if len(files) > names.count(name):
            raise validation_error(name, None, f"Unexpected file field {name}")
    portrait = submission.fields.get("aspectRatio") == "9:16"
    given = {name: iter(files) for name, files in submission.files.items()}
    uploads = []
    for name in names:
        file = next(given.get(name, iter(())), None)
        uploads.append(await _read_upload(file, name, settings, videos, portrait=portrait))
    return tuple(uploads)


async def _read_upload(
    file: File | None, name: str, settings: Settings, videos: Videos, *, portrait: bool
) -> Upload:
    if file is None or not file.size:
        raise ApiError(400, "MISSING_IMAGE", "Image file is required", details=f"No file in field {name}")
    limit = IMAGE_LIMITS[settings.image_limit]
    if file.size > limit:
        details = f"{name} has {file.size} bytes, the limit is {limit}"
        raise ApiError(413, "FILE_TOO_LARGE", "Image file is too large", details=details)
    wrong = ApiError(
        400, "INVALID_IMAGE_TYPE", "Only JPEG and PNG images are supported", details=f"field {name}"
    )
    if file.content_type.partition(";")[0].strip().lower() not in IMAGE_TYPES:
        raise wrong
    try:
        # Decoding 20 MB takes a while, and other requests should not wait for it.
        kind, picture = await asyncio.to_thread(reduce_upload, file.data, settings.height, portrait=portrait)
    except ValueError:
        raise wrong from None
    digest = hashlib.sha256(file.data).hexdigest()
    mime_type = f"image/{kind.lower()}"
    return Upload(name, file.filename, file.size, mime_type, digest, videos.keep_picture(picture))


def no_constant(name: str) -> Any:
    """Refuse what Python reads as JSON and nobody else: NaN, Infinity."""
    raise ValueError(f"{name} is not JSON")
