"""An HTTP proxy on a raw socket, which opens tunnels or refuses them, and records what it saw."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from tests.support.raw_server import PATIENCE, RawServer

if TYPE_CHECKING:
    from collections.abc import Iterator


class TunnelProxy(RawServer):
    """Proxy whose tunnels all lead to one port of this machine.

    :param port: where the tunnels lead, whatever host was requested.
    :param status: status of its responses to ``CONNECT``; a tunnel is opened at 200 only.
    """

    def __init__(self, port: int, status: int = 200) -> None:
        self._target = port
        self._status = status
        super().__init__()
        self.script = [self._connect]

    def _connect(self, connection: socket.socket) -> None:
        if self._status != 200:
            body = b"<html>the proxy's page</html>"
            head = f"HTTP/1.1 {self._status} Whatever\r\nContent-Length: {len(body)}\r\n\r\n"
            connection.sendall(head.encode() + body)
            return
        connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        with socket.create_connection(("127.0.0.1", self._target)) as target:
            back = threading.Thread(target=_copy, args=(target, connection))
            back.start()
            _copy(connection, target)
            back.join(PATIENCE)


def _copy(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)


@contextmanager
def running_proxy(port: int, status: int = 200) -> Iterator[TunnelProxy]:
    proxy = TunnelProxy(port, status)
    try:
        yield proxy
    finally:
        proxy.close()
