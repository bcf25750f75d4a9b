"""The error of every documented refusal, in both envelopes, without secrets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from airflow.exceptions import AirflowException

from airflow_provider_veo3 import exceptions as errors
from airflow_provider_veo3.airflow_names import AirflowFailException
from airflow_provider_veo3.api import flows, protocol
from airflow_provider_veo3.api.models import Status
from airflow_provider_veo3.api.protocol import NoResponse
from airflow_provider_veo3.api.request import GenerationRequest
from airflow_provider_veo3.api.retries import (
    ONCE,
    is_transient,
    may_repeat,
    was_accepted,
    was_not_accepted,
)
from tests.support import samples
from tests.support.judge import POST, STATUS, end_of, error_of, every_call, response
from tests.support.samples import BASE, ID, flat, nested

if TYPE_CHECKING:
    from airflow_provider_veo3.api.protocol import ApiRequest

HISTORY = protocol.history(100, 0, None)

ROWS = [
    (400, "INVALID_PROMPT", errors.Veo3BadRequestError, "fail"),
    (400, "INVALID_MODEL", errors.Veo3BadRequestError, "fail"),
    (400, "VALIDATION_ERROR", errors.Veo3BadRequestError, "fail"),
    (400, "MISSING_IMAGE", errors.Veo3BadRequestError, "fail"),
    (400, "INVALID_IMAGE_TYPE", errors.Veo3BadRequestError, "fail"),
    (400, "VIDEO_NOT_READY", errors.Veo3VideoNotReadyError, "retry"),
    (400, "CONTENT_POLICY_VIOLATION", errors.Veo3ContentPolicyError, "fail"),
    (403, "CONTENT_POLICY_VIOLATION", errors.Veo3ContentPolicyError, "fail"),
    (422, "CONTENT_POLICY_VIOLATION", errors.Veo3ContentPolicyError, "fail"),
    (451, "CONTENT_POLICY_VIOLATION", errors.Veo3ContentPolicyError, "fail"),
    (401, "INVALID_API_KEY", errors.Veo3AuthenticationError, "fail"),
    (401, "UNAUTHORIZED", errors.Veo3AuthenticationError, "fail"),
    (403, "FORBIDDEN", errors.Veo3AuthenticationError, "fail"),
    (402, "INSUFFICIENT_CREDITS", errors.Veo3InsufficientCreditsError, "fail"),
    (404, "TASK_NOT_FOUND", errors.Veo3GenerationNotFoundError, "fail"),
    (404, "NO_VIDEOS", errors.Veo3NoVideosError, "retry"),
    (413, "FILE_TOO_LARGE", errors.Veo3FileTooLargeError, "fail"),
    (429, "RATE_LIMIT_EXCEEDED", errors.Veo3RateLimitError, "retry"),
    (429, "QUEUE_FULL", errors.Veo3RateLimitError, "retry"),
    (500, "GENERATION_FAILED", errors.Veo3ServerError, "retry"),
    (503, "SERVICE_UNAVAILABLE", errors.Veo3ServerError, "retry"),
    (502, "X", errors.Veo3ServerError, "retry"),
    (504, "X", errors.Veo3ServerError, "retry"),
    (599, "X", errors.Veo3ServerError, "retry"),
    (408, "X", errors.Veo3ServerError, "retry"),
    (418, "TEAPOT", errors.Veo3BadRequestError, "fail"),
    (405, "X", errors.Veo3BadRequestError, "fail"),
    (409, "X", errors.Veo3BadRequestError, "fail"),
    (415, "X", errors.Veo3BadRequestError, "fail"),
    (301, "X", errors.Veo3BadRequestError, "fail"),
    (307, "X", errors.Veo3BadRequestError, "fail"),
]


@pytest.mark.parametrize("envelope", [flat, nested])
@pytest.mark.parametrize(("status", "code", "kind", "then"), ROWS)
def test_each_refusal_has_its_error_class(
    status: int, code: str, kind: type[Exception], then: str, envelope: Any
) -> None:
    error = error_of(STATUS, status, envelope(code, "Human readable"))
    assert type(error) is kind
    assert isinstance(error, AirflowFailException) == (then == "fail")
    assert isinstance(error, AirflowException)
    assert (error.status, error.code) == (status, code)
    assert f"GET status of generation {ID}: the VEO3 API returned {status} {code}: Human readable." in str(
        error
    )
    assert code in error.body
    assert may_repeat(STATUS, error) == (then == "retry")


@pytest.mark.parametrize(("status", "code", "kind", "then"), ROWS)
def test_the_error_of_a_submission_says_whether_credits_were_spent(
    status: int, code: str, kind: type[Exception], then: str
) -> None:
    error = error_of(POST, status, flat(code))
    unknown = "may have been accepted and charged: check the history" in str(error)
    codes = protocol.CODES.keys() - {"VIDEO_NOT_READY", "TASK_NOT_FOUND", "NO_VIDEOS"}
    certain = status == 429 or (code in codes and isinstance(error, errors.Veo3PermanentApiError))
    assert unknown is not certain, "only a code that the vendor documents for it proves a refusal"
    assert ("No credits were spent." in str(error)) is certain
    assert was_not_accepted(error) is certain
    assert may_repeat(POST, error) == (status == 429)


@pytest.mark.parametrize(
    ("status", "code", "hint"),
    [
        (401, "INVALID_API_KEY", "Check the API key: the password of the Airflow connection."),
        (402, "INSUFFICIENT_CREDITS", "Buy credits, or choose a cheaper model or no audio."),
        (404, "TASK_NOT_FOUND", "the connection is of the account that submitted it."),
        (404, "TASK_NOT_FOUND", "The vendor forgets old generations."),
        (400, "CONTENT_POLICY_VIOLATION", "Change the prompt or image."),
        (413, "FILE_TOO_LARGE", "Send a smaller image."),
        (429, "RATE_LIMIT_EXCEEDED", "Try again later."),
        (400, "VIDEO_NOT_READY", "Wait until the generation is completed."),
        (404, "NO_VIDEOS", "check its status."),
        (503, "SERVICE_UNAVAILABLE", "Try again later."),
        (418, "TEAPOT", "Correct the request."),
    ],
)
def test_an_error_says_what_to_do_next(status: int, code: str, hint: str) -> None:
    assert hint in str(error_of(STATUS, status, flat(code)))


def test_a_validation_error_names_the_field() -> None:
    body = flat("VALIDATION_ERROR", "Bad", field="durationSeconds", value=4)
    assert "The field is durationSeconds=4." in str(error_of(POST, 400, body))


NUMBERS = {"required": 400, "available": 50}


@pytest.mark.parametrize(
    "body",
    [
        samples.NO_CREDITS,
        nested("INSUFFICIENT_CREDITS", **NUMBERS),
        flat("INSUFFICIENT_CREDITS", details=NUMBERS),
        {"error": {"code": "INSUFFICIENT_CREDITS", **NUMBERS}},
    ],
)
def test_the_credit_numbers_are_read_from_every_place_of_an_envelope(body: Any) -> None:
    error = error_of(POST, 402, body)
    assert isinstance(error, errors.Veo3InsufficientCreditsError)
    assert (error.required, error.available) == (400, 50)
    assert "The generation needs 400 credits and the account has 50." in str(error)


@pytest.mark.parametrize(
    "more", [{}, {"required": "many", "available": None}, {"required": 400}, {"details": "x"}]
)
def test_missing_credit_numbers_are_not_printed(more: dict[str, Any]) -> None:
    error = error_of(POST, 402, flat("INSUFFICIENT_CREDITS", **more))
    assert "None" not in str(error)
    assert "Buy credits" in str(error)


def test_the_sample_of_a_policy_violation() -> None:
    error = error_of(POST, 400, samples.POLICY)
    assert isinstance(error, errors.Veo3ContentPolicyError)
    assert "Content violates usage policies" in str(error)


def test_the_sample_of_the_rate_limit() -> None:
    error = error_of(STATUS, 429, samples.RATE_LIMIT)
    assert (type(error), error.code, error.retry_after) == (
        errors.Veo3RateLimitError,
        "RATE_LIMIT_EXCEEDED",
        60,
    )


@pytest.mark.parametrize("envelope", [flat, nested])
@pytest.mark.parametrize("status", [500, 502])
@pytest.mark.parametrize("code", ["GENERATION_FAILED", "VIDEO_GENERATION_FAILED"])
def test_an_error_that_reports_a_failed_generation_is_its_status(
    code: str, status: int, envelope: Any
) -> None:
    """Without it, a wait for a failed and refunded generation would last until its deadline."""
    flow = flows.get_generation(ID, BASE, ONCE)
    generation = end_of(flow, response(status, envelope(code, "out of luck")))
    assert (generation.id, generation.status, generation.error_code, generation.error) == (
        ID,
        Status.FAILED,
        code,
        "out of luck",
    )


@pytest.mark.parametrize(
    ("request_", "status", "code", "kind"),
    [
        (STATUS, 500, "INTERNAL_ERROR", errors.Veo3ServerError),
        (STATUS, 503, "GENERATION_FAILED_TO_LOAD", errors.Veo3ServerError),
        (POST, 500, "GENERATION_FAILED", errors.Veo3ServerError),
        (HISTORY, 500, "GENERATION_FAILED", errors.Veo3ServerError),
        (protocol.download(ID), 500, "GENERATION_FAILED", errors.Veo3NoVideosError),
    ],
)
def test_only_a_status_request_reports_a_failed_generation(
    request_: ApiRequest, status: int, code: str, kind: type[Exception]
) -> None:
    reply = response(status, flat(code))
    assert type(protocol.error_of(request_, reply)) is kind
    assert not protocol.reports_failed_generation(request_, reply)


def test_an_acceptance_without_a_status_is_pending() -> None:
    fields = {name: samples.ACCEPTED[name] for name in ("taskId", "statusUrl", "downloadUrl")}
    flow = flows.submit(GenerationRequest("text-to-video", "x"), BASE, {}, ONCE)
    generation = end_of(flow, response(202, {**fields, "creditsCost": 500, "imageInfo": {"size": 1}}))
    assert (generation.id, generation.status, generation.credits_used) == (ID, Status.PENDING, 500)


@pytest.mark.parametrize(
    ("status", "body", "accepted"),
    [
        (202, b"not JSON", True),
        (202, {"message": "Video generation started"}, True),
        (202, {"success": True}, True),
        (202, {"success": "true"}, True),
        (202, {"success": None, "message": "x"}, True),
        (202, {"success": False}, False),
        (200, {"success": True}, True),
        (200, {"success": "true"}, False),
        (200, {"message": "x"}, False),
        (200, b"<html>Welcome</html>", False),
    ],
)
def test_an_unreadable_response_may_confirm_the_acceptance(status: int, body: Any, accepted: bool) -> None:
    flow = flows.submit(GenerationRequest("text-to-video", "x"), BASE, {}, ONCE)
    error = end_of(flow, response(status, body))
    assert isinstance(error, errors.Veo3UnreadableAnswerError)
    assert was_accepted(error) is accepted


def test_a_404_of_the_api_without_a_generation_is_a_bad_request() -> None:
    assert type(error_of(HISTORY, 404, flat("NOT_FOUND"))) is errors.Veo3BadRequestError


GATEWAYS = [
    b"",
    b"<html>Not Found</html>",
    b'"INVALID_API_KEY"',
    [flat("INVALID_API_KEY")],
    {"detail": "Not Found"},
    {"message": "no Route matched with those values", "request_id": "1"},
    {"message": "Forbidden"},
    {"error": "Unauthorized"},
    {"error": "access_denied", "error_description": "x"},
    {"error": {"code": 403, "message": "The caller does not have permission", "status": "DENIED"}},
    {"error": {"message": "x"}},
    {"success": False, "errors": [{"code": 10000, "message": "Authentication error"}]},
    {"error": {"code": "AccessDenied", "message": "Request has expired"}},
]


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 405, 407, 409, 410, 421, 425, 431, 451])
@pytest.mark.parametrize("body", GATEWAYS, ids=str)
def test_a_gateway_s_error_is_not_the_api_s(body: Any, status: int) -> None:
    for request in (STATUS, POST, HISTORY):
        error = error_of(request, status, body)
        assert type(error) is errors.Veo3UnreadableAnswerError
        assert "does not seem to come from the API" in str(error)
        assert may_repeat(request, error) is (request is not POST)
        assert not was_not_accepted(error)
        assert is_transient(error)
    assert "may have been accepted and charged" in str(error_of(POST, status, body))


@pytest.mark.parametrize("body", GATEWAYS, ids=str)
def test_a_gateway_s_rate_limit_is_waited_out_and_proves_no_refusal(body: Any) -> None:
    error = error_of(POST, 429, body, {"retry-after": "7"})
    assert (type(error), error.retry_after) == (errors.Veo3RateLimitError, 7)
    assert "may have been accepted and charged" in str(error)
    assert not may_repeat(POST, error)
    assert may_repeat(STATUS, error_of(STATUS, 429, body))


@pytest.mark.parametrize("status", [200, 202])
@pytest.mark.parametrize("envelope", [flat, nested])
@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("INVALID_PROMPT", errors.Veo3BadRequestError),
        ("CONTENT_POLICY_VIOLATION", errors.Veo3ContentPolicyError),
        ("content_policy_violation", errors.Veo3ContentPolicyError),
        ("UNAUTHORIZED", errors.Veo3AuthenticationError),
        ("INSUFFICIENT_CREDITS", errors.Veo3InsufficientCreditsError),
        ("FILE_TOO_LARGE", errors.Veo3FileTooLargeError),
        ("RATE_LIMIT_EXCEEDED", errors.Veo3RateLimitError),
    ],
)
def test_a_refusal_inside_a_success_counts_as_under_its_own_status(
    code: str, kind: type[errors.Veo3ApiError], envelope: Any, status: int
) -> None:
    for request in (POST, STATUS):
        error = error_of(request, status, envelope(code, "the vendor's words", retry_after=9))
        assert (type(error), error.code) == (kind, code)
        assert "the vendor's words" in str(error)
        assert was_not_accepted(error)
        assert error.retry_after == (9 if kind is errors.Veo3RateLimitError else None)


@pytest.mark.parametrize("envelope", [flat, nested])
def test_a_failed_or_unknown_generation_inside_a_success(envelope: Any) -> None:
    failed = end_of(flows.get_generation(ID, BASE, ONCE), response(200, envelope("GENERATION_FAILED", "bad")))
    assert (failed.id, failed.status, failed.error) == (ID, Status.FAILED, "bad")
    unknown = end_of(flows.get_generation(ID, BASE, ONCE), response(200, envelope("TASK_NOT_FOUND", "gone")))
    assert type(unknown) is errors.Veo3GenerationNotFoundError
    assert "gone" in str(unknown)


@pytest.mark.parametrize("status", [403, 409, 418, 500])
def test_a_documented_code_decides_under_an_undocumented_status(status: int) -> None:
    error = error_of(STATUS, status, flat("TASK_NOT_FOUND"))
    expected = errors.Veo3ServerError if status == 500 else errors.Veo3GenerationNotFoundError
    assert type(error) is expected


@pytest.mark.parametrize(
    "body",
    [
        {"success": False, "message": "try later"},
        flat("DATABASE_ERROR", "try later"),
        {"error": "database is locked, try later"},
    ],
)
def test_an_unknown_trouble_inside_a_success_is_in_the_error(body: Any) -> None:
    """Nobody knows whether it is a refusal."""
    for flow in every_call().values():
        error = end_of(flow, response(200, body))
        assert type(error) is errors.Veo3UnreadableAnswerError
        assert "try later" in str(error)
        assert not was_not_accepted(error)


def test_a_status_with_an_error_of_the_request_is_not_a_failed_generation() -> None:
    body = {"success": True, "taskId": ID, "status": "processing", "error": {"code": "VIDEO_NOT_READY"}}
    generation = end_of(flows.get_generation(ID, BASE, ONCE), response(200, body))
    assert generation.status is Status.PROCESSING
    del body["taskId"]
    body["status"] = "error"
    error = end_of(flows.get_generation(ID, BASE, ONCE), response(200, body))
    assert type(error) is errors.Veo3UnreadableAnswerError, "it would be paid for again"


@pytest.mark.parametrize(
    ("request_", "sent", "sentence"),
    [
        (POST, True, "may have been accepted and charged: check the history before submitting again"),
        (POST, False, "The request was never sent; no credits were spent."),
        (STATUS, True, "No credits were spent by this request."),
    ],
)
def test_the_error_without_a_response_says_whether_the_request_was_sent(
    request_: protocol.ApiRequest, sent: bool, sentence: str
) -> None:
    error = protocol.error_of(request_, NoResponse("ReadTimeout: too slow", sent))
    assert isinstance(error, errors.Veo3NoAnswerError)
    assert (error.sent, error.status) == (sent, None)
    assert "ReadTimeout: too slow" in str(error)
    assert sentence in str(error)
    assert is_transient(error)
    assert may_repeat(request_, error) == (request_ is STATUS or not sent)


def test_advice_about_a_setting_does_not_claim_that_a_sent_request_was_not() -> None:
    unsent, sent = (
        protocol.error_of(POST, NoResponse("ReadTimeout: too slow", sent, "Mend the certificates."))
        for sent in (False, True)
    )
    assert isinstance(unsent, errors.Veo3EnvironmentError)
    assert isinstance(sent, errors.Veo3NoAnswerError)
    assert "may have been accepted and charged" in str(sent)


KEY, SIGNED = "veo3_abcDEF123secret", "https://h/a.mp4?X-Goog-Date=1\\u0026X-Goog-Signature=cafebabe"
LEAKS = [
    flat("INVALID_API_KEY", f"The key {KEY} is not active", details=f"see {SIGNED}"),
    nested("INVALID_API_KEY", f"The key {KEY} is not active, {SIGNED}"),
    flat(KEY.upper().replace("VEO3", "veo3"), f"{KEY}"),
    {"error": {"code": KEY, "message": SIGNED}},
    flat("VALIDATION_ERROR", "Bad", field=f"header {KEY}", value={"url": SIGNED}),
    {"error": [KEY], "videos": [{"url": SIGNED}]},
    f"<p>{KEY} at {SIGNED}</p>".encode(),
    f"{'x' * 400} {KEY} {SIGNED} {'y' * 5000}".encode(),
]


@pytest.mark.parametrize("status", [200, 302, 400, 401, 402, 403, 404, 413, 429, 500])
@pytest.mark.parametrize("body", LEAKS, ids=range(len(LEAKS)))
def test_no_error_shows_a_key_or_a_signature(body: Any, status: int) -> None:
    for flow in every_call().values():
        end = end_of(flow, response(status, body))
        assert isinstance(end, Exception) or status == 200
        shown = f"{end} {end!r} {vars(end) if isinstance(end, Exception) else ''}"
        assert "secret" not in shown.lower()
        assert "cafebabe" not in shown


def test_a_huge_response_makes_a_short_error() -> None:
    body = {
        "error": {"code": "X" * 1_000_000, "message": "m" * 1_000_000},
        "field": "f" * 99,
        "value": "v" * 1_000_000,
    }
    error = error_of(POST, 400, body)
    assert len(str(error)) < 2000
    assert len(error.code or "") < 600
    assert len(error.body) < 600


def test_a_refused_model_is_named() -> None:
    error = error_of(POST, 400, flat("INVALID_MODEL", "Unknown model"))
    assert f"The model is {POST.json['model']!r}; Veo3Hook.list_models lists" in str(error)
    assert "The model is" not in str(error_of(POST, 400, flat("INVALID_PROMPT")))
    assert "The model is" not in str(error_of(STATUS, 400, flat("INVALID_MODEL")))
