"""File host on a real socket, with scripted responses and a record of its requests."""

from __future__ import annotations

import hashlib
import random
import re
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from airflow_provider_veo3.api import transport

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping


def mp4(size: int, seed: int = 0) -> bytes:
    """Return a file with the boxes of a whole MP4 file, around random bytes."""
    begin = box("ftyp", b"mp42\x00\x00\x00\x00isommp42") + box("moov", b"\x00" * 8)
    return begin + box("mdat", random.Random(seed).randbytes(size - len(begin) - 8))


def box(kind: str, content: bytes) -> bytes:
    """Return a box of an MP4 file."""
    return (len(content) + 8).to_bytes(4, "big") + kind.encode() + content


@dataclass(frozen=True)
class Response:
    """Deviations of one response from that of a well-behaved host."""

    status: int | None = None
    body: bytes | None = None
    headers: Mapping[str, str | None] = field(default_factory=dict)
    """Added or changed; ``None`` leaves one out."""
    cut: int | None = None
    """Bytes of the body after which the connection is closed."""
    ignore_range: bool = False


@dataclass(frozen=True)
class Request:
    """A request that the host received."""

    path: str
    headers: Mapping[str, str]

    @property
    def range(self) -> str | None:
        return self.headers.get("range")


class FileHost:
    """Files by path, and the script of the next responses for each."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.script: dict[str, list[Response]] = {}
        self.requests: list[Request] = []
        self.on_sent: Callable[[int], object] | None = None
        """Called with the bytes of a body sent so far, after each piece."""
        self.piece_size = 64 * 1024
        self.url = ""

    def add(self, name: str, body: bytes, *script: Response) -> str:
        """Offer a file and return its link."""
        self.files[f"/{name}"] = body
        self.script[f"/{name}"] = list(script)
        return self.link(name)

    def link(self, name: str) -> str:
        return f"{self.url}/{name}?X-Signature=secret"

    def ranges(self, name: str) -> list[str | None]:
        """Return the range of each request for a file."""
        return [each.range for each in self.requests if each.path.partition("?")[0] == f"/{name}"]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    host: FileHost

    def do_GET(self) -> None:
        host, path = self.host, self.path.partition("?")[0]
        host.requests.append(Request(self.path, {k.lower(): v for k, v in self.headers.items()}))
        script = host.script.get(path)
        response = script.pop(0) if script else Response()
        status, headers, body = self._respond(host.files[path], response)
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        body = body[: response.cut]
        for start in range(0, len(body), host.piece_size):
            self.wfile.write(body[start : start + host.piece_size])
            if host.on_sent is not None:
                host.on_sent(min(start + host.piece_size, len(body)))
        self.close_connection = True

    def _respond(self, file: bytes, response: Response) -> tuple[int, dict[str, str], bytes]:
        etag = f'"{hashlib.md5(file, usedforsecurity=False).hexdigest()}"'
        headers: dict[str, str | None] = {"Content-Type": "video/mp4", "ETag": etag, "Connection": "close"}
        status, body = 200, file
        found = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        same = self.headers.get("If-Range", etag) == etag
        if response.body is not None or response.status is not None:
            status, body = response.status or 200, response.body or b""
        elif found and same and not response.ignore_range:
            start = int(found[1])
            status, body = (206, file[start:]) if start < len(file) else (416, b"")
            last = f"{start}-{len(file) - 1}" if status == 206 else "*"
            headers["Content-Range"] = f"bytes {last}/{len(file)}"
        headers["Content-Length"] = str(len(body))
        headers.update(response.headers)
        return status, {name: value for name, value in headers.items() if value is not None}, body

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Stay quiet."""

    def handle(self) -> None:
        try:
            super().handle()
        except ConnectionError:  # the client needed no more
            self.close_connection = True


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore a client that leaves."""


@contextmanager
def running_file_host() -> Iterator[FileHost]:
    """Start a host on a free port."""
    host = FileHost()
    server = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"host": host}))
    host.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield host
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


open_file = partial(transport.open_file, timeout=120.0)
"""The transport's own request to a file host."""
