"""The VEO3 protocol as data: requests to the endpoints, responses, and the errors they mean.

Pure: no I/O, no clock.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from http import HTTPStatus
from typing import Any, Final, Literal
from urllib.parse import quote

from airflow_provider_veo3 import exceptions as errors
from airflow_provider_veo3.api.json_values import (
    decode_json,
    is_error_code,
    read_count,
    read_detail,
    read_error,
)
from airflow_provider_veo3.api.models import CONTENT_POLICY
from airflow_provider_veo3.api.redact import redact_text
from airflow_provider_veo3.api.request import IMAGE_ROLES, GenerationRequest, check_generation_id
from airflow_provider_veo3.api.retry_after import parse_http_date, retry_after
from airflow_provider_veo3.exceptions import sentence, shown, shown_text

HISTORY_PAGE_LIMIT: Final = 100
"""Most generations on a page of the history."""


@dataclass(frozen=True)
class File:
    """A file of a multipart form."""

    name: str
    data: bytes = field(repr=False)
    mime_type: str


@dataclass(frozen=True)
class ApiRequest:
    """A request to the API, without a host or a key."""

    endpoint: str
    """Name of the endpoint, for messages and metrics."""
    method: Literal["GET", "POST"]
    path: str
    generation_id: str = ""
    """Id of the requested generation; empty where the endpoint takes none."""
    query: Mapping[str, str] = field(default_factory=dict)
    json: Mapping[str, Any] | None = None
    form: Mapping[str, str] | None = None
    files: tuple[tuple[str, File], ...] | None = None
    """Form fields and their files; both files of first-last-frame may go into one field."""

    @property
    def spends_credits(self) -> bool:
        """Return whether the acceptance costs credits, so that a blind repetition may pay twice."""
        return self.method == "POST"


@dataclass(frozen=True)
class ApiResponse:
    """A response of the API, from any HTTP library."""

    status: int
    headers: Mapping[str, str]
    """Headers by name in lower case."""
    body: bytes
    received_at: float
    """Unix seconds, for hints that name a time."""
    flaw: str = ""
    """Clause about why the body cannot be read; empty for a body that is whole."""
    key_source: str = "the password of the Airflow connection"
    """Place that the API key comes from, for messages."""

    @property
    def is_success(self) -> bool:
        """Return whether the HTTP status is one of success."""
        return 200 <= self.status < 300  # noqa: PLR2004 - HTTP

    @property
    def clock_skew(self) -> float | None:
        """Return the whole seconds by which the API's clock is ahead; ``None`` without a date."""
        date = parse_http_date(self.headers.get("date"))
        return None if date is None else date - self.received_at

    def json_object(self) -> Mapping[str, Any]:
        """Return the decoded body; empty when it is not a JSON object."""
        return self._decoded

    @cached_property
    def _decoded(self) -> Mapping[str, Any]:
        try:
            body = None if self.flaw else decode_json(self.body, HISTORY_PAGE_LIMIT)
        except (ValueError, RecursionError):
            body = None
        return body if isinstance(body, Mapping) else {}


@dataclass(frozen=True)
class NoResponse:
    """Outcome of a request without a response."""

    reason: str
    sent: bool
    """Whether the API may have received the request."""
    advice: str = ""
    """Next step where a setting of the environment is the cause; empty for any other cause."""


Outcome = ApiResponse | NoResponse


def submission(request: GenerationRequest, file_fields: Mapping[str, str]) -> ApiRequest:
    """Return the POST that submits a generation; its acceptance spends credits.

    :param file_fields: name of the form field by image role, where it differs from the role.
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
    """Return the request for the status of a generation."""
    return _generation_request("status", generation_id)


def download(generation_id: str) -> ApiRequest:
    """Return the request for the links to a generation's files."""
    return _generation_request("download", generation_id)


def history(limit: int, skip: int, status: str | None) -> ApiRequest:
    """Return the request for a page of the account's history."""
    query = {"limit": str(limit), "skip": str(skip)}
    if status is not None:
        query["status"] = status
    return ApiRequest("history", "GET", "/api/veo/history", query=query)


def models() -> ApiRequest:
    """Return the request for the models and prices, the cheapest that needs a key."""
    return ApiRequest("models", "GET", "/api/veo/models")


def _generation_request(endpoint: str, generation_id: str) -> ApiRequest:
    checked = check_generation_id(generation_id)
    segment = quote(checked, safe="")
    if not segment.strip("."):  # which every library takes for a step in the path
        segment = segment.replace(".", "%2E")
    return ApiRequest(endpoint, "GET", f"/api/veo/{endpoint}/{segment}", checked)


def _form_text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def error_of(request: ApiRequest, outcome: Outcome) -> errors.Veo3ApiError | None:
    """Return the error of an outcome; ``None`` for a 2xx response with a JSON object and no refusal in it.

    The HTTP status decides first, the vendor's code second; without either the response is not the API's.
    """
    if isinstance(outcome, NoResponse):
        return _no_response_error(request, outcome)
    if outcome.flaw and outcome.is_success:
        return unusable_response_error(request, outcome, outcome.flaw)
    body = outcome.json_object()
    refusal = _Refusal(request, outcome, body)
    if outcome.is_success and not refusal.is_inside_success:
        return None if body else unusable_response_error(request, outcome, "it is not a JSON object")
    rule = next(rule for rule in _RULES if rule.applies(refusal))
    may_be_accepted = not (issubclass(rule.error, NOT_ACCEPTED) and refusal.is_certain)
    sentences = (
        f"{_call_name(request)}: the VEO3 API returned {sentence(refusal.words)}",
        _credits_sentence(request, was_refused=not may_be_accepted),
        rule.next_step if isinstance(rule.next_step, str) else rule.next_step(refusal),
    )
    return rule.error(
        " ".join(filter(None, sentences)),
        status=outcome.status,
        code=refusal.code,
        body=_shown_body(outcome),
        retry_after=retry_after(refusal.status, outcome.headers, body, outcome.received_at),
        may_be_accepted=may_be_accepted,
        **rule.details(refusal),
    )


DOUBT: Final = "The submission may have been accepted and charged: check the history before submitting again."
"""Sentence of an error after which it is not known whether a submission was accepted."""

NOT_ACCEPTED: Final = (errors.Veo3RateLimitError, errors.Veo3PermanentApiError)
"""Errors after which a submission was not accepted, unless they say that it may have been."""

CODES: Final = {
    "INVALID_PROMPT": HTTPStatus.BAD_REQUEST,
    "INVALID_MODEL": HTTPStatus.BAD_REQUEST,
    "VALIDATION_ERROR": HTTPStatus.BAD_REQUEST,
    "MISSING_IMAGE": HTTPStatus.BAD_REQUEST,
    "INVALID_IMAGE_TYPE": HTTPStatus.BAD_REQUEST,
    "VIDEO_NOT_READY": HTTPStatus.BAD_REQUEST,
    CONTENT_POLICY: HTTPStatus.BAD_REQUEST,
    "INVALID_API_KEY": HTTPStatus.UNAUTHORIZED,
    "UNAUTHORIZED": HTTPStatus.UNAUTHORIZED,
    "INSUFFICIENT_CREDITS": HTTPStatus.PAYMENT_REQUIRED,
    "TASK_NOT_FOUND": HTTPStatus.NOT_FOUND,
    "NO_VIDEOS": HTTPStatus.NOT_FOUND,
    "FILE_TOO_LARGE": HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    "RATE_LIMIT_EXCEEDED": HTTPStatus.TOO_MANY_REQUESTS,
}
"""Codes that the vendor documents, and the HTTP status of each."""

_ABOUT_GENERATION: Final = frozenset({"VIDEO_NOT_READY", "TASK_NOT_FOUND", "NO_VIDEOS"})
"""Codes about a generation: no refusal of a submission, whose generation the API may be about to list."""

_DOCUMENTED_STATUSES: Final = frozenset(CODES.values())

_GENERATION_FAILED: Final = "GENERATION_FAILED"
"""End of the code for a failed generation.

The vendor's page of errors has one, with a 5xx and a refund; its name is not legible.
"""


def reports_failed_generation(request: ApiRequest, response: ApiResponse) -> bool:
    """Return whether an error response to a status request reports that the generation failed."""
    body = response.json_object()
    reports = request.endpoint == "status" and _is_failed_generation(read_error(body)[0])
    return reports and not (response.is_success and _describes_generation(body))


def _is_failed_generation(code: str | None) -> bool:
    return code is not None and code.upper().endswith(_GENERATION_FAILED)


def _describes_generation(body: Mapping[str, Any]) -> bool:
    """Return whether a body is about a generation: it has its id and its status."""
    return bool(raw_generation_id(body)) and isinstance(body.get("status"), str)


def raw_generation_id(body: Mapping[str, Any]) -> object:
    """Return the unchecked value of the first field that may hold a generation's id."""
    values = (body.get(name) for name in ("taskId", "task_id", "id"))
    return next((value for value in values if value not in (None, "")), None)


def unusable_response_error(
    request: ApiRequest, response: ApiResponse, reason: str
) -> errors.Veo3UnreadableAnswerError:
    """Return the error for a successful response with unusable content.

    :param reason: clause about the response, such as ``it has no status``.
    """
    words = _words(response.json_object())
    next_step = "" if request.spends_credits else " Try again later, or check the connection's host."
    return errors.Veo3UnreadableAnswerError(
        f"{_call_name(request)}: the VEO3 API's response ({response.status}) cannot be used: "
        f"{sentence(f'{reason} ({words})' if words else reason)} {_credits_sentence(request)}{next_step}",
        status=response.status,
        code=_code(response.json_object()),
        body=_shown_body(response),
        accepted=request.spends_credits and _confirms_acceptance(response),
    )


def _code(body: Mapping[str, Any]) -> str | None:
    code, _ = read_error(body)
    return redact_text(code) if code else None


def _words(body: Mapping[str, Any]) -> str:
    """Return the vendor's code and message for an error; empty without one."""
    has_error = body.get("success") is False or body.get("error") is not None
    code, message = read_error(body) if has_error else (None, None)
    return ": ".join(redact_text(each) for each in (code, message) if each)


def _confirms_acceptance(response: ApiResponse) -> bool:
    success = response.json_object().get("success")
    return success is True or (response.status == HTTPStatus.ACCEPTED and success is not False)


def _no_response_error(request: ApiRequest, outcome: NoResponse) -> errors.Veo3ApiError:
    reason = f"{_call_name(request)}: no response from the VEO3 API ({outcome.reason})."
    if outcome.advice and not outcome.sent:
        unsent = "The request was never sent; no credits were spent."
        return errors.Veo3EnvironmentError(f"{reason} {unsent} {outcome.advice}")
    if not outcome.sent:
        consequence = (
            "The request was never sent; no credits were spent. Check the connection's host and the network."
        )
    elif request.spends_credits:
        consequence = _credits_sentence(request)
    else:
        consequence = f"{_credits_sentence(request)} Try again later."
    return errors.Veo3NoAnswerError(f"{reason} {consequence}", sent=outcome.sent)


def _credits_sentence(request: ApiRequest, *, was_refused: bool = False) -> str:
    """Return whether credits were spent, and for a doubtful submission the next step."""
    if not request.spends_credits:
        return "No credits were spent by this request."
    if was_refused:
        return "No credits were spent."
    return DOUBT


def _call_name(request: ApiRequest) -> str:
    subject = f" of generation {shown_text(request.generation_id)}" if request.generation_id else ""
    return f"{request.method} {request.endpoint}{subject}"


def _shown_body(response: ApiResponse) -> str:
    return redact_text(response.body[:2000].decode("utf-8", "replace"))


@dataclass(frozen=True)
class _Refusal:
    """A response that may be an error of the API, for the table of rules."""

    request: ApiRequest
    response: ApiResponse
    body: Mapping[str, Any]

    @cached_property
    def code(self) -> str | None:
        return _code(self.body)

    @property
    def known_code(self) -> str:
        """Return the code if the vendor documents it for the request, in any case; else an empty text."""
        code = (self.code or "").upper()
        is_of_another = self.request.spends_credits and code in _ABOUT_GENERATION
        return code if code in CODES and not is_of_another else ""

    @property
    def words(self) -> str:
        """Return the status, and the vendor's code and message."""
        returned = " ".join(filter(None, (str(self.response.status), self.code)))
        message = read_error(self.body)[1]
        return f"{returned}: {redact_text(message)}" if message else returned

    @property
    def status(self) -> int:
        """Return the HTTP status that the API means: a status that it does not document says nothing."""
        status = self.response.status
        decides = status in _DOCUMENTED_STATUSES or status >= HTTPStatus.INTERNAL_SERVER_ERROR
        return status if decides else CODES.get(self.known_code, status)

    @property
    def is_inside_success(self) -> bool:
        """Return whether a 2xx response refuses, by a documented code and not about a generation."""
        about_generation = raw_generation_id(self.body) if self.request.spends_credits else None
        about_generation = about_generation or _describes_generation(self.body)
        known = bool(self.known_code) or _is_failed_generation(self.code)
        return known and self.body.get("success") is not True and not about_generation

    @property
    def is_certain(self) -> bool:
        """Return whether the API itself refused: by a code that it documents, or within its rate limit."""
        is_limit = self.status == HTTPStatus.TOO_MANY_REQUESTS and self.code is not None
        return bool(self.known_code) or (is_limit and self.is_of_the_api)

    @property
    def is_of_the_api(self) -> bool:
        """Return whether the response has an envelope of the API.

        Firewalls, gateways and maintenance pages respond in HTML, or in JSON of their own.
        """
        if self.known_code:
            return True
        error = self.body.get("error")
        if isinstance(error, Mapping):
            return self.code is not None and is_error_code(self.code)
        return self.body.get("success") is False and not {"error", "message"}.isdisjoint(self.body)

    @property
    def is_redirect(self) -> bool:
        return self.status < HTTPStatus.BAD_REQUEST

    @property
    def has_no_files(self) -> bool:
        failed_download = self.request.endpoint == "download" and _is_failed_generation(self.code)
        return self.known_code == "NO_VIDEOS" or failed_download

    def credit_numbers(self) -> dict[str, int | None]:
        """Return the two numbers of a 402, from either envelope."""
        return {name: read_count(read_detail(self.body, name)) for name in ("required", "available")}


def _buy_credits(refusal: _Refusal) -> str:
    required, available = refusal.credit_numbers().values()
    known = required is not None and available is not None
    numbers = f"The generation needs {required} credits and the account has {available}. " if known else ""
    return f"{numbers}Buy credits, or choose a cheaper model or no audio."


def _correct_request(refusal: _Refusal) -> str:
    """Return the refused field and model, as far as known, and the next step."""
    field_name, value = refusal.body.get("field"), refusal.body.get("value")
    model = (refusal.request.json or refusal.request.form or {}).get("model")
    sentences = []
    if isinstance(field_name, str):
        sentences.append(f"The field is {redact_text(f'{shown_text(field_name)}={shown(value)}')}.")
    if refusal.known_code == "INVALID_MODEL" and model is not None:  # which the response need not name
        sentences.append(f"The model is {redact_text(shown(model))}; Veo3Hook.list_models lists the models.")
    return " ".join([*sentences, "Correct the request."])


_CHECK_REDIRECT: Final = "Redirects are not followed, to protect the key: check the connection's host."

_FOREIGN: Final = (
    "The response does not seem to come from the API, but from a gateway, proxy or firewall in between: try "
    "again later, or check the connection's host."
)


@dataclass(frozen=True)
class _Rule:
    """A row of the table of rules.

    :param applies: condition; the first rule that applies decides.
    :param error: class of the error.
    :param next_step: sentence for the user, or a function that returns it.
    :param details: further arguments of the error.
    """

    applies: Callable[[_Refusal], bool]
    error: type[errors.Veo3ApiError]
    next_step: str | Callable[[_Refusal], str]
    details: Callable[[_Refusal], Mapping[str, Any]] = lambda _: {}


_RULES: Final = (
    _Rule(
        lambda refusal: refusal.status == HTTPStatus.TOO_MANY_REQUESTS,
        errors.Veo3RateLimitError,
        lambda refusal: "Try again later." if refusal.is_of_the_api else _FOREIGN,
    ),
    _Rule(
        lambda refusal: refusal.has_no_files,
        errors.Veo3NoVideosError,
        "The generation failed, or the vendor's filter dropped its files: check its status.",
    ),
    _Rule(
        lambda refusal: (
            refusal.status >= HTTPStatus.INTERNAL_SERVER_ERROR
            or refusal.status == HTTPStatus.REQUEST_TIMEOUT
            or _is_failed_generation(refusal.code)
        ),
        errors.Veo3ServerError,
        lambda refusal: "" if refusal.request.spends_credits else "Try again later.",
    ),
    _Rule(
        lambda refusal: refusal.is_redirect and not refusal.is_of_the_api,
        errors.Veo3UnreadableAnswerError,
        _CHECK_REDIRECT,
    ),
    _Rule(
        # of an upload, by a gateway whose limit is lower: a retry meets it again
        lambda refusal: refusal.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE and bool(refusal.request.files),
        errors.Veo3FileTooLargeError,
        "Send a smaller image.",
    ),
    _Rule(lambda refusal: not refusal.is_of_the_api, errors.Veo3UnreadableAnswerError, _FOREIGN),
    _Rule(
        lambda refusal: refusal.status == HTTPStatus.PAYMENT_REQUIRED,
        errors.Veo3InsufficientCreditsError,
        _buy_credits,
        _Refusal.credit_numbers,
    ),
    _Rule(
        lambda refusal: refusal.known_code == CONTENT_POLICY,
        errors.Veo3ContentPolicyError,
        "Change the prompt or image.",
    ),
    _Rule(
        lambda refusal: refusal.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN),
        errors.Veo3AuthenticationError,
        lambda refusal: f"Check the API key: {refusal.response.key_source}.",
    ),
    _Rule(
        lambda refusal: refusal.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        errors.Veo3FileTooLargeError,
        "Send a smaller image.",
    ),
    _Rule(
        lambda refusal: refusal.known_code == "VIDEO_NOT_READY",
        errors.Veo3VideoNotReadyError,
        "Wait until the generation is completed.",
    ),
    _Rule(
        lambda refusal: refusal.status == HTTPStatus.NOT_FOUND and bool(refusal.request.generation_id),
        errors.Veo3GenerationNotFoundError,
        "Check the id, and that the connection is of the account that submitted it. The vendor forgets old "
        "generations.",
    ),
    _Rule(lambda refusal: refusal.is_redirect, errors.Veo3BadRequestError, _CHECK_REDIRECT),
    _Rule(lambda _: True, errors.Veo3BadRequestError, _correct_request),
)
"""Meaning of every error response, read from the top."""
