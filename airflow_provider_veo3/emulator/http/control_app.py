"""The control API: what tests and people use to steer the emulator and to look into it."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute, Mount, Route

from airflow_provider_veo3.emulator.http.intake import no_constant

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from airflow_provider_veo3.emulator.controls import Controls

PREFIX = "/__emulator__"
PATHS = {
    f"{PREFIX}/": {"GET": "this list"},
    f"{PREFIX}/health": {"GET": "where the emulator listens"},
    f"{PREFIX}/ledger": {"GET": "tasks, credits, requests, and keys that the file host was sent"},
    f"{PREFIX}/faults": {
        "GET": "the faults in force, with how often each has met a request",
        "POST": 'put one in force, such as {"kind": "status", "status": 503, "endpoint": "history"}',
        "DELETE": "lift all",
    },
    f"{PREFIX}/settings": {
        "GET": "the options in force",
        "POST": 'change some, such as {"queue_limit": null, "processing_seconds": 5}',
    },
    f"{PREFIX}/keys": {"POST": 'add a key or change one: {"key": "veo3_new", "credits": 500}'},
    f"{PREFIX}/tasks/{{task_id}}": {
        "POST": 'decide its fate: {"outcome": "fail", "error": "why"}; or "complete", or "lose"'
    },
    f"{PREFIX}/advance": {"POST": 'let time pass at once: {"seconds": 86400}'},
    f"{PREFIX}/reset": {"POST": "forget tasks, faults, keys and requests; the clock stays"},
}
"""What there is, for people who open the control API in a browser."""
Handler = Callable[["Request"], Awaitable["Response"]]


def control_routes(controls: Controls) -> list[BaseRoute]:
    """The control API; no key is asked for, since the emulator listens on loopback only."""

    async def health(_: Request) -> Any:
        return {"status": "ok", "base_url": controls.base_url, "files_url": controls.files_url}

    async def ledger(_: Request) -> Any:
        return controls.ledger()

    async def reset(_: Request) -> Any:
        controls.reset()
        return {}

    async def faults(request: Request) -> Any:
        if request.method == "POST":
            return {"id": controls.inject(await _object(request))}
        if request.method == "DELETE":
            controls.clear_faults()
        return {"faults": controls.faults()}

    async def settings(request: Request) -> Any:
        if request.method == "POST":
            controls.configure(**await _object(request))
        return controls.shown_settings()

    async def keys(request: Request) -> Any:
        fields = await _object(request)
        unknown = fields.keys() - {"key", "credits", "disabled", "account"}
        if unknown:
            raise ValueError(f"{min(unknown)}: no such field; known are key, credits, disabled, account")
        return controls.add_key(
            _field(fields, "key", str),
            credits=_field(fields, "credits", int, None),
            disabled=_field(fields, "disabled", bool, None),
            account=_field(fields, "account", str, None),
        )

    async def tasks(request: Request) -> Any:
        fields = await _object(request)
        outcome, error = _field(fields, "outcome", str), _field(fields, "error", str, None)
        return controls.force(request.path_params["task_id"], outcome, error)

    async def advance(request: Request) -> Any:
        return {"now": controls.advance(_field(await _object(request), "seconds", float))}

    async def index(_: Request) -> Any:
        return {"paths": PATHS}

    handlers = {
        "/": index,
        "/health": health,
        "/ledger": ledger,
        "/faults": faults,
        "/settings": settings,
        "/keys": keys,
        "/tasks/{task_id}": tasks,
        "/advance": advance,
        "/reset": reset,
    }
    routes = [
        Route(path, _json(handler), methods=list(PATHS[PREFIX + path])) for path, handler in handlers.items()
    ]
    return [Route(PREFIX, _json(index)), Mount(PREFIX, routes=routes)]


async def refuse(request: Request, error: Exception) -> Response:
    """Answer a request that no path takes."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    path = request.url.path
    message = f"{request.method} {path}: no such request; GET {PREFIX}/ lists what there is"
    return JSONResponse({"error": message}, status_code=status)


def _json(handler: Callable[[Request], Awaitable[Any]]) -> Handler:
    async def respond(request: Request) -> Response:
        try:
            return JSONResponse(await handler(request))
        except LookupError as error:
            return JSONResponse({"error": str(error)}, status_code=404)
        except ValueError as error:
            return JSONResponse({"error": str(error)}, status_code=400)

    return respond


async def _object(request: Request) -> Mapping[str, Any]:
    try:
        data = json.loads(await request.body(), parse_constant=no_constant)
    except ValueError as error:
        raise ValueError(f"the body must be a JSON object: {error}") from None
    if not isinstance(data, dict):
        raise ValueError("the body must be a JSON object")  # noqa: TRY004 - all refusals are one type
    return data


_REQUIRED = object()


def _field(fields: Mapping[str, Any], name: str, kind: type, default: Any = _REQUIRED) -> Any:
    value = fields.get(name, default)
    if value is _REQUIRED:
        raise ValueError(f"{name}: is missing")
    if value is None and default is None:
        return None
    fits = isinstance(value, int | float) if kind is float else isinstance(value, kind)
    if not fits or (isinstance(value, bool) and kind is not bool):
        raise ValueError(f"{name}={value!r}: must be {kind.__name__}")
    return value
