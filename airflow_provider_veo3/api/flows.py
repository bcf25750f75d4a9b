"""Each call of the API as a generator: it yields requests and pauses, receives outcomes, returns a model.

A transport drives it (``transport.py``), blocking or not; what a call means is written here once.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_provider_veo3.api import answers, models, protocol
from airflow_provider_veo3.api.json_values import UnusableError
from airflow_provider_veo3.api.protocol import ApiRequest, ApiResponse, NoAnswer, Outcome
from airflow_provider_veo3.exceptions import Veo3ApiError, Veo3NoVideosError

if TYPE_CHECKING:
    from airflow_provider_veo3.api.request import GenerationRequest
    from airflow_provider_veo3.api.retries import Retries

T = TypeVar("T")


@dataclass(frozen=True)
class Pause:
    """Wait before going on."""

    seconds: float


Flow = Generator[ApiRequest | Pause, Outcome | None, T]


def _call(
    request: ApiRequest, retries: Retries, read: Callable[[Mapping[str, Any], ApiResponse], T]
) -> Flow[T]:
    attempt = 0
    while True:
        attempt += 1
        outcome = yield request
        if outcome is None:
            raise RuntimeError("a transport must answer a request")
        try:
            return _read(request, outcome, read)
        except Veo3ApiError as error:
            pause = retries.pause_after(request, error, attempt)
            if pause is None:
                raise
        yield Pause(pause)


def _read(request: ApiRequest, outcome: Outcome, read: Callable[[Mapping[str, Any], ApiResponse], T]) -> T:
    if isinstance(outcome, ApiResponse) and protocol.tells_of_failure(request, outcome):
        return read({**outcome.json_object(), "status": models.Status.FAILED}, outcome)
    error = protocol.error_of(request, outcome)
    if error is not None or isinstance(outcome, NoAnswer):
        raise error or RuntimeError("no answer is an error")
    try:
        return read(outcome.json_object(), outcome)
    except UnusableError as unusable:
        raise protocol.unreadable(request, outcome, str(unusable)) from unusable


def submit(
    request: GenerationRequest, base_url: str, file_fields: Mapping[str, str], retries: Retries
) -> Flow[models.Generation]:
    """Ask for a generation; repeated only where it certainly was not accepted."""
    post = protocol.submission(request, file_fields)

    def read(body: Mapping[str, Any], _: ApiResponse) -> models.Generation:
        # the page does not list the status of all acceptances: what is accepted has not begun
        return answers.parse_generation({"status": models.Status.PENDING, **body}, base_url)

    return (yield from _call(post, retries, read))


def get_generation(generation_id: str, base_url: str, retries: Retries) -> Flow[models.Generation]:
    """Ask how one generation stands."""

    def read(body: Mapping[str, Any], _: ApiResponse) -> models.Generation:
        status = body.get("status")
        if not isinstance(status, str):
            raise UnusableError("it has no status")
        # 'error' may be the status of an answer, which must not have a generation paid for again
        is_end = answers.read_status(status).is_terminal
        if is_end and not answers.named_id(body) and status.strip().lower() not in set(models.Status):
            raise UnusableError("it names no generation")
        generation = answers.parse_generation(
            {**body, "taskId": body.get("taskId") or generation_id}, base_url
        )
        if generation.id != generation_id:
            raise UnusableError(f"it tells of generation {generation.id}")
        return generation

    return (yield from _call(protocol.status(generation_id), retries, read))


def get_videos(generation_id: str, base_url: str, retries: Retries) -> Flow[tuple[models.Video, ...]]:
    """Ask for fresh links to a finished generation's files."""

    def read(body: Mapping[str, Any], _: ApiResponse) -> tuple[models.Video, ...]:
        videos = answers.parse_videos(body, base_url)
        if not videos:
            raise Veo3NoVideosError(
                f"Generation {generation_id} finished, but the VEO3 API lists no file for it. "
                "The vendor's filter may have dropped them."
            )
        return videos

    return (yield from _call(protocol.download(generation_id), retries, read))


def get_history_page(
    limit: int, skip: int, status: str | None, base_url: str, retries: Retries
) -> Flow[models.HistoryPage]:
    """Ask for one page of the account's generations."""

    def read(body: Mapping[str, Any], answer: ApiResponse) -> models.HistoryPage:
        return answers.parse_history_page(body, base_url, limit, skip, answer.clock_skew)

    return (yield from _call(protocol.history(limit, skip, status), retries, read))


def list_models(retries: Retries) -> Flow[tuple[models.VideoModel, ...]]:
    """Ask for the models and their prices."""
    return (yield from _call(protocol.models(), retries, lambda body, _: answers.parse_models(body)))
