"""Connections over ``httpcore``: pools, deadlines, and failures in words.

``httpx`` rests on ``httpcore`` too. It sends each URL byte for byte, reads nothing of the environment, and
keeps no cookies.
"""

from __future__ import annotations

import socket
import ssl
import threading
import time
import weakref
import zlib
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import httpcore

from airflow_provider_veo3.api.environment import (
    CERTIFICATES,
    EVERYWHERE,
    SettingError,
    tls_context,
    trusted_certificates,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from airflow_provider_veo3.api.environment import Proxy
    from airflow_provider_veo3.api.urls import Url

MAX_CONNECTIONS: Final = 100

KEEP_ALIVE: Final = 5.0
"""Seconds for which an idle connection is kept."""

READ_SIZE: Final = 2**18
"""Bytes read from a socket at a time; by measurement, more is not faster."""

WRITE_SIZE: Final = 2**16
"""Bytes written to a socket at a time, each within what is left of the time."""

FAILURES: Final = (
    httpcore.TimeoutException,
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpcore.ProxyError,
    httpcore.UnsupportedProtocol,
    SettingError,
    zlib.error,
    OSError,
    ValueError,
)
"""Errors of a request without a usable response."""

_deadline: ContextVar[float] = ContextVar("deadline", default=float("inf"))
"""Monotonic time at which the present request of this thread is given up."""


@contextmanager
def deadline_in(seconds: float) -> Iterator[None]:
    """Set the deadline of this thread's reads and writes, however often some bytes come."""
    token = _deadline.set(time.monotonic() + seconds)
    try:
        yield
    finally:
        _deadline.reset(token)


def _time_left(timeout: float | None, error: type[Exception]) -> float | None:
    deadline = _deadline.get()
    if deadline == float("inf"):
        return timeout
    left = deadline - time.monotonic()
    if left <= 0:
        raise error("the whole response took too long")
    return left if timeout is None else min(timeout, left)


class _TimedStream(httpcore.NetworkStream):
    """Connection whose every step keeps to the deadline of the request."""

    def __init__(self, plain: httpcore.NetworkStream) -> None:
        self._plain = plain
        with _streams_lock:
            _streams.add(self)

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._plain.read(max(max_bytes, READ_SIZE), _time_left(timeout, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        for begin in range(0, len(buffer), WRITE_SIZE):
            left = _time_left(timeout, httpcore.WriteTimeout)
            self._plain.write(buffer[begin : begin + WRITE_SIZE], left)

    def close(self) -> None:
        self._plain.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        left = _time_left(timeout, httpcore.ConnectTimeout)
        return _TimedStream(self._plain.start_tls(ssl_context, server_hostname, left))

    def get_extra_info(self, info: str) -> Any:
        return self._plain.get_extra_info(info)


_streams: Final[weakref.WeakSet[_TimedStream]] = weakref.WeakSet()
"""Blocking connections of this process."""

_streams_lock: Final = threading.Lock()


def break_connections() -> None:
    """Fail the reads and writes of all threads at once, for a process that ends."""
    with _streams_lock:
        streams = list(_streams)
    for stream in streams:
        with suppress(OSError):  # it is closed
            # not the method of a TLS socket, which would drop the encryption under its reader
            socket.socket.shutdown(stream.get_extra_info("socket"), socket.SHUT_RDWR)


class TimedBackend(httpcore.NetworkBackend):
    """Maker of connections whose every step keeps to the deadline of the request."""

    def __init__(self) -> None:
        self._plain = httpcore.SyncBackend()

    def connect_tcp(
        self, host: str, port: int, timeout: float | None = None, *args: Any, **options: Any
    ) -> httpcore.NetworkStream:
        """Connect to a host."""
        left = _time_left(timeout, httpcore.ConnectTimeout)
        return _TimedStream(self._plain.connect_tcp(host, port, left, *args, **options))


@dataclass(frozen=True)
class Pools:
    """Kinds of connection pools, blocking or not.

    :param direct: without a proxy.
    :param http: through an HTTP proxy.
    :param socks: through a SOCKS proxy.
    :param backend: makes what connects; ``None`` for httpcore's own.
    """

    direct: type[Any]
    http: type[Any]
    socks: type[Any]
    backend: type[TimedBackend] | None = None

    def open(self, url: Url, proxy: Proxy | None) -> Any:
        """Return a new pool of connections to the host of a URL.

        :raises SettingError: the certificates of the environment cannot be used.
        """
        options: dict[str, Any] = {
            "ssl_context": tls_context() if url.scheme == "https" else None,
            "max_connections": MAX_CONNECTIONS,
            "keepalive_expiry": KEEP_ALIVE,
            "network_backend": self.backend() if self.backend else None,
        }
        if proxy is None:
            return self.direct(**options)
        options |= {"proxy_url": proxy.url, "proxy_auth": proxy.auth}
        if proxy.scheme == "https":
            options["proxy_ssl_context"] = tls_context()
        return (self.socks if proxy.is_socks else self.http)(**options)


BLOCKING: Final = Pools(httpcore.ConnectionPool, httpcore.HTTPProxy, httpcore.SOCKSProxy, TimedBackend)
"""Pools for workers and files."""

NOT_BLOCKING: Final = Pools(httpcore.AsyncConnectionPool, httpcore.AsyncHTTPProxy, httpcore.AsyncSOCKSProxy)
"""Pools for the triggerer."""


def addressed(method: str, url: Url, headers: Mapping[str, str], timeout: float) -> dict[str, Any]:
    """Return the arguments of a request, which pools of both kinds take.

    :param timeout: seconds for the connection and for each part of the response.
    """
    host = f"[{url.host}]" if ":" in url.host else url.host
    return {
        "method": method,
        # byte for byte: the host may have signed it
        "url": httpcore.URL(scheme=url.scheme, host=url.host, port=url.port, target=url.target),
        "headers": {"Host": host if url.has_default_port else f"{host}:{url.port}", **headers},
        "extensions": {"timeout": dict.fromkeys(("connect", "read", "write", "pool"), timeout)},
    }


def headers_of(response: httpcore.Response) -> dict[str, str]:
    """Return the headers of a response by name in lower case; repeated ones joined."""
    headers: dict[str, str] = {}
    for raw_name, raw_value in response.headers:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


def explain(error: BaseException, proxy: Proxy | None) -> tuple[str, str]:
    """Return a failure in words, and the advice where a setting is its cause."""
    if isinstance(error, SettingError):
        return error.reason, error.advice
    name = "ReadTimeout" if isinstance(error, TimeoutError) else type(error).__name__
    reason = f"{name}: {error}" if str(error) else name
    if proxy is not None:
        reason = f"{reason}, through {proxy}"
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, ssl.SSLCertVerificationError):
        cause = cause.__cause__ or cause.__context__
    if cause is None:
        return reason, ""
    return reason, (
        f"Certificates are trusted from {trusted_certificates()}. Set {CERTIFICATES} to a file with the "
        f"certificate of the authority, {EVERYWHERE}, or check the host."
    )
