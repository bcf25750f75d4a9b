"""Results of calls on given responses, without a network."""

from __future__ import annotations

import json
from typing import Any

from airflow_provider_veo3.api import flows, protocol
from airflow_provider_veo3.api.protocol import ApiRequest, ApiResponse
from airflow_provider_veo3.api.request import GenerationRequest
from airflow_provider_veo3.api.retries import ONCE
from airflow_provider_veo3.exceptions import Veo3ApiError
from tests.support.samples import BASE, ID

NOW = 1_700_000_000.0
STATUS = protocol.status(ID)
POST = protocol.submission(GenerationRequest("text-to-video", "a dragon"), {})


def response(status: int, body: object = None, headers: dict[str, str] | None = None) -> ApiResponse:
    """Return a response with a JSON body, or with raw bytes."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return ApiResponse(status, headers or {}, data, NOW)


def error_of(
    request: ApiRequest, status: int, body: object, headers: dict[str, str] | None = None
) -> Veo3ApiError:
    """Return the error of a response that must be one."""
    error = protocol.error_of(request, response(status, body, headers))
    assert error is not None
    return error


def end_of(flow: flows.Flow[Any], outcome: protocol.Outcome) -> Any:
    """Return the result, or the error, of a call that gets a single outcome."""
    next(flow)
    try:
        step = flow.send(outcome)
    except StopIteration as done:
        return done.value
    except Veo3ApiError as error:
        return error
    raise AssertionError(f"the call continues: {step}")


def every_call() -> dict[str, flows.Flow[Any]]:
    """Return one flow of each call, without retries."""
    return {
        "submit": flows.submit(GenerationRequest("text-to-video", "a dragon"), BASE, {}, ONCE),
        "get_generation": flows.get_generation(ID, BASE, ONCE),
        "get_videos": flows.get_videos(ID, BASE, ONCE),
        "get_history_page": flows.get_history_page(100, 0, None, BASE, ONCE),
        "list_models": flows.list_models(ONCE),
    }
