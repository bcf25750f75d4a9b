"""The two transports that drive a flow: the only file that opens a socket to the API and its file host."""

from __future__ import annotations

import asyncio
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, TypeVar

import httpx
import requests
import urllib3.exceptions

from airflow_provider_veo3 import __version__
from airflow_provider_veo3.api.flows import Flow, Pause
from airflow_provider_veo3.api.json_values import UnusableError
from airflow_provider_veo3.api.protocol import ApiRequest, ApiResponse, NoAnswer, Outcome
from airflow_provider_veo3.api.redact import queries_kept_from_log, redact_text, redact_url
from airflow_provider_veo3.api.request import SHORTEST_SECRET
from airflow_provider_veo3.api.retry_after import used_up
from airflow_provider_veo3.api.throttle import TokenBucket
from airflow_provider_veo3.api.urls import safe_join
from airflow_provider_veo3.exceptions import Veo3NoAnswerError, Veo3StorageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

T = TypeVar("T")
Observe = Callable[[ApiRequest, Outcome, bool], None]
"""Is told of each request, what came of it, and whether it was a look of somebody who waits."""

USER_AGENT: Final = f"airflow-provider-veo3/{__version__}"
MAX_FILE_REDIRECTS: Final = 5


@dataclass(frozen=True)
class Endpoint:
    """Where the API is and who asks.

    :param base_url: scheme, host and port, no path behind them needed.
    :param api_key: sent as a header with each request to ``base_url``, and nowhere else.
    :param timeout: seconds to wait for the connection and for each part of the answer.
    :param requests_per_minute: most requests one transport sends in a minute.
    """

    base_url: str
    api_key: str = field(repr=False)
    timeout: float = 30.0
    requests_per_minute: float = 60.0

    def url(self, request: ApiRequest) -> str:
        """Return the whole URL."""
        return self.base_url.rstrip("/") + request.path

    def headers(self, request: ApiRequest) -> dict[str, str]:
        """Return the headers of a request to the API; a cache in between must not show how things were.

        One of the vendor's pages has ``Content-Type`` required of all, so that one without a body has it too.
        """
        always = {"Accept": "application/json", "Cache-Control": "no-cache", "User-Agent": USER_AGENT}
        content = {} if request.spends else {"Content-Type": "application/json"}
        return {"X-API-Key": self.api_key, **always, **content}

    def no_answer(self, error: Exception, *, sent: bool) -> NoAnswer:
        """Describe a failure without anything secret."""
        return NoAnswer(f"{type(error).__name__}: {redact_text(str(error), self.api_key)}", sent)

    def response(self, status: int, headers: Mapping[str, str], body: bytes) -> ApiResponse:
        """Describe an answer, without the key, which some proxies repeat when they show a request."""
        lower = {name.lower(): value for name, value in headers.items()}
        secret = len(self.api_key) >= SHORTEST_SECRET
        shown = body.replace(self.api_key.encode(), b"***") if secret else body
        return ApiResponse(status, lower, shown, time.time())


def _files(request: ApiRequest) -> list[tuple[str, tuple[str, bytes, str]]] | None:
    return [(name, (f.name, f.data, f.mime_type)) for name, f in request.files or ()] or None


def _heed(response: ApiResponse, bucket: TokenBucket) -> None:
    """Send nothing more in a rate window of which, as the API says, nothing is left."""
    left = used_up(response.headers)
    if left > 0 and response.status != HTTPStatus.TOO_MANY_REQUESTS:  # whose error says how long
        bucket.hold(time.monotonic(), left)


def _ignore(request: ApiRequest, outcome: Outcome, poll: bool) -> None:
    """Tell nobody."""


class SyncTransport:
    """Drives flows with requests, blocking; for workers. One connection is kept open between requests."""

    def __init__(self, endpoint: Endpoint, observe: Observe = _ignore) -> None:
        self._endpoint = endpoint
        self._observe = observe
        self._session = requests.Session()
        self._bucket = TokenBucket(endpoint.requests_per_minute)
        self._lock = threading.Lock()

    def run(self, flow: Flow[T], *, poll: bool = False) -> T:
        """Drive a flow to its result.

        :param poll: it is a look of somebody who waits.
        """
        outcome: Outcome | None = None
        while True:
            try:
                step = flow.send(outcome)
            except StopIteration as done:
                result: T = done.value
                return result
            if isinstance(step, Pause):
                time.sleep(step.seconds)
                outcome = None
            else:
                outcome = self._send(step)
                self._observe(step, outcome, poll)

    def close(self) -> None:
        """Close the kept connection."""
        self._session.close()

    def _send(self, request: ApiRequest) -> Outcome:
        with self._lock:
            wait = self._bucket.reserve(time.monotonic())
        time.sleep(wait)
        try:
            answer = self._session.request(
                request.method,
                self._endpoint.url(request),
                params=request.query,
                json=request.json,
                data=request.form,
                files=_files(request),
                headers=self._endpoint.headers(request),
                timeout=self._endpoint.timeout,
                allow_redirects=False,  # the key must not follow to another host
            )
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            return self._endpoint.no_answer(error, sent=not _never_connected(error))
        response = self._endpoint.response(answer.status_code, answer.headers, answer.content)
        with self._lock:
            _heed(response, self._bucket)
        return response


def _never_connected(error: Exception) -> bool:
    """Whether requests failed before it had a connection to send over."""
    never = requests.ConnectTimeout | requests.exceptions.InvalidURL | urllib3.exceptions.LocationParseError
    if isinstance(error, never):
        return True
    reason = getattr(error.args[0] if error.args else None, "reason", None)
    if isinstance(error, requests.exceptions.SSLError):
        # any other TLS trouble may come after the request went out
        cause = reason.args[0] if isinstance(reason, Exception) and reason.args else None
        return isinstance(cause, ssl.SSLCertVerificationError)
    return isinstance(error, requests.ConnectionError) and isinstance(
        reason, urllib3.exceptions.NewConnectionError | urllib3.exceptions.ConnectTimeoutError
    )


class AsyncTransport:
    """Drives flows with httpx, never blocking the event loop; for the triggerer."""

    def __init__(self, endpoint: Endpoint, observe: Observe = _ignore) -> None:
        self._endpoint = endpoint
        self._observe = observe
        self._client = httpx.AsyncClient(timeout=endpoint.timeout, follow_redirects=False)
        self._bucket = TokenBucket(endpoint.requests_per_minute)

    async def run(self, flow: Flow[T], *, poll: bool = False) -> T:
        """Drive a flow to its result; see :meth:`SyncTransport.run`."""
        outcome: Outcome | None = None
        while True:
            try:
                step = flow.send(outcome)
            except StopIteration as done:
                result: T = done.value
                return result
            if isinstance(step, Pause):
                await asyncio.sleep(step.seconds)
                outcome = None
            else:
                outcome = await self._send(step)
                self._observe(step, outcome, poll)

    async def close(self) -> None:
        """Close the kept connections."""
        await self._client.aclose()

    async def _send(self, request: ApiRequest) -> Outcome:
        await asyncio.sleep(self._bucket.reserve(time.monotonic()))
        try:
            answer = await self._client.request(
                request.method,
                self._endpoint.url(request),
                params=request.query,
                json=request.json,
                data=request.form,
                files=_files(request),
                headers=self._endpoint.headers(request),
            )
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.InvalidURL) as error:
            return self._endpoint.no_answer(error, sent=False)
        except (httpx.HTTPError, OSError, ValueError) as error:
            return self._endpoint.no_answer(error, sent=True)
        response = self._endpoint.response(answer.status_code, answer.headers, answer.content)
        _heed(response, self._bucket)
        return response


@dataclass(frozen=True)
class FileResponse:
    """An answer of the file host, its body still to be read."""

    status: int
    headers: Mapping[str, str]
    """Names in lower case."""
    _answer: requests.Response

    def iter_bytes(self, chunk_size: int) -> Iterator[bytes]:
        """Yield the body as it was sent, at most ``chunk_size`` bytes at a time.

        :raises Veo3NoAnswerError: the body ended early or stalled.
        """
        try:
            yield from self._answer.raw.stream(chunk_size, decode_content=False)
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise _file_error(self._answer.url, error) from None


@contextmanager
def open_file(
    url: str, *, timeout: float, offset: int = 0, if_match: str | None = None
) -> Iterator[FileResponse]:
    """Ask the file host for a file, or for what comes behind ``offset``; never with the API key.

    :param timeout: seconds to wait for the connection and for each part of the body.
    :param offset: bytes that are there already.
    :param if_match: entity tag those bytes came with; where the file has changed, it comes whole again.
    :raises Veo3NoAnswerError: no answer came.
    :raises Veo3StorageError: the host redirects to where it must not.
    """
    headers = {"User-Agent": USER_AGENT, "Accept-Encoding": "identity"}
    if offset:
        headers["Range"] = f"bytes={offset}-"
        if if_match is not None:
            headers["If-Range"] = if_match
    with requests.Session() as session, queries_kept_from_log():
        for _ in range(MAX_FILE_REDIRECTS):
            try:
                answer = session.get(
                    url, headers=headers, timeout=timeout, stream=True, allow_redirects=False
                )
            except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError) as error:
                raise _file_error(url, error) from None
            with answer:
                target = answer.headers.get("location") if answer.is_redirect else None
                if target is None:
                    lower = {name.lower(): value for name, value in answer.headers.items()}
                    yield FileResponse(answer.status_code, lower, answer)
                    return
            url = _followed(url, target)
    raise Veo3StorageError(
        f"The file host redirects more than {MAX_FILE_REDIRECTS} times: {redact_url(url)}."
    )


def _followed(url: str, target: str) -> str:
    try:
        return safe_join(url, target)
    except UnusableError as error:
        raise Veo3StorageError(f"The file host redirects where it must not: {error}.") from error


def _file_error(url: str, error: Exception) -> Veo3NoAnswerError:
    """Describe a failure by its kind alone: the text of these errors holds the signed link."""
    return Veo3NoAnswerError(f"No answer from the file host for {redact_url(url)} ({type(error).__name__}).")
