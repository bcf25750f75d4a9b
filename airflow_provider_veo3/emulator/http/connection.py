"""The TCP connection of a request, for faults below HTTP."""

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
    """A client's connection, found through the server's ``send``.

    ASGI has no way to reset a connection, so the transport is taken from the object that uvicorn
    binds ``send`` to.

    :param stopping: is set when the server stops.
    """

    def __init__(self, receive: Receive, send: Send, stopping: asyncio.Event) -> None:
        transport = getattr(getattr(send, "__self__", None), "transport", None)
        if not isinstance(transport, asyncio.Transport):
            raise TypeError("the emulator must be served by uvicorn's own HTTP protocol")
        self._transport = transport
        self._receive = receive
        self.stopping = stopping

    @classmethod
    def of(cls, scope: Scope) -> Connection:
        """Return the connection of a request."""
        connection = scope[SCOPE_KEY]
        assert isinstance(connection, cls)  # noqa: S101 - put there by the server module
        return connection

    @property
    def closing(self) -> bool:
        """Return whether the connection accepts no more data."""
        return self._transport.is_closing()

    async def reset(self) -> None:
        """Reset the connection; data that is not sent yet is lost."""
        peer: socket.socket = self._transport.get_extra_info("socket")
        # Lingering for no time makes the kernel send RST instead of FIN.
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()
        await self.disconnected()

    async def end(self) -> None:
        """Close the connection after the data that is sent so far."""
        self._transport.close()
        await self.disconnected()

    async def pause(self, seconds: float) -> None:
        """Wait for some seconds, or until the server stops."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.stopping.wait(), seconds)

    async def disconnected(self) -> None:
        """Wait until the server knows that the connection is closed."""
        # Uvicorn logs an error about an unfinished response before it knows.
        while (await self._receive())["type"] != "http.disconnect":
            pass
