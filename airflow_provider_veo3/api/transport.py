"""Transports that drive flows, and the download of files: the only code with sockets.

All make the same connections: certificates and proxies are decided in
:mod:`~airflow_provider_veo3.api.environment`, for the worker and the triggerer alike.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import threading
import time
import weakref
import zlib
from collections.abc import Callable
from contextlib import ExitStack, aclosing, contextmanager
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, ClassVar, Final, NoReturn, TypeVar
from urllib.parse import urlencode

from airflow_provider_veo3 import __version__
from airflow_provider_veo3.api.connections import (
    BLOCKING,
    FAILURES,
    NOT_BLOCKING,
    Pools,
    addressed,
    deadline_in,
    explain,
    headers_of,
)
from airflow_provider_veo3.api.environment import proxy_of
from airflow_provider_veo3.api.flows import Flow, Pause
from airflow_provider_veo3.api.json_values import UnusableError
from airflow_provider_veo3.api.protocol import ApiRequest, ApiResponse, NoResponse, Outcome
from airflow_provider_veo3.api.redact import redact_text, redact_url, redacted_logs
from airflow_provider_veo3.api.request import SHORTEST_SECRET
from airflow_provider_veo3.api.retry_after import exhausted_window
from airflow_provider_veo3.api.throttle import TokenBucket
from airflow_provider_veo3.api.urls import Url, safe_join
from airflow_provider_veo3.exceptions import (
    Veo3EnvironmentError,
    Veo3Error,
    Veo3NoAnswerError,
    Veo3StorageError,
    sentence,
    shown_text,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterator, Mapping

    import httpcore

    from airflow_provider_veo3.api.clock import Clock
    from airflow_provider_veo3.api.environment import Proxy

T = TypeVar("T")
Observer = Callable[[ApiRequest, Outcome, bool], None]
"""Function called with each request, its outcome, and whether the request was a poll."""

USER_AGENT: Final = f"airflow-provider-veo3/{__version__}"
MAX_FILE_REDIRECTS: Final = 5
_REDIRECTS: Final = (301, 302, 303, 307, 308)

MAX_RESPONSE_BYTES: Final = 16 * 2**20
"""Largest body of the API, decoded; a page of the history has less than a hundredth of that."""

SHOWN_OF_FLAWED: Final = 2**12
"""Bytes that are kept of a body that cannot be used, for the error."""

LONGEST_RESPONSE: Final = 90.0
"""Seconds beyond the timeout until a whole response is given up: the timeout is for each part of it."""


@dataclass(frozen=True)
class Endpoint:
    """Address of the API, and how it is used. It holds the key, so that it cannot be pickled.

    :param base_url: scheme, host and port; no path.
    :param api_key: sent as a header with each request to ``base_url``, and nowhere else.
    :param timeout: seconds to wait for the connection and for each part of the response. Default 30.
    :param requests_per_minute: most requests that one transport sends in a minute. Default 60.
    :param longest_response: seconds beyond ``timeout`` until a whole response is given up. Default 90.
    :param key_source: place that the key comes from, for messages.
    """

    base_url: str
    api_key: str = field(repr=False)
    timeout: float = 30.0
    requests_per_minute: float = 60.0
    longest_response: float = LONGEST_RESPONSE
    key_source: str = ApiResponse.key_source

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled or copied."""
        raise TypeError("an Endpoint holds the API key and cannot be pickled; pickle the connection's id")

    @property
    def deadline(self) -> float:
        """Return the seconds until a whole response is given up."""
        return self.timeout + self.longest_response

    def headers(self, content_type: str) -> dict[str, str]:
        """Return the headers of a request to the API.

        A cache in between must not serve old responses. One of the vendor's pages requires ``Content-Type``
        of all requests, so that a request without a body has it too.
        """
        return {
            "X-API-Key": self.api_key,
            "Accept": "application/json",
            "Accept-Encoding": "gzip",
            "Cache-Control": "no-cache",
            "Content-Type": content_type,
            "User-Agent": USER_AGENT,
        }

    def response(self, status: int, headers: Mapping[str, str], body: _Body, now: float) -> ApiResponse:
        """Describe a response, without the key, which some proxies repeat when they show a request."""
        data, key = body.whole(), self.api_key.encode()
        if len(key) >= SHORTEST_SECRET and key in data:
            data = data.replace(key, b"***")
        return ApiResponse(status, headers, data, now, body.flaw, self.key_source)

    def no_response(self, error: Exception, proxy: Proxy | None, *, sent: bool) -> NoResponse:
        """Describe a failure, without the key."""
        reason, advice = explain(error, proxy)
        return NoResponse(redact_text(reason, self.api_key), sent, advice)


class _Transport:
    """The work of both transports that needs no I/O: limit the rate, observe, compose requests.

    :param endpoint: address of the API.
    :param observe: called after each request.
    :param clock: clock of the rate limit, of the pauses of a worker, and of each response's arrival.
    """

    pools: ClassVar[Pools]

    def __init__(self, endpoint: Endpoint, observe: Observer | None = None, *, clock: Clock = time) -> None:
        self._endpoint = endpoint
        self._observe = observe
        self._clock = clock
        self._bucket = TokenBucket(endpoint.requests_per_minute)
        self._bucket_lock = threading.Lock()
        self._proxy: Proxy | None = None
        self._trouble: Exception | None = None
        try:
            self._url = Url.parse(endpoint.base_url)
            self._proxy = proxy_of(self._url)
            self._pool = self.pools.open(self._url, self._proxy)
        except FAILURES as error:  # reported by each request
            self._trouble = error

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

    def _arguments(self, request: ApiRequest, trace: Callable[..., Any]) -> dict[str, Any]:
        """Return the arguments of a request to the pool.

        :param trace: called with each step of the request.
        """
        if self._trouble is not None:
            raise self._trouble
        content, content_type = _content_of(request)
        query = f"?{urlencode(request.query)}" if request.query else ""
        url = replace(self._url, target=f"{request.path}{query}")
        headers = self._endpoint.headers(content_type)
        arguments = addressed(request.method, url, headers, self._endpoint.timeout)
        arguments["extensions"]["trace"] = trace
        return arguments | {"content": content}

    def _response(self, response: httpcore.Response, headers: Mapping[str, str], body: _Body) -> ApiResponse:
        """Describe a response; block the rest of a rate window that is used up."""
        described = self._endpoint.response(response.status, headers, body, self._clock.time())
        left = exhausted_window(headers)
        if left > 0 and response.status != HTTPStatus.TOO_MANY_REQUESTS:  # whose error has a hint of its own
            with self._bucket_lock:
                self._bucket.hold(self._clock.monotonic(), left)
        return described


class SyncTransport(_Transport):
    """Blocking transport for workers. It keeps a connection open between requests."""

    pools = BLOCKING

    def __init__(self, endpoint: Endpoint, observe: Observer | None = None, *, clock: Clock = time) -> None:
        super().__init__(endpoint, observe, clock=clock)
        if self._trouble is None:
            weakref.finalize(self, self._pool.close)

    def run(self, flow: Flow[T], *, poll: bool = False, pause: Callable[[float], None] | None = None) -> T:
        """Drive a flow to its result.

        :param poll: whether its requests are polls of a waiter, for the metrics.
        :param pause: sits out a pause, also one of 0 seconds before each request, and ends the flow by an
            exception; default the clock's sleep.
        """
        pause = pause or self._clock.sleep
        limited = self._limited(flow, poll)
        outcome: Outcome | None = None
        while True:
            try:
                step = limited.send(outcome)
            except StopIteration as done:
                result: T = done.value
                return result
            if isinstance(step, Pause):
                pause(step.seconds)
                outcome = None
            else:
                outcome = self._send(step)

    def close(self) -> None:
        """Close the kept connection."""
        if self._trouble is None:
            self._pool.close()

    def _send(self, request: ApiRequest) -> Outcome:
        progress = _Progress()
        try:
            arguments = self._arguments(request, progress.note)
            with deadline_in(self._endpoint.deadline), self._pool.stream(**arguments) as response:
                headers = headers_of(response)
                body = _Body(headers)
                for chunk in response.iter_stream():
                    if not body.add(chunk):
                        break
                return self._response(response, headers, body)
        except FAILURES as error:
            return self._endpoint.no_response(error, self._proxy, sent=progress.is_sent)


class AsyncTransport(_Transport):
    """Transport for the triggerer; it never blocks the event loop.

    :param sleep: pauses without blocking the event loop.
    """

    pools = NOT_BLOCKING

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
        if self._trouble is None:
            await self._pool.aclose()

    async def _send(self, request: ApiRequest) -> Outcome:
        progress = _Progress()
        try:
            arguments = self._arguments(request, progress.note_async)
            async with asyncio.timeout(self._endpoint.deadline), self._pool.stream(**arguments) as response:
                headers = headers_of(response)
                body = _Body(headers)
                async with aclosing(response.aiter_stream()) as chunks:
                    async for chunk in chunks:
                        if not body.add(chunk):
                            break
                return self._response(response, headers, body)
        except FAILURES as error:
            return self._endpoint.no_response(error, self._proxy, sent=progress.is_sent)


@dataclass
class _Progress:
    """Progress of a request, as ``httpcore`` traces it."""

    is_sent: bool = False
    """Whether the API may have received some of the request; asking a proxy for a tunnel is not that."""

    def note(self, step: str, details: Mapping[str, Any]) -> None:
        """Note a step of the request."""
        if step == "http11.send_request_headers.started" and details["request"].method != b"CONNECT":
            self.is_sent = True

    async def note_async(self, step: str, details: Mapping[str, Any]) -> None:
        """Note a step of the request in an event loop."""
        self.note(step, details)


class _Body:
    """Body of a response, decoded, up to ``MAX_RESPONSE_BYTES``.

    :param headers: headers by name in lower case.
    """

    def __init__(self, headers: Mapping[str, str]) -> None:
        self.flaw = ""
        """Clause about why it is not whole."""
        self._data = bytearray()
        self._decoder = None
        encoding = headers.get("content-encoding", "").strip().lower()
        if encoding in ("gzip", "x-gzip", "deflate"):
            self._decoder = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)  # which tells the two apart
        elif encoding not in ("", "identity"):
            self.flaw = f"it has the encoding {encoding[:40]!r}, which was not requested"

    def add(self, chunk: bytes) -> bool:
        """Add bytes as they came; return whether more are wanted."""
        if self._decoder is not None:
            chunk = self._decoder.decompress(chunk, MAX_RESPONSE_BYTES + 1 - len(self._data))
        self._data += chunk
        if len(self._data) > MAX_RESPONSE_BYTES:
            self.flaw = f"it is larger than {MAX_RESPONSE_BYTES} bytes"
        return not self.flaw

    def whole(self) -> bytes:
        """Return the decoded bytes.

        :raises ValueError: the compressed body is cut.
        """
        if self._decoder is not None and not self._decoder.eof and self._data and not self.flaw:
            raise ValueError("the compressed body is not complete")
        return bytes(self._data[:SHOWN_OF_FLAWED] if self.flaw else self._data)


def _content_of(request: ApiRequest) -> tuple[bytes | None, str]:
    """Return the body of a request and its media type."""
    if request.form is None:
        if request.json is None:
            return None, "application/json"
        return json.dumps(request.json, ensure_ascii=False, allow_nan=False).encode(), "application/json"
    boundary = secrets.token_hex(16)
    parts = [(f'name="{_form_name(name)}"', value.encode()) for name, value in request.form.items()]
    for name, file in request.files or ():
        head = f'name="{_form_name(name)}"; filename="{file.name}"\r\nContent-Type: {file.mime_type}'
        parts.append((head, file.data))
    lines = b"".join(
        b"--%b\r\nContent-Disposition: form-data; %b\r\n\r\n%b\r\n" % (boundary.encode(), head.encode(), data)
        for head, data in parts
    )
    return lines + b"--%b--\r\n" % boundary.encode(), f"multipart/form-data; boundary={boundary}"


def _form_name(name: str) -> str:
    """Return the name of a form field as browsers quote it."""
    return name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")


@dataclass(frozen=True)
class FileResponse:
    """Response of the file host, with its body still to be read."""

    status: int
    headers: Mapping[str, str]
    """Headers by name in lower case."""
    _url: str
    _response: httpcore.Response

    def iter_bytes(self, chunk_size: int) -> Iterator[bytes]:
        """Yield the body as it was sent, at most ``chunk_size`` bytes at a time.

        :raises Veo3NoAnswerError: the body ended early or stalled.
        """
        try:
            for piece in self._response.iter_stream():
                for begin in range(0, len(piece), chunk_size):
                    yield piece[begin : begin + chunk_size]
        except FAILURES as error:
            raise _file_error(self._url, error) from None


@contextmanager
def open_file(
    url: str, *, timeout: float, offset: int = 0, if_match: str | None = None
) -> Iterator[FileResponse]:
    """Request a file, or the rest of it from ``offset``; never with the API key.

    :param timeout: seconds to wait for the connection and for each part of the body.
    :param offset: number of bytes that are stored already.
    :param if_match: entity tag of those bytes; where the file has changed, it comes whole again.
    :raises Veo3NoAnswerError: no response came.
    :raises Veo3EnvironmentError: a certificate cannot be verified, or a setting of the environment is wrong.
    :raises Veo3StorageError: the host redirects to a forbidden URL.
    """
    headers = {"Accept": "*/*", "Accept-Encoding": "identity", "User-Agent": USER_AGENT}
    if offset:
        headers["Range"] = f"bytes={offset}-"
        if if_match is not None:
            headers["If-Range"] = if_match
    with redacted_logs():
        for _ in range(MAX_FILE_REDIRECTS):
            with _opened(url, headers, timeout) as response:
                lower = headers_of(response)
                target = lower.get("location") if response.status in _REDIRECTS else None
                if target is None:
                    yield FileResponse(response.status, lower, url, response)
                    return
            url = _redirected(url, target)
    raise Veo3StorageError(
        f"The file host redirects more than {MAX_FILE_REDIRECTS} times: {_shown_url(url)}. No credits were "
        "spent; a retry requests a fresh link."
    )


@contextmanager
def _opened(url: str, headers: Mapping[str, str], timeout: float) -> Iterator[httpcore.Response]:
    """Request a URL over a connection of its own."""
    proxy = None
    with ExitStack() as stack:
        try:
            parts = Url.parse(url)
            proxy = proxy_of(parts)
            pool = stack.enter_context(BLOCKING.open(parts, proxy))
            with deadline_in(timeout + LONGEST_RESPONSE):  # for the head: a video may take hours
                request = addressed("GET", parts, headers, timeout)
                response = stack.enter_context(pool.stream(**request))
        except FAILURES as error:
            raise _file_error(url, error, proxy) from None
        yield response


def _redirected(url: str, target: str) -> str:
    try:
        return safe_join(url, target)
    except UnusableError as error:
        raise Veo3StorageError(
            f"The file host redirects to a forbidden URL: {error}. No credits were spent; a retry requests a "
            "fresh link."
        ) from error


def _file_error(url: str, error: Exception, proxy: Proxy | None = None) -> Veo3Error:
    """Describe a failure; its text may hold the signed link."""
    reason, advice = explain(error, proxy)
    if advice:
        return Veo3EnvironmentError(
            f"No connection to the file host for {_shown_url(url)}: {sentence(redact_text(reason))} Nothing "
            f"was requested; no credits were spent. {advice}"
        )
    through = f" through {proxy}" if proxy else ""
    return Veo3NoAnswerError(
        f"No response from the file host for {_shown_url(url)} ({type(error).__name__}{through}); another "
        "download costs no credits."
    )


def _shown_url(url: str) -> str:
    return shown_text(redact_url(url))
