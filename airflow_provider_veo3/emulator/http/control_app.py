"""The control API: faults, options, keys, tasks and the ledger over HTTP."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import pydantic
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute, Mount, Route

from airflow_provider_veo3.emulator.config.options import STRICT, validated
from airflow_provider_veo3.emulator.http.request_bodies import parse_json_object

if TYPE_CHECKING:
    from starlette.requests import Request

    from airflow_provider_veo3.emulator.service.service import Service

PREFIX = "/__emulator__"
PATHS = {
    f"{PREFIX}/": {"GET": "this list"},
    f"{PREFIX}/health": {"GET": "the addresses of the API and of the file host"},
    f"{PREFIX}/ledger": {
        "GET": "accounts, tasks, credits, requests, and API keys that the file host received"
    },
    f"{PREFIX}/faults": {
        "GET": "the active faults; met counts the requests that met each",
        "POST": 'inject a fault: {"kind": "status", "status": 503, "endpoint": "history"}',
        "DELETE": "remove all faults",
    },
    f"{PREFIX}/settings": {
        "GET": "the options",
        "POST": 'change options: {"queue_limit": null, "processing_seconds": 5}',
    },
    f"{PREFIX}/keys": {"POST": 'add a key or change one: {"key": "veo3_new", "credits": 500}'},
    f"{PREFIX}/tasks/{{task_id}}": {
        "POST": 'decide the outcome of a task: {"outcome": "fail", "error": "why"}; or "complete", or "lose"'
    },
    f"{PREFIX}/history": {
        "POST": "add completed generations of the past to the history: "
        '{"count": 6000, "seconds": 864000, "prompts": ["A dragon"]}'
    },
    f"{PREFIX}/advance": {"POST": 'move the clock forward: {"seconds": 86400}'},
    f"{PREFIX}/reset": {"POST": "delete tasks, faults, keys and requests; the clock stays"},
}
"""Every path with its methods, as the index lists them."""
Handler = Callable[["Request"], Awaitable[Any]]


def control_routes(service: Service, base_url: str, files_url: str) -> list[BaseRoute]:
    """Return the routes of the control API.

    They need no key, since the emulator listens on loopback only.
    """

    async def index(_: Request) -> Any:
        return {"paths": PATHS}

    async def health(_: Request) -> Any:
        return {"status": "ok", "base_url": base_url, "files_url": files_url}

    async def ledger(_: Request) -> Any:
        return service.ledger()

    async def faults(request: Request) -> Any:
        if request.method == "POST":
            return {"id": service.inject(await _object(request))}
        if request.method == "DELETE":
            service.clear_faults()
        return {"faults": service.faults()}

    async def settings(request: Request) -> Any:
        if request.method == "POST":
            service.configure(**await _object(request))
        return service.shown_settings()

    async def keys(request: Request) -> Any:
        return _call(service.add_key, await _object(request))

    async def tasks(request: Request) -> Any:
        force = functools.partial(service.force, request.path_params["task_id"])
        return _call(force, await _object(request))

    async def history(request: Request) -> Any:
        return {"task_ids": _call(service.add_history, await _object(request))}

    async def advance(request: Request) -> Any:
        return {"now": _call(service.advance, await _object(request))}

    async def reset(_: Request) -> Any:
        service.reset()
        return {}

    handlers = {
        "/": index,
        "/health": health,
        "/ledger": ledger,
        "/faults": faults,
        "/settings": settings,
        "/keys": keys,
        "/tasks/{task_id:path}": tasks,
        "/history": history,
        "/advance": advance,
        "/reset": reset,
    }
    routes = [
        Route(path, _json(handler), methods=list(PATHS[PREFIX + path.replace(":path", "")]))
        for path, handler in handlers.items()
    ]
    return [Route(PREFIX, _json(index)), Mount(PREFIX, routes=routes)]


async def refuse(request: Request, error: Exception) -> JSONResponse:
    """Return the error of an unknown path or method."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    message = f"{request.method} {request.url.path}: no such request; GET {PREFIX}/ lists all requests"
    return JSONResponse({"error": message}, status_code=status)


def _json(handler: Handler) -> Callable[[Request], Awaitable[JSONResponse]]:
    async def respond(request: Request) -> JSONResponse:
        try:
            return JSONResponse(await handler(request))
        except LookupError as error:
            return JSONResponse({"error": str(error)}, status_code=404)
        except ValueError as error:
            return JSONResponse({"error": str(error)}, status_code=400)

    return respond


async def _object(request: Request) -> dict[str, Any]:
    try:
        return parse_json_object(await request.body())
    except ValueError as error:
        raise ValueError(f"the body {error}") from None


def _call(control: Callable[..., Any], fields: dict[str, Any]) -> Any:
    """Check the fields of a body, and call a control with them."""
    return validated(pydantic.validate_call(config=STRICT)(control), fields)
