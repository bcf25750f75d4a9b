"""The VEO3 protocol as data: requests to the endpoints, responses, and the errors they mean.

Pure: no I/O, no clock.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final, Literal
from urllib.parse import quote

from airflow_provider_veo3 import exceptions as errors
from airflow_provider_veo3.api.json_values import read_count, read_detail, read_error
from airflow_provider_veo3.api.models import CONTENT_POLICY
from airflow_provider_veo3.api.redact import redact_text
from airflow_provider_veo3.api.request import IMAGE_ROLES, GenerationRequest, check_generation_id
from airflow_provider_veo3.api.retry_after import parse_http_date, retry_after

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

    @property
    def clock_skew(self) -> float | None:
        """Return the whole seconds by which the API's clock is ahead; ``None`` without a date."""
        date = parse_http_date(self.headers.get("date"))
        return None if date is None else date - self.received_at

    def json(self) -> Any:
        """Return the decoded body; ``None`` when it is not JSON."""
        try:
            return json.loads(self.body.decode("utf-8-sig"))
        except (ValueError, RecursionError):
            return None

    def json_object(self) -> Mapping[str, Any]:
        """Return the decoded body; empty when it is not a JSON object."""
        body = self.json()
        return body if isinstance(body, Mapping) else {}


@dataclass(frozen=True)
class NoResponse:
    """Outcome of a request without a response."""

    reason: str
    sent: bool
    """Whether the API may have received the request."""


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
    return ApiRequest(endpoint, "GET", f"/api/veo/{endpoint}/{quote(checked, safe='')}", checked)


def _form_text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def error_of(request: ApiRequest, outcome: Outcome) -> errors.Veo3ApiError | None:
    """Return the error of an outcome; ``None`` for a 2xx response with a JSON object.

    The HTTP status decides first, the vendor's code second.
    """
    if isinstance(outcome, NoResponse):
        return _no_response_error(request, outcome)
    body = outcome.json_object()
    if 200 <= outcome.status < 300:  # noqa: PLR2004 - HTTP
        return None if body else unusable_response_error(request, outcome, "it is not a JSON object")
    code, message = read_error(body)
    refusal = _Refusal(request, outcome.status, redact_text(code) if code else None, body)
    rule = next(rule for rule in _RULES if rule.applies(refusal))
    returned = " ".join(filter(None, (str(outcome.status), refusal.code)))
    if message:
        returned = f"{returned}: {redact_text(message)}"
    sentences = (
        f"{_call_name(request)}: the VEO3 API returned {_with_period(returned)}",
        _credits_sentence(request, was_refused=issubclass(rule.error, NOT_ACCEPTED)),
        rule.next_step if isinstance(rule.next_step, str) else rule.next_step(refusal),
    )
    return rule.error(
        " ".join(filter(None, sentences)),
        status=outcome.status,
        code=refusal.code,
        body=_shown_body(outcome),
        retry_after=retry_after(outcome.status, outcome.headers, body, outcome.received_at),
        **rule.details(refusal),
    )


NOT_ACCEPTED: Final = (errors.Veo3RateLimitError, errors.Veo3PermanentApiError)
"""Errors after which a submission was certainly not accepted."""


def reports_failed_generation(request: ApiRequest, response: ApiResponse) -> bool:
    """Return whether an error response to a status request reports that the generation failed.

    The vendor's page of errors has a code for that, with a 5xx and a refund; its name is not legible.
    """
    code, _ = read_error(response.json_object())
    return (
        request.endpoint == "status"
        and response.status >= HTTPStatus.INTERNAL_SERVER_ERROR
        and _is_failed_generation(code)
    )


def _is_failed_generation(code: str | None) -> bool:
    return code is not None and code.upper().endswith("GENERATION_FAILED")


def unusable_response_error(
    request: ApiRequest, response: ApiResponse, reason: str
) -> errors.Veo3UnreadableAnswerError:
    """Return the error for a successful response with unusable content.

    :param reason: clause about the response, such as ``it has no status``.
    """
    next_step = "" if request.spends_credits else " Try again later, or check the connection's host."
    return errors.Veo3UnreadableAnswerError(
        f"{_call_name(request)}: the VEO3 API's response ({response.status}) cannot be used: {reason}. "
        f"{_credits_sentence(request)}{next_step}",
        status=response.status,
        body=_shown_body(response),
        accepted=request.spends_credits and _confirms_acceptance(response),
    )


def _confirms_acceptance(response: ApiResponse) -> bool:
    success = response.json_object().get("success")
    return success is True or (response.status == HTTPStatus.ACCEPTED and success is not False)


def _no_response_error(request: ApiRequest, outcome: NoResponse) -> errors.Veo3NoAnswerError:
    if not outcome.sent:
        consequence = (
            "The request was never sent; no credits were spent. Check the connection's host and the network."
        )
    elif request.spends_credits:
        consequence = _credits_sentence(request)
    else:
        consequence = f"{_credits_sentence(request)} Try again later."
    return errors.Veo3NoAnswerError(
        f"{_call_name(request)}: no response from the VEO3 API ({outcome.reason}). {consequence}",
        sent=outcome.sent,
    )


def _credits_sentence(request: ApiRequest, *, was_refused: bool = False) -> str:
    """Return whether credits were spent, and for a doubtful submission the next step."""
    if not request.spends_credits:
        return "No credits were spent by this request."
    if was_refused:
        return "No credits were spent."
    return "The submission may have been accepted and charged: check the history before submitting again."


def _call_name(request: ApiRequest) -> str:
    subject = f" of generation {request.generation_id}" if request.generation_id else ""
    return f"{request.method} {request.endpoint}{subject}"


def _shown_body(response: ApiResponse) -> str:
    return redact_text(response.body[:2000].decode("utf-8", "replace"))


def _with_period(text: str) -> str:
    return text if text.endswith(".") else f"{text}."


@dataclass(frozen=True)
class _Refusal:
    """An HTTP error response, as the table of rules reads it."""

    request: ApiRequest
    status: int
    code: str | None
    body: Mapping[str, Any]

    @property
    def is_from_gateway(self) -> bool:
        """Return whether a firewall, a gateway or a maintenance page responded, which will pass.

        They respond in JSON too, but not in an envelope of the API, which documents no redirect and no 403.
        """
        foreign = self.body.keys().isdisjoint(("error", "success", "code"))
        no_such_generation = self.status == HTTPStatus.NOT_FOUND and bool(self.request.generation_id)
        possible = no_such_generation or self.is_redirect or self.status == HTTPStatus.FORBIDDEN
        return foreign and possible and not self.request.spends_credits

    @property
    def is_redirect(self) -> bool:
        return self.status < HTTPStatus.BAD_REQUEST

    @property
    def has_no_files(self) -> bool:
        failed_download = self.request.endpoint == "download" and _is_failed_generation(self.code)
        return self.code == "NO_VIDEOS" or failed_download

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
        sentences.append(f"The field is {redact_text(f'{field_name}={value!r}')}.")
    if refusal.code == "INVALID_MODEL" and model is not None:  # which the response need not name
        sentences.append(f"The model is {redact_text(repr(model))}; Veo3Hook.list_models lists the models.")
    return " ".join([*sentences, "Correct the request."])


_CHECK_REDIRECT: Final = "Redirects are not followed, to protect the key: check the connection's host."


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
        "Try again later.",
    ),
    _Rule(
        lambda refusal: refusal.has_no_files,
        errors.Veo3NoVideosError,
        "The generation failed, or the vendor's filter dropped its files: check its status.",
    ),
    _Rule(
        lambda refusal: (
            refusal.status >= HTTPStatus.INTERNAL_SERVER_ERROR or refusal.status == HTTPStatus.REQUEST_TIMEOUT
        ),
        errors.Veo3ServerError,
        lambda refusal: "" if refusal.request.spends_credits else "Try again later.",
    ),
    _Rule(
        lambda refusal: refusal.is_from_gateway and refusal.is_redirect,
        errors.Veo3UnreadableAnswerError,
        _CHECK_REDIRECT,
    ),
    _Rule(
        lambda refusal: refusal.is_from_gateway,
        errors.Veo3UnreadableAnswerError,
        "The response does not seem to come from the API: try again later, or check the connection's host.",
    ),
    _Rule(
        lambda refusal: refusal.status == HTTPStatus.PAYMENT_REQUIRED,
        errors.Veo3InsufficientCreditsError,
        _buy_credits,
        _Refusal.credit_numbers,
    ),
    _Rule(
        lambda refusal: refusal.code == CONTENT_POLICY,
        errors.Veo3ContentPolicyError,
        "Change the prompt or image.",
    ),
    _Rule(
        lambda refusal: refusal.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN),
        errors.Veo3AuthenticationError,
        "Check the API key: the password of the Airflow connection.",
    ),
    _Rule(
        lambda refusal: refusal.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        errors.Veo3FileTooLargeError,
        "Send a smaller image.",
    ),
    _Rule(
        lambda refusal: refusal.code == "VIDEO_NOT_READY",
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
"""Meaning of every HTTP error, read from the top."""
