"""The API's calls as generators, which yield requests and pauses, receive outcomes, and return models.

A transport drives them (``transport.py``), blocking or not, so that each call is written once.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_provider_veo3.api import models, protocol, responses
from airflow_provider_veo3.api.json_values import UnusableError
from airflow_provider_veo3.api.protocol import ApiRequest, ApiResponse, NoResponse, Outcome
from airflow_provider_veo3.exceptions import Veo3ApiError, Veo3NoVideosError, shown_text

if TYPE_CHECKING:
    from airflow_provider_veo3.api.request import GenerationRequest
    from airflow_provider_veo3.api.retries import Retries

T = TypeVar("T")


@dataclass(frozen=True)
class Pause:
    """Pause before the next step of a flow."""

    seconds: float


Flow = Generator[ApiRequest | Pause, Outcome | None, T]
Parser = Callable[[Mapping[str, Any], ApiResponse], T]


def _call(request: ApiRequest, retries: Retries, parse: Parser[T]) -> Flow[T]:
    attempt = 0
    while True:
        attempt += 1
        outcome = yield request
        if outcome is None:
            raise RuntimeError("a transport must send the outcome of each request")
        try:
            return _result(request, outcome, parse)
        except Veo3ApiError as error:
            pause = retries.pause_after(request, error, attempt)
            if pause is None:
                raise
        yield Pause(pause)


def _result(request: ApiRequest, outcome: Outcome, parse: Parser[T]) -> T:
    body: Mapping[str, Any] = {}
    if isinstance(outcome, ApiResponse) and protocol.reports_failed_generation(request, outcome):
        body = {**outcome.json_object(), "status": models.Status.FAILED}
    else:
        error = protocol.error_of(request, outcome)
        if error is not None or isinstance(outcome, NoResponse):
            raise error or RuntimeError("a missing response is an error")
        body = outcome.json_object()
    try:
        return parse(body, outcome)
    except UnusableError as unusable:
        raise protocol.unusable_response_error(request, outcome, str(unusable)) from unusable


def submit(
    request: GenerationRequest, base_url: str, file_fields: Mapping[str, str], retries: Retries
) -> Flow[models.Generation]:
    """Submit a generation; repeat the request only where it certainly was not accepted."""
    post = protocol.submission(request, file_fields)

    def parse(body: Mapping[str, Any], _: ApiResponse) -> models.Generation:
        # the vendor does not document a status in every acceptance; an accepted generation has not begun
        return responses.parse_generation({"status": models.Status.PENDING, **body}, base_url)

    return (yield from _call(post, retries, parse))


def get_generation(generation_id: str, base_url: str, retries: Retries) -> Flow[models.Generation]:
    """Request the status of a generation."""

    def parse(body: Mapping[str, Any], _: ApiResponse) -> models.Generation:
        status = body.get("status")
        if not responses.lists_files(body):
            if not isinstance(status, str):
                raise UnusableError("it has no status")
            # 'error' may be the status of the response, which must not have a generation paid for again
            is_final = responses.parse_status(status).is_terminal
            is_documented = status.strip().lower() in {*models.Status}
            if is_final and not is_documented and not protocol.raw_generation_id(body):
                raise UnusableError("it has no generation id")
        own_id = body.get("taskId")
        own_id = generation_id if own_id in (None, "") else own_id
        generation = responses.parse_generation({**body, "taskId": own_id}, base_url)
        if generation.id != generation_id:
            raise UnusableError(f"it is about generation {shown_text(generation.id)}")
        return generation

    return (yield from _call(protocol.status(generation_id), retries, parse))


def get_videos(generation_id: str, base_url: str, retries: Retries) -> Flow[models.VideoList]:
    """Request fresh links to the files of a completed generation."""

    def parse(body: Mapping[str, Any], _: ApiResponse) -> models.VideoList:
        videos = responses.parse_videos(body, base_url)
        if not videos and (body.get("success") is False or body.get("error")):
            raise UnusableError("it reports a failure")
        if not videos:
            raise Veo3NoVideosError(
                f"The VEO3 API lists no file for the completed generation {shown_text(generation_id)}. "
                "No credits were spent by this request. The vendor's filter may have dropped the files: "
                "check its status."
            )
        return models.VideoList.of(videos, responses.count_videos(body))

    return (yield from _call(protocol.download(generation_id), retries, parse))


def get_history_page(
    limit: int, skip: int, status: str | None, base_url: str, retries: Retries
) -> Flow[models.HistoryPage]:
    """Request a page of the account's history."""

    def parse(body: Mapping[str, Any], response: ApiResponse) -> models.HistoryPage:
        return responses.parse_history_page(body, base_url, limit, skip, response.clock_skew)

    return (yield from _call(protocol.history(limit, skip, status), retries, parse))


def list_models(retries: Retries) -> Flow[tuple[models.VideoModel, ...]]:
    """Request the models and their prices."""
    return (yield from _call(protocol.models(), retries, lambda body, _: responses.parse_models(body)))
