"""The control API: what tests and people use to steer the emulator and to look into it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

from starlette.responses import JSONResponse
from starlette.routing import Mount, Route

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from airflow_provider_veo3.emulator.controls import Controls

PREFIX = "/__emulator__"
Handler = Callable[["Request"], Awaitable["Response"]]


def control_routes(controls: Controls) -> Mount:
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

    return Mount(
        PREFIX,
        routes=[
            Route("/health", _json(health)),
            Route("/ledger", _json(ledger)),
            Route("/reset", _json(reset), methods=["POST"]),
            Route("/faults", _json(faults), methods=["GET", "POST", "DELETE"]),
            Route("/settings", _json(settings), methods=["GET", "POST"]),
            Route("/keys", _json(keys), methods=["POST"]),
            Route("/tasks/{task_id}", _json(tasks), methods=["POST"]),
            Route("/advance", _json(advance), methods=["POST"]),
        ],
    )


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
    data = await request.json()
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
