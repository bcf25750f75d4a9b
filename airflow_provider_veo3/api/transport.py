"""Transports that drive flows, and the download of files: the only code with sockets."""

from __future__ import annotations

import asyncio
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, TypeVar

import httpx
import requests
import urllib3.exceptions

from airflow_provider_veo3 import __version__
from airflow_provider_veo3.api.flows import Flow, Pause
from airflow_provider_veo3.api.json_values import UnusableError
from airflow_provider_veo3.api.protocol import ApiRequest, ApiResponse, NoResponse, Outcome
from airflow_provider_veo3.api.redact import redact_text, redact_url, redacted_logs
from airflow_provider_veo3.api.request import SHORTEST_SECRET
from airflow_provider_veo3.api.retry_after import exhausted_window
from airflow_provider_veo3.api.throttle import TokenBucket
from airflow_provider_veo3.api.urls import safe_join
from airflow_provider_veo3.exceptions import Veo3NoAnswerError, Veo3StorageError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterator, Mapping

    from airflow_provider_veo3.api.clock import Clock

T = TypeVar("T")
Observer = Callable[[ApiRequest, Outcome, bool], None]
"""Function called with each request, its outcome, and whether the request was a poll."""

USER_AGENT: Final = f"airflow-provider-veo3/{__version__}"
MAX_FILE_REDIRECTS: Final = 5


@dataclass(frozen=True)
class Endpoint:
    """Address of the API, and how it is used.

    :param base_url: scheme, host and port; no path.
    :param api_key: sent as a header with each request to ``base_url``, and nowhere else.
    :param timeout: seconds to wait for the connection and for each part of the response. Default 30.
    :param requests_per_minute: most requests that one transport sends in a minute. Default 60.
    """

    base_url: str
    api_key: str = field(repr=False)
    timeout: float = 30.0
    requests_per_minute: float = 60.0

    def url(self, request: ApiRequest) -> str:
        """Return the whole URL of a request."""
        return self.base_url.rstrip("/") + request.path

    def headers(self, request: ApiRequest) -> dict[str, str]:
        """Return the headers of a request to the API.

        A cache in between must not serve old responses. One of the vendor's pages requires ``Content-Type``
        of all requests, so that a request without a body has it too.
        """
        always = {"Accept": "application/json", "Cache-Control": "no-cache", "User-Agent": USER_AGENT}
        content = {} if request.spends_credits else {"Content-Type": "application/json"}
        return {"X-API-Key": self.api_key, **always, **content}

    def no_response(self, error: Exception, *, sent: bool) -> NoResponse:
        """Describe a failure, without the key."""
        return NoResponse(f"{type(error).__name__}: {redact_text(str(error), self.api_key)}", sent)

    def response(self, status: int, headers: Mapping[str, str], body: bytes, now: float) -> ApiResponse:
        """Describe a response, without the key, which some proxies repeat when they show a request."""
        lower = {name.lower(): value for name, value in headers.items()}
        secret = len(self.api_key) >= SHORTEST_SECRET
        shown = body.replace(self.api_key.encode(), b"***") if secret else body
        return ApiResponse(status, lower, shown, now)


class _Transport:
    """The work of both transports that needs no I/O: limit the rate, observe, compose requests.

    :param endpoint: address of the API.
    :param observe: called after each request.
    :param clock: clock of the rate limit, of the pauses of a worker, and of each response's arrival.
    """

    def __init__(self, endpoint: Endpoint, observe: Observer | None = None, *, clock: Clock = time) -> None:
        self._endpoint = endpoint
        self._observe = observe
        self._clock = clock
        self._bucket = TokenBucket(endpoint.requests_per_minute)
        self._bucket_lock = threading.Lock()

    def _limited(self, flow: Flow[T], poll: bool) -> Flow[T]:
        """Wrap a flow: pause before each request for the rate limit, and observe each outcome."""
        outcome: Outcome | None = None
        while True:
            try:
                step = flow.send(outcome)
            except StopIteration as done:
                result: T = done.value
                return result
            if isinstance(step, Pause):
                yield step
                outcome = None
                continue
            with self._bucket_lock:
                wait = self._bucket.reserve(self._clock.monotonic())
            yield Pause(wait)
            outcome = yield step
            if self._observe is not None and outcome is not None:
                self._observe(step, outcome, poll)

    def _arguments(self, request: ApiRequest) -> dict[str, Any]:
        """Return the arguments of a request, which both HTTP libraries call alike."""
        return {
            "method": request.method,
            "url": self._endpoint.url(request),
            "params": request.query,
            "json": request.json,
            "data": request.form,
            "files": [(name, (f.name, f.data, f.mime_type)) for name, f in request.files or ()] or None,
            "headers": self._endpoint.headers(request),
        }

    def _response(self, status: int, headers: Mapping[str, str], body: bytes) -> ApiResponse:
        """Describe a response; block the rest of a rate window that is used up."""
        response = self._endpoint.response(status, headers, body, self._clock.time())
        left = exhausted_window(response.headers)
        if left > 0 and status != HTTPStatus.TOO_MANY_REQUESTS:  # whose error has a hint of its own
            with self._bucket_lock:
                self._bucket.hold(self._clock.monotonic(), left)
        return response


class SyncTransport(_Transport):
    """Blocking transport for workers, on ``requests``. It keeps a connection open between requests."""

    def __init__(self, endpoint: Endpoint, observe: Observer | None = None, *, clock: Clock = time) -> None:
        super().__init__(endpoint, observe, clock=clock)
        self._session = requests.Session()

    def run(self, flow: Flow[T], *, poll: bool = False) -> T:
        """Drive a flow to its result.

        :param poll: whether its requests are polls of a waiter, for the metrics.
        """
        limited = self._limited(flow, poll)
        outcome: Outcome | None = None
        while True:
            try:
                step = limited.send(outcome)
            except StopIteration as done:
                result: T = done.value
                return result
            if isinstance(step, Pause):
                self._clock.sleep(step.seconds)
                outcome = None
            else:
                outcome = self._send(step)

    def close(self) -> None:
        """Close the kept connection."""
        self._session.close()

    def _send(self, request: ApiRequest) -> Outcome:
        try:
            response = self._session.request(
                **self._arguments(request),
                timeout=self._endpoint.timeout,
                allow_redirects=False,  # the key must not follow to another host
            )
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            return self._endpoint.no_response(error, sent=not _never_connected(error))
        return self._response(response.status_code, response.headers, response.content)


def _never_connected(error: Exception) -> bool:
    """Return whether requests failed before it had a connection to send over."""
    never = requests.ConnectTimeout | requests.exceptions.InvalidURL | urllib3.exceptions.LocationParseError
    if isinstance(error, never):
        return True
    reason = getattr(error.args[0] if error.args else None, "reason", None)
    if isinstance(error, requests.exceptions.SSLError):
        # any other TLS error may come after the request went out
        cause = reason.args[0] if isinstance(reason, Exception) and reason.args else None
        return isinstance(cause, ssl.SSLCertVerificationError)
    return isinstance(error, requests.ConnectionError) and isinstance(
        reason, urllib3.exceptions.NewConnectionError | urllib3.exceptions.ConnectTimeoutError
    )


class AsyncTransport(_Transport):
    """Transport for the triggerer, on ``httpx``; it never blocks the event loop.

    :param sleep: pauses without blocking the event loop.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        observe: Observer | None = None,
        *,
        clock: Clock = time,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        super().__init__(endpoint, observe, clock=clock)
        self._sleep = sleep
        self._client = httpx.AsyncClient(timeout=endpoint.timeout, follow_redirects=False)

    async def run(self, flow: Flow[T], *, poll: bool = False) -> T:
        """Drive a flow to its result; see :meth:`SyncTransport.run`."""
        limited = self._limited(flow, poll)
        outcome: Outcome | None = None
        while True:
            try:
                step = limited.send(outcome)
            except StopIteration as done:
                result: T = done.value
                return result
            if isinstance(step, Pause):
                await self._sleep(step.seconds)
                outcome = None
            else:
                outcome = await self._send(step)

    async def close(self) -> None:
        """Close the kept connections."""
        await self._client.aclose()

    async def _send(self, request: ApiRequest) -> Outcome:
        try:
            response = await self._client.request(**self._arguments(request))
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.InvalidURL) as error:
            return self._endpoint.no_response(error, sent=False)
        except (httpx.HTTPError, OSError, ValueError) as error:
            return self._endpoint.no_response(error, sent=True)
        return self._response(response.status_code, response.headers, response.content)


@dataclass(frozen=True)
class FileResponse:
    """Response of the file host, with its body still to be read."""

    status: int
    headers: Mapping[str, str]
    """Headers by name in lower case."""
    _response: requests.Response

    def iter_bytes(self, chunk_size: int) -> Iterator[bytes]:
        """Yield the body as it was sent, at most ``chunk_size`` bytes at a time.

        :raises Veo3NoAnswerError: the body ended early or stalled.
        """
        try:
            yield from self._response.raw.stream(chunk_size, decode_content=False)
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise _file_error(self._response.url, error) from None


@contextmanager
def open_file(
    url: str, *, timeout: float, offset: int = 0, if_match: str | None = None
) -> Iterator[FileResponse]:
    """Request a file, or the rest of it from ``offset``; never with the API key.

    :param timeout: seconds to wait for the connection and for each part of the body.
    :param offset: number of bytes that are stored already.
    :param if_match: entity tag of those bytes; where the file has changed, it comes whole again.
    :raises Veo3NoAnswerError: no response came.
    :raises Veo3StorageError: the host redirects to a forbidden URL.
    """
    headers = {"User-Agent": USER_AGENT, "Accept-Encoding": "identity"}
    if offset:
        headers["Range"] = f"bytes={offset}-"
        if if_match is not None:
            headers["If-Range"] = if_match
    with requests.Session() as session, redacted_logs():
        for _ in range(MAX_FILE_REDIRECTS):
            try:
                response = session.get(
                    url, headers=headers, timeout=timeout, stream=True, allow_redirects=False
                )
            except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError) as error:
                raise _file_error(url, error) from None
            with response:
                target = response.headers.get("location") if response.is_redirect else None
                if target is None:
                    lower = {name.lower(): value for name, value in response.headers.items()}
                    yield FileResponse(response.status_code, lower, response)
                    return
            url = _redirected(url, target)
    raise Veo3StorageError(
        f"The file host redirects more than {MAX_FILE_REDIRECTS} times: {redact_url(url)}. No credits were "
        "spent; a retry requests a fresh link."
    )


def _redirected(url: str, target: str) -> str:
    try:
        return safe_join(url, target)
    except UnusableError as error:
        raise Veo3StorageError(
            f"The file host redirects to a forbidden URL: {error}. No credits were spent; a retry requests a "
            "fresh link."
        ) from error


def _file_error(url: str, error: Exception) -> Veo3NoAnswerError:
    """Describe a failure by its type; its text holds the signed link."""
    return Veo3NoAnswerError(
        f"No response from the file host for {redact_url(url)} ({type(error).__name__}); another download "
        "costs no credits."
    )
