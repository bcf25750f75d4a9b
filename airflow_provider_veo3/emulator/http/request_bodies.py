"""Bodies of requests."""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
import json
import math
from typing import TYPE_CHECKING, Any

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request

from airflow_provider_veo3.emulator.service.catalog import FIRST_LAST_FRAME, TEXT_TO_VIDEO
from airflow_provider_veo3.emulator.service.errors import ApiError, validation_error
from airflow_provider_veo3.emulator.service.tasks import Upload
from airflow_provider_veo3.emulator.video.scene import reduce_upload

if TYPE_CHECKING:
    from starlette.types import Message

    from airflow_provider_veo3.emulator.config.settings import Settings
    from airflow_provider_veo3.emulator.video.store import VideoStore

# Beyond its limit a body is discarded to its end, so that the client reads the refusal.
JSON_LIMIT = 1024 * 1024
FORM_LIMIT = 64 * 1024 * 1024
MAX_DEPTH = 32
# Decoding with others, such as unicode_escape or punycode, has effects of its own.
CHARSETS = (b"utf-8", b"utf8", b"us-ascii")
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
    """Parse a JSON object, or raise ``ValueError``.

    NaN, Infinity, numbers beyond a float, deep nesting, and text that is not Unicode are refused.
    """
    try:
        parsed = json.loads(data, parse_constant=_not_json, parse_float=_finite)
        _check_depth(parsed)
        json.dumps(parsed, ensure_ascii=False).encode()
    except UnicodeError:
        raise ValueError("must be a JSON object: it has text that is not Unicode") from None
    except RecursionError:
        raise ValueError("must be a JSON object: it is nested too deeply") from None
    except ValueError as error:
        raise ValueError(f"must be a JSON object: {error}") from None
    if not isinstance(parsed, dict):
        raise ValueError("must be a JSON object")  # noqa: TRY004 - one type for every refusal
    return parsed


def _not_json(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:40]} is too large a number")
    return number


def _check_depth(parsed: Any) -> None:
    level = [parsed]
    for _ in range(MAX_DEPTH):
        containers = [value for value in level if isinstance(value, (dict, list))]
        level = [
            child for each in containers for child in (each.values() if isinstance(each, dict) else each)
        ]
    if level:
        raise RecursionError


async def read_submission(request: Request, kind: str, settings: Settings) -> Submission:
    """Read the body of a submission, up to its limit of bytes and of time."""
    if kind == TEXT_TO_VIDEO:
        refusal = ApiError(413, "PAYLOAD_TOO_LARGE", f"The body has more than {JSON_LIMIT} bytes")
        reading = _read_json(_limited(request, JSON_LIMIT, refusal))
    else:
        refusal = ApiError(413, "FILE_TOO_LARGE", f"The form has more than {FORM_LIMIT} bytes")
        reading = _read_form(_limited(request, FORM_LIMIT, refusal), settings)
    try:
        async with asyncio.timeout(settings.body_timeout_seconds):
            return await reading
    except TimeoutError:
        message = f"The body was not complete after {settings.body_timeout_seconds:g} seconds"
        raise ApiError(408, "REQUEST_TIMEOUT", message, headers={"Connection": "close"}) from None


def _limited(request: Request, limit: int, refusal: ApiError) -> Request:
    """Return a request whose body is refused beyond a limit, after its end."""
    size = 0

    async def receive() -> Message:
        nonlocal size
        while True:
            message = await request.receive()
            size += len(message.get("body", b""))
            if size <= limit or message["type"] != "http.request":
                return message
            if not message.get("more_body"):
                raise refusal

    return Request(request.scope, receive)


async def _read_json(request: Request) -> Submission:
    """Read a text-to-video request; a body that is not declared as JSON counts as empty."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    data = await request.body()
    if media_type != "application/json" or not data:
        return Submission({}, {})
    try:
        return Submission(parse_json_object(data), {})
    except ValueError as error:
        raise validation_error("body", None, f"The body {error}") from None


async def _read_form(request: Request, settings: Settings) -> Submission:
    """Read a form with images."""
    limit = IMAGE_LIMITS[settings.image_limit]
    charset = parse_options_header(request.headers.get("content-type"))[1].get(b"charset", b"utf-8")
    if charset.lower() not in CHARSETS:
        shown = charset.decode("latin-1")
        raise validation_error("Content-Type", shown, "The charset of a form must be utf-8")
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
    except FormParserError as error:  # which an older Starlette lets through
        raise validation_error("body", None, f"The form cannot be read: {error}") from None
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
