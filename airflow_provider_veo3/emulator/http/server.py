"""HTTP servers in one background thread: the API, and the file host on another port."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from typing import TYPE_CHECKING

import uvicorn

from airflow_provider_veo3.emulator.http.connection import SCOPE_KEY, Connection

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp, Receive, Scope, Send

BACKLOG = 512
STOP_SECONDS = 5.0


def listen(host: str, port: int) -> socket.socket:
    """Open a listening socket, or raise ``OSError`` for a busy port."""
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    # asyncio turns Nagle's algorithm off only for sockets with a named protocol; it costs 40 ms a response.
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise OSError(error.errno, f"cannot listen on {host}:{port}: {error.strerror}") from error
    return listener


def origin(listener: socket.socket) -> str:
    """Return the URL of a listening socket."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class _Server(uvicorn.Server):
    """Uvicorn without its signal handlers, and without its wait for idle connections at the end.

    Tests start and stop many emulators, and these waits would add up.
    """

    def __init__(self, config: uvicorn.Config, stopping: asyncio.Event) -> None:
        super().__init__(config)
        self._stopping = stopping
        self.accepting = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.accepting.set()

    async def main_loop(self) -> None:
        await self._stopping.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        for listener in sockets or []:
            listener.close()
        for connection in list(self.server_state.connections):
            transport = getattr(connection, "transport", None)
            if isinstance(transport, asyncio.Transport):
                transport.abort()
        if self.server_state.tasks:
            await asyncio.wait(list(self.server_state.tasks), timeout=STOP_SECONDS)
        # One more turn lets the aborted transports close their sockets.
        await asyncio.sleep(0)


class Servers:
    """ASGI applications on listening sockets, served by a background thread.

    :param apps: each listening socket with its application.
    :param on_stop: is called in the server's thread when the servers begin to stop.
    """

    def __init__(self, apps: list[tuple[socket.socket, ASGIApp]], on_stop: Callable[[], None]) -> None:
        self._apps = apps
        self._on_stop = on_stop
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="veo3-emulator", daemon=True)

    def start(self) -> None:
        """Start the thread, and return when the servers accept requests."""
        self._thread.start()
        self._ready.wait()

    def stop(self) -> None:
        """Stop the servers, and wait for the end of the thread."""
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join()

    def _run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stopping = asyncio.Event()
        servers = [(_Server(self._config(app), self._stopping), listener) for listener, app in self._apps]
        running = [asyncio.create_task(server.serve(sockets=[listener])) for server, listener in servers]
        for server, _ in servers:
            await server.accepting.wait()
        self._ready.set()
        await self._stopping.wait()
        self._on_stop()
        await asyncio.gather(*running)

    def _config(self, app: ASGIApp) -> uvicorn.Config:
        async def with_connection(scope: Scope, receive: Receive, send: Send) -> None:
            scope[SCOPE_KEY] = Connection(receive, send, self._stopping)
            await app(scope, receive, send)

        return uvicorn.Config(
            with_connection,
            http="h11",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=False,
            backlog=BACKLOG,
        )
