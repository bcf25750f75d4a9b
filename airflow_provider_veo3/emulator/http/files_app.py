"""The file host: another origin that serves the videos under URLs that expire."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

from starlette.requests import Request

from airflow_provider_veo3.emulator.http.exchange import Exchange
from airflow_provider_veo3.emulator.http.responses import (
    ENCODINGS,
    Response,
    expired_url,
    no_such_file,
    storage_error,
)
from airflow_provider_veo3.emulator.http.video_files import video_body
from airflow_provider_veo3.emulator.service.file_urls import LIFETIME, parse_path, video_path
from airflow_provider_veo3.emulator.service.tasks import State

if TYPE_CHECKING:
    from starlette.datastructures import Headers
    from starlette.types import Receive, Scope, Send

    from airflow_provider_veo3.emulator.http.response_bodies import Body
    from airflow_provider_veo3.emulator.service.service import Service
    from airflow_provider_veo3.emulator.service.tasks import Task
    from airflow_provider_veo3.emulator.video.store import VideoStore

_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.ASCII)


class FilesApp:
    """The file host as an ASGI application.

    :param service: the service whose tasks have the videos.
    :param store: the store that renders the videos.
    """

    def __init__(self, service: Service, store: VideoStore) -> None:
        self._service = service
        self._store = store

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        exchange = Exchange(self._service, Request(scope, receive), "file")
        if exchange.secret:
            self._service.record_leak(scope["path"], exchange.secret)
        await exchange.respond(self._respond, send)

    async def _respond(self, exchange: Exchange) -> Response:
        method, headers = exchange.request.method, exchange.request.headers
        video = parse_path(str(exchange.request.scope["raw_path"], "ascii"))
        task = self._service.find_any(video[0]) if video else None
        if video is None or task is None:
            return no_such_file()
        exchange.task, index = task, video[1]
        exchange.note = f"sample_{index}"
        await exchange.apply_request_faults(self._service.secret_of(task), task.id, task.parameters.prompt)
        if method not in ("GET", "HEAD"):
            return storage_error(405, "MethodNotAllowed", "The method is not allowed.")
        refusal = self._refusal(exchange.request, task, index)
        if refusal is not None:
            return refusal
        body = await video_body(self._store, task, index)
        response = exchange.apply_response_fault(self._whole_file(task, index, body))
        fault = exchange.delivery_fault
        ignored = response.encoding != "none" or (fault is not None and fault.kind == "ignore_range")
        if method == "GET" and not ignored:
            _apply_range(response, headers)
        exchange.note += f" {response.headers.get('Content-Range', f'{response.body.size} bytes')}"
        if method == "GET" and response.status != 416:  # noqa: PLR2004 - an HTTP status
            exchange.fetches = task.fetches_of(index)
            exchange.fetches.requests += 1
        return response

    def _refusal(self, request: Request, task: Task, index: int) -> Response | None:
        settings, now = self._service.settings, self._service.clock.now()
        path, query = (str(request.scope[name], "ascii") for name in ("raw_path", "query_string"))
        if settings.signed_urls:
            expiry = self._service.signer.expiry(f"{path}?{query}")
        elif path != video_path(task.id, index, settings):
            return no_such_file()
        else:
            expiry = task.ends_at + settings.scaled(LIFETIME)
        if expiry is None:
            return storage_error(403, "SignatureDoesNotMatch", "The signature does not match.")
        if now >= expiry:
            return expired_url(settings.expired_url_status)
        stored = task.state(now) is State.COMPLETED and index < task.samples
        if not stored or now < task.ends_at + settings.scaled(settings.file_lag_seconds):
            return no_such_file()
        return None

    def _whole_file(self, task: Task, index: int, body: Body) -> Response:
        settings = self._service.settings
        etag = hashlib.md5(f"{task.id}/{index}/{body.size}".encode(), usedforsecurity=False).hexdigest()
        headers = {
            "Content-Type": settings.file_content_type,
            "Accept-Ranges": "bytes",
            "ETag": f'"{etag}"',
            "Cache-Control": "private, max-age=0",
        }
        response = Response(200, headers, body, 0, body.size)
        if settings.file_encoding != "none":
            headers |= {"Content-Encoding": ENCODINGS[settings.file_encoding], "Accept-Ranges": "none"}
            response.encoding, response.sized = settings.file_encoding, False
        return response


def _apply_range(response: Response, headers: Headers) -> None:
    """Reduce a response to the requested range."""
    size = response.body.size
    requested = _requested_range(headers.get("range", ""), size)
    if requested is None or headers.get("if-range", response.headers["ETag"]) != response.headers["ETag"]:
        return
    start, stop = requested
    if start >= size:
        response.status = 416
        response.headers["Content-Range"] = f"bytes */{size}"
        response.start = response.stop = 0
    else:
        response.status = 206
        response.headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
        response.start, response.stop = start, stop


def _requested_range(header: str, size: int) -> tuple[int, int] | None:
    """Return the requested bytes, or None without a single valid range."""
    match = _RANGE.fullmatch(header.strip())
    if match is None or not (match[1] or match[2]):
        return None
    if not match[1]:
        return max(0, size - int(match[2])), size
    first, last = int(match[1]), int(match[2] or size)
    return (first, min(last + 1, size)) if first <= last or not match[2] else None
