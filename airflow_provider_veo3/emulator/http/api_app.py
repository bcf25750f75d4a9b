"""The seven endpoints of the API."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from starlette.requests import Request
from starlette.routing import Route

from airflow_provider_veo3.emulator.http.exchange import Exchange
from airflow_provider_veo3.emulator.http.json_shapes import (
    API_PREFIX,
    JsonShapes,
    error_body,
    json_id,
    label,
)
from airflow_provider_veo3.emulator.http.request_bodies import read_submission, read_uploads
from airflow_provider_veo3.emulator.http.responses import HTML_TYPE, Response
from airflow_provider_veo3.emulator.http.video_files import start_rendering
from airflow_provider_veo3.emulator.service.catalog import GENERATIONS, TEXT_TO_VIDEO
from airflow_provider_veo3.emulator.service.errors import ApiError, validation_error
from airflow_provider_veo3.emulator.service.faults import READS, TASK
from airflow_provider_veo3.emulator.service.parameters import read_parameters
from airflow_provider_veo3.emulator.service.tasks import State

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from airflow_provider_veo3.emulator.config.settings import Settings
    from airflow_provider_veo3.emulator.service.accounts import Key
    from airflow_provider_veo3.emulator.service.service import Service
    from airflow_provider_veo3.emulator.service.tasks import Failure, Report, Task
    from airflow_provider_veo3.emulator.video.store import VideoStore

_DIGITS = re.compile(r"[0-9]{1,18}")
DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE = 20, 100
Handler = Callable[[Exchange, "Key"], Awaitable[Response]]


class ApiApp:
    """The API as ASGI applications, one per endpoint.

    :param service: the service that accepts the requests.
    :param store: the store that renders the videos.
    :param files_url: origin of the file host.
    """

    def __init__(self, service: Service, store: VideoStore, files_url: str) -> None:
        self._service = service
        self._store = store
        self._shapes = JsonShapes(service, files_url)

    def routes(self) -> list[Route]:
        """Return the routes of the endpoints."""
        endpoints: list[tuple[str, str, Handler]] = [
            *(("POST", kind, self._submit) for kind in GENERATIONS),
            ("GET", "status", self._status),
            ("GET", "download", self._download),
            ("GET", "history", self._history),
            ("GET", "models", self._models),
        ]
        return [
            # The id is read from the path as it was sent: an id may have a slash, percent-encoded.
            Route(
                f"{API_PREFIX}/{name}" + ("/{task_id:path}" if name in READS else ""),
                self._endpoint(method, name, handler),
            )
            for method, name, handler in endpoints
        ]

    def unknown_path(self) -> ASGIApp:
        """Return the application of every other path."""

        async def respond(exchange: Exchange) -> Response:
            exchange.headers = self._service.rate_headers(exchange.secret)
            return self._not_found()

        return _Endpoint(self._service, "unknown", respond)

    def _endpoint(self, method: str, name: str, handler: Handler) -> ASGIApp:
        """Return a handler with the steps that all endpoints share: key, limits, faults and errors."""

        async def respond(exchange: Exchange) -> Response:
            try:
                if exchange.request.method != method or (name in READS and not _id_in_path(exchange)):
                    return self._not_found()
                key = self._service.begin_request(exchange.secret)
                try:
                    self._check_content_type(exchange.request)
                    return exchange.apply_response_fault(await self._handle(handler, exchange, key))
                finally:
                    self._service.end_request(key)
            except ApiError as error:
                exchange.note = error.code
                response = self._error(error)
                if self._service.settings.error_http_status == "200":
                    response.status = 200
                return response
            finally:
                # Also for faults and cut connections: every response has these headers.
                exchange.headers = self._service.rate_headers(exchange.secret)

        return _Endpoint(self._service, name, respond)

    async def _handle(self, handler: Handler, exchange: Exchange, key: Key) -> Response:
        try:
            return await handler(exchange, key)
        except ApiError as error:
            if self._service.settings.error_task_id and exchange.task_id is not None:
                task = self._service.find_any(exchange.task_id)
                error.extra["taskId"] = json_id(task) if task else exchange.task_id
            raise

    def _check_content_type(self, request: Request) -> None:
        if self._service.settings.content_type_required and "content-type" not in request.headers:
            raise validation_error("Content-Type", None, "Content-Type header is required")

    def _error(self, error: ApiError) -> Response:
        response = Response.of_json(error.status, error_body(error, self._service.settings))
        response.headers |= error.headers
        return response

    def _not_found(self) -> Response:
        variant = self._service.settings.unknown_path
        if variant == "html":
            return Response.of_bytes(404, HTML_TYPE, b"<pre>Cannot find this path</pre>")
        if variant == "empty":
            return Response.of_bytes(404, "text/plain", b"")
        return self._error(ApiError(404, "NOT_FOUND", "Endpoint not found"))

    # Submissions.

    async def _submit(self, exchange: Exchange, key: Key) -> Response:
        service, kind, settings = self._service, exchange.endpoint, self._service.settings
        submission = await read_submission(exchange.request, kind, settings)
        fields = submission.fields
        prompt = fields.get("prompt")
        await exchange.apply_request_faults(key.secret, prompt=prompt if isinstance(prompt, str) else None)
        uploads = await read_uploads(submission, kind, settings, self._store)
        parameters = read_parameters(fields, kind, settings, form=kind != TEXT_TO_VIDEO)
        task = exchange.task = service.submit(key, kind, parameters, fields, uploads)
        fault = exchange.take_fault(TASK)
        if fault is not None:
            service.apply_fault(task, fault)
        start_rendering(self._store, task)
        exchange.note = f"−{task.cost} credits ({task.account.credits} left)"  # noqa: RUF001 - a minus sign
        return Response.of_json(202, self._shapes.accepted(task))

    # Reads.

    async def _find_task(self, exchange: Exchange, key: Key) -> tuple[Task, Report]:
        task_id = exchange.task_id = _id_in_path(exchange)
        existing = self._service.find_any(task_id)
        prompt = existing.parameters.prompt if existing else None
        await exchange.apply_request_faults(key.secret, task_id, prompt)
        fault = exchange.take_fault(TASK)
        if fault is not None and existing is not None:
            self._service.apply_fault(existing, fault)
        task = self._service.find(key, task_id)
        return task, task.report(self._service.clock.now())

    async def _status(self, exchange: Exchange, key: Key) -> Response:
        task, report = await self._find_task(exchange, key)
        settings = self._service.settings
        if report.failure and settings.failed_status != 200:  # noqa: PLR2004 - an HTTP status
            raise _generation_failed(settings.failed_status, report.failure)
        exchange.note = label(report.state, settings)
        return Response.of_json(200, self._shapes.status(task))

    async def _download(self, exchange: Exchange, key: Key) -> Response:
        task, report = await self._find_task(exchange, key)
        if report.failure:
            raise _failed_download(report.failure, self._service.settings.failed_download)
        if report.state is not State.COMPLETED:
            raise _not_ready()
        if not task.samples or self._shapes.hides_videos(task):
            raise _no_videos()
        exchange.note = f"{task.samples} video" + ("s" if task.samples > 1 else "")
        return Response.of_json(200, self._shapes.download(task))

    async def _history(self, exchange: Exchange, key: Key) -> Response:
        await exchange.apply_request_faults(key.secret)
        settings, now = self._service.settings, self._service.clock.now()
        query = exchange.request.query_params
        limit = min(_number(query.get("limit"), "limit", DEFAULT_PAGE_SIZE, minimum=1), MAX_PAGE_SIZE)
        skip = _number(query.get("skip"), "skip", 0, minimum=0)
        tasks = self._service.history(key)
        if "status" in query:
            state = _state(query["status"], settings)
            tasks = [task for task in tasks if task.report(now).state is state]
        first = 0 if settings.history_skip_ignored else skip
        page = tasks[first : first + min(limit, settings.history_page_limit or limit)]
        pagination: dict[str, Any] = {"total": len(tasks)} if settings.history_total else {}
        pagination |= {"limit": limit, "skip": skip}
        if settings.history_has_more:
            right = first + len(page) < len(tasks)
            pagination["hasMore"] = {"right": right, "false": False, "true": True}[
                settings.history_has_more_value
            ]
        exchange.note = f"{len(page)} of {len(tasks)}"
        entries = [self._shapes.history_entry(task) for task in page]
        return Response.of_json(200, {"success": True, "videos": entries, "pagination": pagination})

    async def _models(self, exchange: Exchange, key: Key) -> Response:
        await exchange.apply_request_faults(key.secret)
        return Response.of_json(200, self._shapes.models())


class _Endpoint:
    """An endpoint as an ASGI application."""

    def __init__(
        self, service: Service, name: str, respond: Callable[[Exchange], Awaitable[Response]]
    ) -> None:
        self._service = service
        self._name = name
        self._respond = respond

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange = Exchange(self._service, Request(scope, receive), self._name)
        await exchange.respond(self._respond, send)


def _id_in_path(exchange: Exchange) -> str:
    """Return the task id of a path, or an empty text for another path."""
    prefix = f"{API_PREFIX}/{exchange.endpoint}/"
    raw = str(exchange.request.scope["raw_path"], "ascii")
    segment = raw.removeprefix(prefix)
    return unquote(segment) if raw.startswith(prefix) and "/" not in segment else ""


def _not_ready() -> ApiError:
    return ApiError(400, "VIDEO_NOT_READY", "Video is not ready yet")


def _no_videos() -> ApiError:
    return ApiError(404, "NO_VIDEOS", "No videos for this task")


def _generation_failed(status: int, failure: Failure) -> ApiError:
    return ApiError(status, "GENERATION_FAILED", failure.message)


def _failed_download(failure: Failure, code: str) -> ApiError:
    if code == "GENERATION_FAILED":
        return _generation_failed(500, failure)
    return _no_videos() if code == "NO_VIDEOS" else _not_ready()


def _number(text: str | None, name: str, default: int, *, minimum: int) -> int:
    if text is None:
        return default
    if not _DIGITS.fullmatch(text) or int(text) < minimum:
        raise validation_error(name, text, f"{name} must be an integer, at least {minimum}")
    return int(text)


def _state(status: str, settings: Settings) -> State:
    """Return the state of a status filter, in the plain or in the configured spelling."""
    for state in State:
        if status.lower() in (state.name.lower(), label(state, settings).lower()):
            return state
    raise validation_error("status", status, "status must be pending, processing, completed or failed")
