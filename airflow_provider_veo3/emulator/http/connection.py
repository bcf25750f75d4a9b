"""The TCP connection below a request, for faults that HTTP has no word for."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

SCOPE_KEY = "veo3_emulator_connection"


class Connection:
    """One client's connection, found through the server's own ``send``.

    ASGI gives an application no way to break a connection, so the transport is taken from the object
    that uvicorn binds ``send`` to.
    """

    def __init__(self, receive: Receive, send: Send, stopping: asyncio.Event) -> None:
        transport = getattr(getattr(send, "__self__", None), "transport", None)
        if not isinstance(transport, asyncio.Transport):
            raise TypeError("the emulator must be served by uvicorn's own HTTP protocol")
        self._transport = transport
        self._receive = receive
        self._stopping = stopping

    @classmethod
    def of(cls, scope: Scope) -> Connection:
        """The connection of a request."""
        connection = scope[SCOPE_KEY]
        assert isinstance(connection, cls)  # noqa: S101 - put there by the server module
        return connection

    @property
    def closing(self) -> bool:
        """Whether nothing can be sent any more."""
        return self._transport.is_closing()

    async def reset(self) -> None:
        """Cut the connection: the client sees a reset, and what was not sent yet is lost."""
        peer: socket.socket = self._transport.get_extra_info("socket")
        # Lingering for no time makes the kernel send RST instead of an orderly end.
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()
        await self._gone()

    async def end(self) -> None:
        """End the connection in order after what was sent so far."""
        self._transport.close()
        await self._gone()

    async def pause(self, seconds: float) -> None:
        """Let the client wait, but not longer than the server lives."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)

    async def _gone(self) -> None:
        # Uvicorn complains about an unfinished answer unless it knows that the client has gone.
        while (await self._receive())["type"] != "http.disconnect":
            pass
