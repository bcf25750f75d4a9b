"""A server on a raw socket with scripted responses, which records every request."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from email import message_from_bytes, policy
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import ssl

Action = Callable[[socket.socket], None]
"""Function that responds to one request on its connection, closed afterwards."""

PATIENCE = 60.0
"""Seconds before a peer counts as gone; a busy machine is slow."""

HANG_UP: Action = lambda connection: None  # noqa: E731 - closes without a response


def reply(
    status: int = 200, body: object = None, headers: dict[str, str] | None = None, *, cut: int | None = None
) -> Action:
    """Return an action that responds with JSON or bytes.

    :param cut: number of bytes of the body after which the connection is closed.
    """
    data = body if isinstance(body, bytes) else json.dumps({} if body is None else body).encode()
    lines = {"Content-Type": "application/json", "Content-Length": str(len(data)), "Connection": "close"}
    head = "".join(f"{name}: {value}\r\n" for name, value in {**lines, **(headers or {})}.items())
    raw = f"HTTP/1.1 {status} Whatever\r\n{head}\r\n".encode() + data[:cut]
    return lambda connection: connection.sendall(raw)


@dataclass(frozen=True)
class Received:
    """A request as received."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    def parts(self) -> dict[str, tuple[str | None, str, bytes]]:
        """Return the parts of a multipart form: name -> (file name, content type, content)."""
        head = f"Content-Type: {self.headers['content-type']}\r\n\r\n".encode()
        message = message_from_bytes(head + self.body, policy=policy.HTTP)
        assert message.is_multipart(), self.body[:200]
        found = {}
        for part in message.iter_parts():  # type: ignore[attr-defined]
            name = part.get_param("name", header="content-disposition")
            assert name not in found, f"{name} was sent twice"
            kind = part.get_content_type() if part["content-type"] else ""
            found[name] = (part.get_filename(), kind, part.get_payload(decode=True))
        return found


class RawServer:
    """Server that runs the next action of its script per request, the last repeatedly."""

    def __init__(self, context: ssl.SSLContext | None = None, listener: socket.socket | None = None) -> None:
        self.received: list[Received] = []
        self.connections = 0
        self.script: list[Action] = []
        self.released = threading.Event()
        self._context = context
        self._listener = listener or socket.create_server(("127.0.0.1", 0))
        self._listener.listen()
        self.port: int = self._listener.getsockname()[1]
        self.url = f"http{'s' if context else ''}://127.0.0.1:{self.port}"
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def hang(self, connection: socket.socket) -> None:
        """Send no response until the test is over."""
        self.released.wait(PATIENCE)

    def close(self) -> None:
        self.released.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(PATIENCE)
            assert not thread.is_alive()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            thread = threading.Thread(target=self._serve, args=(connection,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, plain: socket.socket) -> None:
        plain.settimeout(PATIENCE)
        with plain, suppress(OSError):
            connection = self._context.wrap_socket(plain, server_side=True) if self._context else plain
            with connection:
                request = self._read(connection)
                if request is None:
                    return
                self.received.append(request)
                action = self.script.pop(0) if len(self.script) > 1 else self.script[0]
                action(connection)

    def _read(self, connection: socket.socket) -> Received | None:
        raw = b""
        while b"\r\n\r\n" not in raw:
            more = connection.recv(65536)
            if not more:
                return None
            raw += more
        head, _, body = raw.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        method, target, _ = first.split(" ")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        while len(body) < int(headers.get("content-length", 0)):
            body += connection.recv(65536)
        return Received(method, target, headers, body)


@contextmanager
def running_server(
    context: ssl.SSLContext | None = None, listener: socket.socket | None = None
) -> Iterator[RawServer]:
    server = RawServer(context, listener)
    try:
        yield server
    finally:
        server.close()


@contextmanager
def closed_port() -> Iterator[tuple[str, socket.socket]]:
    """Yield the URL of a closed port, and the socket that reserves it."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{holder.getsockname()[1]}", holder
