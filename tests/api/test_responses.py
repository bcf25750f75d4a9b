"""Any response of the API: each call ends with a model or an error of ours."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_veo3.api.json_values import UnusableError
from airflow_provider_veo3.api.models import Generation, HistoryPage, Status
from airflow_provider_veo3.api.responses import (
    parse_generation,
    parse_history_page,
    parse_models,
    parse_videos,
)
from airflow_provider_veo3.exceptions import (
    Veo3ApiError,
    Veo3Error,
    Veo3NoVideosError,
    Veo3UnreadableAnswerError,
)
from tests.support import samples
from tests.support.judge import end_of, every_call, response
from tests.support.samples import BASE, ID

if TYPE_CHECKING:
    from collections.abc import Callable

LINK = "https://storage.googleapis.com/a.mp4"

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(
        [ID, "completed", "failed", LINK, "http://x/", "2023-12-20T10:30:45.123Z", 10**400, "٣"]
    ),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                [
                    *samples.COMPLETED,
                    *samples.ACCEPTED,
                    *samples.HISTORY,
                    *samples.MODELS,
                    "url",
                    "expiresAt",
                    "error",
                    "code",
                    "details",
                    "total",
                    "hasMore",
                    "id",
                    "capabilities",
                    "creditsPerVideo",
                ]
            )
            | st.text(max_size=3),
            inner,
            max_size=6,
        )
    ),
    max_leaves=25,
)
BODIES = st.dictionaries(
    st.sampled_from(["taskId", "status", "videos", "pagination", "models", "pricing", "error", "result"]),
    JSON,
)
PARSERS: dict[str, tuple[Callable[[Any], Any], type[Any]]] = {
    "generation": (lambda body: parse_generation(body, BASE), Generation),
    "videos": (lambda body: parse_videos(body, BASE), tuple),
    "history": (lambda body: parse_history_page(body, BASE, 100, 0), HistoryPage),
    "models": (parse_models, tuple),
}


@pytest.mark.parametrize("parser", PARSERS)
@given(body=BODIES)
def test_any_body_becomes_a_model_or_is_unusable(parser: str, body: dict[str, Any]) -> None:
    parse, kind = PARSERS[parser]
    try:
        model = parse(body)
    except UnusableError as error:
        assert len(str(error)) < 400  # noqa: PT017 - either end is right
        return
    assert isinstance(model, kind)
    if isinstance(model, Generation):
        json.dumps(model.manifest(), allow_nan=False, ensure_ascii=False).encode()


@given(st.sampled_from([200, 202, 204, 302, 400, 401, 402, 404, 429, 500, 503]), st.binary() | JSON)
def test_any_response_ends_each_call_with_a_result_or_an_error_of_ours(status: int, body: object) -> None:
    for flow in every_call().values():
        end = end_of(flow, response(status, body))
        assert isinstance(end, Veo3Error | Generation | HistoryPage | tuple)
        assert isinstance(end, Veo3ApiError) or 200 <= status < 300


DEEP = b"[" * 100_000
UNREADABLE = {
    "empty": b"",
    "blank": b" \n",
    "html": b"<html><body>Bad gateway</body></html>",
    "cut": json.dumps(samples.COMPLETED).encode()[:-20],
    "latin-1": '{"taskId": "ä"}'.encode("latin-1"),
    "utf-16": json.dumps(samples.COMPLETED).encode("utf-16"),
    "deep": DEEP,
    "deep object": b'{"a":' * 100_000,
    "huge number": b'{"taskId": ' + b"9" * 5000 + b"}",
    "list": b"[1]",
    "null": b"null",
    "text": b'"completed"',
    "empty object": b"{}",
    "zeros": bytes(100),
}


@pytest.mark.parametrize("call", every_call())
@pytest.mark.parametrize("body", UNREADABLE)
def test_an_unreadable_response_of_200_is_an_error_that_says_so(body: str, call: str) -> None:
    error = end_of(every_call()[call], response(200, UNREADABLE[body]))
    assert type(error) is Veo3UnreadableAnswerError
    assert (error.status, "cannot be used" in str(error)) == (200, True)
    credits_sentence = "may have been accepted and charged" if call == "submit" else "No credits were spent"
    assert credits_sentence in str(error)


@pytest.mark.parametrize("status", [404, 429, 500])
@pytest.mark.parametrize("body", UNREADABLE)
def test_an_unreadable_error_is_judged_by_its_status(body: str, status: int) -> None:
    error = end_of(every_call()["get_generation"], response(status, UNREADABLE[body]))
    assert (error.status, error.code) == (status, None)


def test_a_byte_order_mark_is_ignored() -> None:
    body = b"\xef\xbb\xbf" + json.dumps(samples.COMPLETED).encode()
    assert end_of(every_call()["get_generation"], response(200, body)).status is Status.COMPLETED


def test_a_status_of_another_generation_is_unreadable() -> None:
    other = {**samples.COMPLETED, "taskId": "veo_1_other"}
    error = end_of(every_call()["get_generation"], response(200, other))
    assert type(error) is Veo3UnreadableAnswerError
    assert "veo_1_other" in str(error)


@pytest.mark.parametrize("fields", [{}, {"taskId": None}, {"id": "507f1f77bcf86cd799439011"}])
def test_a_status_without_an_id_is_of_the_requested_generation(fields: dict[str, Any]) -> None:
    body = {"status": "processing", **fields}
    assert end_of(every_call()["get_generation"], response(200, body)).id == ID


@pytest.mark.parametrize(
    "body", [{"success": True}, {"videos": []}, {"videos": None}, {"videos": [{"url": ""}]}]
)
def test_a_download_without_a_file_raises_no_videos(body: dict[str, Any]) -> None:
    error = end_of(every_call()["get_videos"], response(200, body))
    assert type(error) is Veo3NoVideosError
    assert ID in str(error)
