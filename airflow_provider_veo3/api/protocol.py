"""The VEO3 protocol as data: endpoints become requests, answers become errors. No I/O, no clock."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final, Literal
from urllib.parse import quote

from airflow_provider_veo3 import exceptions as errors
from airflow_provider_veo3.api.json_values import read_count, read_detail, read_error
from airflow_provider_veo3.api.redact import redact_text
from airflow_provider_veo3.api.request import IMAGE_ROLES, GenerationRequest, check_generation_id
from airflow_provider_veo3.api.retry_after import http_time, retry_after

HISTORY_PAGE_LIMIT: Final = 100
"""Most generations the API lists on a page."""


@dataclass(frozen=True)
class File:
    """One file of a multipart form."""

    name: str
    data: bytes = field(repr=False)
    mime_type: str


@dataclass(frozen=True)
class ApiRequest:
    """A request to the API, before it has a host or a key."""

    endpoint: str
    """Name of the endpoint, for messages and metrics."""
    method: Literal["GET", "POST"]
    path: str
    subject: str = ""
    """The generation it is about; empty for the others."""
    query: Mapping[str, str] = field(default_factory=dict)
    json: Mapping[str, Any] | None = None
    form: Mapping[str, str] | None = None
    files: tuple[tuple[str, File], ...] | None = None
    """Form fields and their files; both files of first-last-frame may go into one field."""

    @property
    def spends(self) -> bool:
        """Whether its acceptance costs credits, so that it must not be repeated blindly."""
        return self.method == "POST"


@dataclass(frozen=True)
class ApiResponse:
    """An answer, whatever HTTP library read it."""

    status: int
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes
    received_at: float
    """Unix seconds, for hints that name a time."""

    @property
    def clock_skew(self) -> float | None:
        """Seconds by which the API's clock is ahead of ours, to a second; ``None`` when it tells no time."""
        told = http_time(self.headers.get("date"))
        return None if told is None else told - self.received_at

    def json(self) -> Any:
        """Return the decoded body, ``None`` when it is no JSON."""
        try:
            return json.loads(self.body.decode("utf-8-sig"))
        except (ValueError, RecursionError):
            return None

    def json_object(self) -> Mapping[str, Any]:
        """Return the decoded body, empty when it is no JSON object."""
        body = self.json()
        return body if isinstance(body, Mapping) else {}


@dataclass(frozen=True)
class NoAnswer:
    """A request that got no answer."""

    reason: str
    sent: bool
    """Whether the API may have received it."""


Outcome = ApiResponse | NoAnswer


def submission(request: GenerationRequest, file_fields: Mapping[str, str]) -> ApiRequest:
    """Return the POST that asks for a generation, and spends credits when it is accepted.

    :param file_fields: name of the form field by image role, where it is not the role itself.
    """
    path = f"/api/veo/{request.type}"
    options = request.wire_options()
    if not IMAGE_ROLES[request.type]:
        return ApiRequest(request.type, "POST", path, json=options)
    return ApiRequest(
        request.type,
        "POST",
        path,
        form={name: _form_text(value) for name, value in options.items()},
        files=tuple(
            (file_fields.get(image.field, image.field), File(image.file_name, image.data, image.mime_type))
            for image in request.images
        ),
    )


def status(generation_id: str) -> ApiRequest:
    """Return the request for one generation."""
    return _about("status", generation_id)


def download(generation_id: str) -> ApiRequest:
    """Return the request for the links to a generation's files."""
    return _about("download", generation_id)


def history(limit: int, skip: int, status: str | None) -> ApiRequest:
    """Return the request for one page of the account's generations."""
    query = {"limit": str(limit), "skip": str(skip)}
    if status is not None:
        query["status"] = status
    return ApiRequest("history", "GET", "/api/veo/history", query=query)


def models() -> ApiRequest:
    """Return the request for the models and their prices, the cheapest that needs a key."""
    return ApiRequest("models", "GET", "/api/veo/models")


def _about(endpoint: str, generation_id: str) -> ApiRequest:
    subject = check_generation_id(generation_id)
    return ApiRequest(endpoint, "GET", f"/api/veo/{endpoint}/{quote(subject, safe='')}", subject)


def _form_text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def error_of(request: ApiRequest, outcome: Outcome) -> errors.Veo3ApiError | None:
    """Return what went wrong, ``None`` for a JSON object. The HTTP status decides, then the vendor's code."""
    call = _call_name(request)
    if isinstance(outcome, NoAnswer):
        told = _spent_unknown(request) if outcome.sent else "It was never sent; no credits were spent."
        return errors.Veo3NoAnswerError(
            f"{call}: no answer from the VEO3 API ({outcome.reason}). {told}", sent=outcome.sent
        )
    body = outcome.json_object()
    if 200 <= outcome.status < 300:  # noqa: PLR2004 - HTTP
        return None if body else unreadable(request, outcome, "it is no JSON object")
    code, message = read_error(body)
    code = redact_text(code) if code else None
    said = " ".join(filter(None, (str(outcome.status), code, redact_text(message) if message else None)))
    details = {
        "status": outcome.status,
        "code": code,
        "body": _shown_body(outcome),
        "retry_after": retry_after(outcome.status, outcome.headers, body, outcome.received_at),
    }
    return _refusal(request, f"{call}: the VEO3 API answered {said}.", outcome.status, body, details)


def tells_of_failure(request: ApiRequest, response: ApiResponse) -> bool:
    """Whether the answer to how a generation stands is an error that says that it failed.

    The errors page has a code for that, beside a 5xx and the refund, whose name is not legible.
    """
    code, _ = read_error(response.json_object())
    return (
        request.endpoint == "status"
        and response.status >= HTTPStatus.INTERNAL_SERVER_ERROR
        and _is_failure(code)
    )


def _is_failure(code: str | None) -> bool:
    return code is not None and code.upper().endswith("GENERATION_FAILED")


def unreadable(request: ApiRequest, response: ApiResponse, what: str) -> errors.Veo3UnreadableAnswerError:
    """Say that an answer which should have been a good one makes no sense."""
    return errors.Veo3UnreadableAnswerError(
        f"{_call_name(request)}: the VEO3 API's answer ({response.status}) cannot be used: {what}. "
        f"{_spent_unknown(request)}",
        status=response.status,
        body=_shown_body(response),
        accepted=request.spends and _says_accepted(response),
    )


def _says_accepted(response: ApiResponse) -> bool:
    success = response.json_object().get("success")
    return success is True or (response.status == HTTPStatus.ACCEPTED and success is not False)


def _call_name(request: ApiRequest) -> str:
    about = f" about generation {request.subject}" if request.subject else ""
    return f"{request.method} {request.endpoint}{about}"


def _shown_body(response: ApiResponse) -> str:
    return redact_text(response.body[:2000].decode("utf-8", "replace"))


def _refusal(
    request: ApiRequest, sentence: str, status: int, body: Mapping[str, Any], details: dict[str, Any]
) -> errors.Veo3ApiError:
    code = details["code"]
    unspent = f"{sentence} No credits were spent." if request.spends else sentence
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return errors.Veo3RateLimitError(f"{unspent} Try again later.", **details)
    if code == "NO_VIDEOS" or (request.endpoint == "download" and _is_failure(code)):
        hint = "It failed, or the vendor's filter may have dropped them."
        return errors.Veo3NoVideosError(f"{sentence} {hint}", **details)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status == HTTPStatus.REQUEST_TIMEOUT:
        return errors.Veo3ServerError(f"{sentence} {_spent_unknown(request)}", **details)
    if _is_from_between(request, status, body):
        hint = _REDIRECT if status < HTTPStatus.BAD_REQUEST else "It does not seem to come from it."
        return errors.Veo3UnreadableAnswerError(f"{sentence} {hint}", **details)
    if status == HTTPStatus.PAYMENT_REQUIRED:
        details |= _credits(body)
        known = None not in (details["required"], details["available"])
        needs = "It needs {required} credits and the account has {available}. " if known else ""
        needs = needs.format_map(details)
        hint = "Buy credits, or choose a cheaper model or no audio."
        return errors.Veo3InsufficientCreditsError(f"{unspent} {needs}{hint}", **details)
    if code == "CONTENT_POLICY_VIOLATION":
        return errors.Veo3ContentPolicyError(f"{unspent} Change the prompt or image.", **details)
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        hint = "Check the API key: the password of the Airflow connection."
        return errors.Veo3AuthenticationError(f"{unspent} {hint}", **details)
    if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return errors.Veo3FileTooLargeError(f"{unspent} Send a smaller image.", **details)
    if code == "VIDEO_NOT_READY":
        return errors.Veo3VideoNotReadyError(f"{sentence} Wait for the generation first.", **details)
    if status == HTTPStatus.NOT_FOUND and request.subject:
        hint = (
            "Check the id, and that the connection is of the account that submitted it. "
            "What is too old the vendor no longer knows."
        )
        return errors.Veo3GenerationNotFoundError(f"{sentence} {hint}", **details)
    if status < HTTPStatus.BAD_REQUEST:
        return errors.Veo3BadRequestError(f"{unspent} {_REDIRECT}", **details)
    return errors.Veo3BadRequestError(f"{unspent}{_field(body)}{_model(request, code)}", **details)


_REDIRECT: Final = "Redirects are not followed, so that the key stays here: check the connection's host."


def _is_from_between(request: ApiRequest, status: int, body: Mapping[str, Any]) -> bool:
    """Whether a question was answered by a firewall, a gateway or a page of maintenance, which will pass.

    These answer in JSON too, but not in an envelope of the API, which documents no redirect and no 403.
    """
    foreign = body.keys().isdisjoint(("error", "success", "code"))
    lost = status == HTTPStatus.NOT_FOUND and bool(request.subject)
    may_be = lost or status == HTTPStatus.FORBIDDEN or status < HTTPStatus.BAD_REQUEST
    return foreign and may_be and not request.spends


def _credits(body: Mapping[str, Any]) -> dict[str, int | None]:
    """Read the two numbers of a 402, wherever the envelope has them."""
    return {name: read_count(read_detail(body, name)) for name in ("required", "available")}


def _field(body: Mapping[str, Any]) -> str:
    name = body.get("field")
    value = body.get("value")
    return f" The field is {redact_text(f'{name}={value!r}')}." if isinstance(name, str) else ""


def _model(request: ApiRequest, code: str | None) -> str:
    """Name the model that the API does not take, which its answer need not do."""
    name = (request.json or request.form or {}).get("model")
    if code != "INVALID_MODEL" or name is None:
        return ""
    return f" The model is {redact_text(repr(name))}; Veo3Hook.list_models tells which there are."


def _spent_unknown(request: ApiRequest) -> str:
    if request.spends:
        return "It may have been accepted and charged: look in the history before submitting again."
    return "No credits were spent by asking."
